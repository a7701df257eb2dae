//! SQL that isn't ours, with what the catalog keeps taken care of: external tables and views outlive the session.

use datafusion::common::TableReference;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::{DdlStatement, LogicalPlan, Statement};
use datafusion::prelude::{DataFrame, SessionContext};
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::planner::object_name_to_table_reference;
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use nightjar_catalog::{CatalogError, OnTableConflict, TableKind, check_url};
use nightjar_sql::SyntaxTree;
use nightjar_statements::{
    StatementContext, Used, in_dialect, lasting_table, plan_statement, release, table_name,
};

use crate::error::{EngineError, Result};
use crate::prepared;
use crate::registration::SYSTEM_SCHEMA;
use crate::schemas;
use crate::tables::{
    absolute_location, absolute_relations, check_no_cycle, check_partitions, external_table,
    keep_external_table, pattern,
};
use crate::write::follow_target;
use crate::zones::check_setting;

/// Runs a statement that DataFusion understands.
pub(crate) async fn run(
    context: &StatementContext,
    statement: SyntaxTree<DataFusionStatement>,
) -> Result<DataFrame> {
    let (session, catalog) = (&context.session, context.store.catalog());
    if let Some(done) = schemas::run(context, &statement).await? {
        return Ok(done);
    }
    let statement = prepare(context, &statement)?;
    let typed = declares_types(&statement);
    let state = session.state();
    let mut plan = plan_statement(&state, &statement).await?;
    let changed = changed_table(&plan).map(|name| table_name(&state, name.clone())).transpose()?;
    if let Some(name) = &changed {
        if [SYSTEM_SCHEMA, INFORMATION_SCHEMA].contains(&name.schema.as_str()) {
            return Err(EngineError::SystemSchema { schema: name.schema.clone() });
        }
        let kind = catalog.table(name)?.map(|table| table.kind);
        if kind == Some(TableKind::Materialized) && !makes_anew(&plan) {
            return Err(CatalogError::IsMaterialized { name: name.clone() }.into());
        }
        if kind.is_some() && kind == dropped_kind(&plan) {
            release(context, &Used::Table(name.clone()), cascades(&statement))?;
            // Not through DataFusion, which would build the table first: one that can't be built must go too.
            catalog.drop_table(name, true)?;
            return Ok(session.read_empty()?.limit(0, Some(0))?);
        }
    }
    if let (LogicalPlan::Ddl(DdlStatement::CreateExternalTable(create)), Some(name)) = (&plan, &changed)
        && !create.temporary
    {
        let on_conflict = match (create.or_replace, create.if_not_exists) {
            (true, _) => OnTableConflict::Replace,
            (false, true) => OnTableConflict::Ignore,
            (false, false) => OnTableConflict::Fail,
        };
        check_locations(session, create).await?;
        check_readable(session, create).await?;
        let sql = in_dialect(session, absolute_location(&context.sql));
        keep_external_table(&context.store, name.clone(), sql, on_conflict)?;
        return Ok(session.read_empty()?.limit(0, Some(0))?);
    }
    if let LogicalPlan::Ddl(DdlStatement::CreateView(create)) = &mut plan {
        create.definition = create.definition.take().map(|sql| in_dialect(session, sql));
    }
    if let LogicalPlan::Statement(Statement::SetVariable(set)) = &plan {
        check_setting(&set.variable, &set.value)?;
    }
    let done = prepared::execute(session, plan, typed).await?;
    if let Some(table) = lasting_table(&statement) {
        context.watch.conclude(&format!(
            "the table {table} ends with this session: COPY {table} TO '{}.parquet' keeps its rows; CREATE TEMPORARY TABLE {table} makes one without this line",
            table.rsplit('.').next().unwrap_or(&table).replace(['"', '\'', '/'], "")
        ));
    }
    Ok(done)
}

/// Whether a statement is a PREPARE that declares the types of its parameters.
fn declares_types(statement: &DataFusionStatement) -> bool {
    let DataFusionStatement::Statement(statement) = statement else { return false };
    matches!(statement.as_ref(), SqlStatement::Prepare { data_types, .. } if !data_types.is_empty())
}

/// SQL's own schema.
const INFORMATION_SCHEMA: &str = "information_schema";

/// Makes a statement mean the same wherever and whenever it is read again.
fn prepare(
    context: &StatementContext,
    statement: &SyntaxTree<DataFusionStatement>,
) -> Result<SyntaxTree<DataFusionStatement>> {
    let DataFusionStatement::Statement(sql) = &**statement else {
        let mut completed = (**statement).clone();
        follow_target(&mut completed)?;
        return Ok(SyntaxTree::new(completed));
    };
    let SqlStatement::CreateView(view) = sql.as_ref() else { return Ok(statement.clone()) };
    let state = context.session.state();
    let normalize = state.config_options().sql_parser.enable_ident_normalization;
    let name = object_name_to_table_reference(view.name.clone(), normalize)?;
    let name = table_name(&state, name)?;
    // The stored view must mean the same whatever folder a later session starts in.
    let mut stored = sql.clone();
    absolute_relations(&context.session, &mut stored)?;
    check_no_cycle(&context.session, &context.store, &name, &stored)?;
    Ok(SyntaxTree::new(DataFusionStatement::Statement(stored)))
}

/// Whether a DROP takes what uses the thing with it.
fn cascades(statement: &DataFusionStatement) -> bool {
    let DataFusionStatement::Statement(statement) = statement else { return false };
    matches!(statement.as_ref(), SqlStatement::Drop { cascade: true, .. })
}

/// Returns the table that a plan would change, make or drop.
fn changed_table(plan: &LogicalPlan) -> Option<&TableReference> {
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

/// Whether a plan makes the table that it changes: what then is in its way says so itself.
fn makes_anew(plan: &LogicalPlan) -> bool {
    matches!(
        plan,
        LogicalPlan::Ddl(
            DdlStatement::CreateExternalTable(_)
                | DdlStatement::CreateMemoryTable(_)
                | DdlStatement::CreateView(_)
        )
    )
}

/// Returns what a plan drops.
fn dropped_kind(plan: &LogicalPlan) -> Option<TableKind> {
    match plan {
        LogicalPlan::Ddl(DdlStatement::DropTable(_)) => Some(TableKind::External),
        LogicalPlan::Ddl(DdlStatement::DropView(_)) => Some(TableKind::View),
        _ => None,
    }
}

/// Refuses locations that must not be kept, or would not be read.
async fn check_locations(
    context: &SessionContext,
    create: &datafusion::logical_expr::CreateExternalTable,
) -> Result<()> {
    for location in &create.locations {
        check_url(location)?;
        let is_url = location.contains("://");
        if is_url && pattern(&context.runtime_env(), location).await?.is_some() {
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
    check_partitions(&state, create).await
}
