//! SQL that isn't ours, with what the catalog keeps taken care of: external tables and views outlive the session.

use datafusion::common::TableReference;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::{DdlStatement, LogicalPlan};
use datafusion::prelude::{DataFrame, SessionContext};
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use nightjar_catalog::{CatalogError, OnTableConflict, Store, TableKind, check_url};

use crate::error::{EngineError, Result};
use crate::registration::{SCHEMA, SYSTEM_SCHEMA};
use crate::tables::{
    absolute_location, absolute_relations, check_no_cycle, external_table, glob_in_url, keep_external_table,
};

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
    if written_table(&plan).is_some_and(|table| table.schema() == Some(SYSTEM_SCHEMA)) {
        return Err(EngineError::SystemSchema);
    }
    if let Some(name) = changed_table(&plan)
        && store.catalog().table(name)?.is_some_and(|table| table.kind == TableKind::Materialized)
    {
        return Err(CatalogError::IsMaterialized { name: name.to_owned() }.into());
    }
    if let Some((name, kind)) = dropped_table(&plan)
        && store.catalog().table(name)?.is_some_and(|table| table.kind == kind)
    {
        // Not through DataFusion, which would build the table first: one that can't be built must go too.
        store.catalog().drop_table(name, true)?;
        return Ok(context.read_empty()?.limit(0, Some(0))?);
    }
    if let LogicalPlan::Ddl(DdlStatement::CreateExternalTable(create)) = &plan
        && !create.temporary
    {
        let on_conflict = match (create.or_replace, create.if_not_exists) {
            (true, _) => OnTableConflict::Replace,
            (false, true) => OnTableConflict::Ignore,
            (false, false) => OnTableConflict::Fail,
        };
        check_locations(create)?;
        check_readable(context, create).await?;
        keep_external_table(store, create.name.table().to_owned(), absolute_location(sql), on_conflict)?;
        return Ok(context.read_empty()?.limit(0, Some(0))?);
    }
    Ok(context.execute_logical_plan(plan).await?)
}

/// Returns the table that a plan would change.
fn written_table(plan: &LogicalPlan) -> Option<&TableReference> {
    match plan {
        LogicalPlan::Dml(dml) => Some(&dml.table_name),
        LogicalPlan::Ddl(DdlStatement::CreateExternalTable(create)) => Some(&create.name),
        LogicalPlan::Ddl(DdlStatement::CreateMemoryTable(create)) => Some(&create.name),
        LogicalPlan::Ddl(DdlStatement::CreateView(create)) => Some(&create.name),
        LogicalPlan::Ddl(DdlStatement::DropTable(drop)) => Some(&drop.name),
        LogicalPlan::Ddl(DdlStatement::DropView(drop)) => Some(&drop.name),
        _ => None,
    }
}

/// Returns the table or view of the schema `public` that a plan drops or changes the rows of.
fn changed_table(plan: &LogicalPlan) -> Option<&str> {
    match plan {
        LogicalPlan::Dml(dml) => {
            let table = &dml.table_name;
            table.schema().is_none_or(|schema| schema == SCHEMA).then(|| table.table())
        }
        _ => dropped_table(plan).map(|(name, _)| name),
    }
}

/// Returns the table or view of the schema `public` that a plan drops.
fn dropped_table(plan: &LogicalPlan) -> Option<(&str, TableKind)> {
    let (name, kind) = match plan {
        LogicalPlan::Ddl(DdlStatement::DropTable(drop)) => (&drop.name, TableKind::External),
        LogicalPlan::Ddl(DdlStatement::DropView(drop)) => (&drop.name, TableKind::View),
        _ => return None,
    };
    name.schema().is_none_or(|schema| schema == SCHEMA).then(|| (name.table(), kind))
}

/// Refuses locations that must not be kept, or would not be read.
fn check_locations(create: &datafusion::logical_expr::CreateExternalTable) -> Result<()> {
    for location in &create.locations {
        check_url(location)?;
        if glob_in_url(location).is_some() {
            return Err(EngineError::LocationGlob { location: location.clone() });
        }
    }
    Ok(())
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
    external_table(&state, factory.as_ref(), create).await?;
    Ok(())
}
