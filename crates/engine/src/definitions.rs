//! SQL that isn't ours, with what the catalog keeps taken care of: external tables and views outlive the session.

use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::{DdlStatement, LogicalPlan};
use datafusion::prelude::{DataFrame, SessionContext};
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use nightjar_catalog::{OnTableConflict, Store};

use crate::error::Result;
use crate::tables::{absolute_location, absolute_relations, check_no_cycle, keep_external_table};

/// Runs a statement that DataFusion understands. `sql` is its text.
pub(crate) async fn run(
    context: &SessionContext,
    store: &Store,
    mut statement: DataFusionStatement,
    sql: &str,
) -> Result<DataFrame> {
    if let DataFusionStatement::Statement(statement) = &mut statement
        && let SqlStatement::CreateView(view) = statement.as_mut()
    {
        let name = view.name.0.last().map(ToString::to_string).unwrap_or_default();
        // The stored view must mean the same whatever folder a later session starts in.
        absolute_relations(statement);
        check_no_cycle(store, name.trim_matches('"'), statement)?;
    }
    let plan = context.state().statement_to_plan(statement).await?;
    if let LogicalPlan::Ddl(DdlStatement::CreateExternalTable(create)) = &plan
        && !create.temporary
    {
        let on_conflict = match (create.or_replace, create.if_not_exists) {
            (true, _) => OnTableConflict::Replace,
            (false, true) => OnTableConflict::Ignore,
            (false, false) => OnTableConflict::Fail,
        };
        check_readable(context, create).await?;
        keep_external_table(store, create.name.table().to_owned(), absolute_location(sql), on_conflict)?;
        return Ok(context.read_empty()?.limit(0, Some(0))?);
    }
    Ok(context.execute_logical_plan(plan).await?)
}

/// Makes the table once, so that a definition that can't be read is refused now and not in the night.
async fn check_readable(
    context: &SessionContext,
    create: &datafusion::logical_expr::CreateExternalTable,
) -> DataFusionResult<()> {
    let state = context.state();
    let format = create.file_type.to_uppercase();
    let factory = state.table_factories().get(&format).cloned().ok_or_else(|| {
        let mut known: Vec<&str> = state.table_factories().keys().map(String::as_str).collect();
        known.sort_unstable();
        DataFusionError::Plan(format!("no table format is called {format}; known: {}", known.join(", ")))
    })?;
    factory.create(&state, create).await?;
    Ok(())
}
