//! CREATE SCHEMA, DROP SCHEMA and SHOW SCHEMAS. Schemas live in the store.

use datafusion::common::TableReference;
use datafusion::prelude::{DataFrame, SessionContext, col, lit};
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::planner::object_name_to_table_reference;
use datafusion::sql::sqlparser::ast::{
    ObjectType, SchemaName, ShowStatementFilter, ShowStatementFilterPosition, ShowStatementOptions,
    Statement as SqlStatement,
};
use nightjar_catalog::{CatalogError, TableKind};
use nightjar_names::TableName;
use nightjar_sql::SyntaxTree;
use nightjar_statements::{StatementContext, StatementError, Used, release};

use crate::error::{EngineError, Result};
use crate::registration::CATALOG;
use crate::tables::LakeCatalog;

/// Runs a statement about schemas; returns None for any other.
pub(crate) async fn run(
    context: &StatementContext,
    statement: &SyntaxTree<DataFusionStatement>,
) -> Result<Option<DataFrame>> {
    let DataFusionStatement::Statement(statement) = &**statement else { return Ok(None) };
    match statement.as_ref() {
        SqlStatement::CreateSchema { schema_name: SchemaName::Simple(name), if_not_exists, .. } => {
            let normalize = normalize(&context.session);
            let name = object_name_to_table_reference(name.clone(), normalize)?;
            let name = schema_name(name)?;
            if !context.store.catalog().create_schema(&name, *if_not_exists)? {
                context.watch.note(&format!("there is a schema {name} already; nothing was done"));
            }
        }
        SqlStatement::Drop { object_type: ObjectType::Schema, if_exists, names, cascade, .. } => {
            for name in names {
                let name = object_name_to_table_reference(name.clone(), normalize(&context.session))?;
                drop_schema(context, &schema_name(name)?, *if_exists, *cascade)?;
            }
        }
        SqlStatement::CreateDatabase { .. } => return Err(EngineError::OneCatalog),
        SqlStatement::ShowSchemas { show_options, .. } => {
            return show(&context.session, show_options).await.map(Some);
        }
        _ => return Ok(None),
    }
    Ok(Some(context.session.read_empty()?.limit(0, Some(0))?))
}

fn normalize(session: &SessionContext) -> bool {
    session.copied_config().options().sql_parser.enable_ident_normalization
}

/// Returns the schema that `schema` or `catalog.schema` names, which the parser reads as it does a table.
fn schema_name(name: TableReference) -> Result<String> {
    match (name.schema(), name.catalog()) {
        (None, _) => Ok(name.table().to_owned()),
        (Some(catalog), None) if catalog == CATALOG => Ok(name.table().to_owned()),
        (Some(catalog), _) => Err(StatementError::CatalogUnknown { name: catalog.to_owned() }.into()),
    }
}

fn drop_schema(context: &StatementContext, name: &str, if_exists: bool, cascade: bool) -> Result<()> {
    let catalog = context.session.catalog(CATALOG);
    let lake = catalog.as_ref().and_then(|catalog| catalog.downcast_ref::<LakeCatalog>());
    let held = lake.map(|lake| lake.session_tables(name)).unwrap_or_default();
    if !held.is_empty() && !cascade {
        let tables = held.iter().map(|table| TableName::new(name, table)).collect();
        return Err(CatalogError::SchemaNotEmpty { name: name.to_owned(), tables }.into());
    }
    if cascade {
        empty(context, name)?;
    }
    if !context.store.catalog().drop_schema(name, if_exists, cascade)? {
        context.watch.note(&format!("there is no schema {name}; nothing was done"));
    }
    if let Some(lake) = lake {
        lake.close(name);
    }
    Ok(())
}

/// Drops the materialized views of a schema, and what uses its tables elsewhere.
fn empty(context: &StatementContext, schema: &str) -> Result<()> {
    let catalog = context.store.catalog();
    for table in catalog.tables()?.into_iter().filter(|table| table.name.schema == schema) {
        release(context, &Used::Table(table.name.clone()), true)?;
        if table.kind == TableKind::Materialized {
            catalog.drop_materialized_view(&table.name, true)?;
        }
    }
    Ok(())
}

/// The schemas, by name.
async fn show(session: &SessionContext, options: &ShowStatementOptions) -> Result<DataFrame> {
    let rows = session.table("information_schema.schemata").await?.select_columns(&["schema_name"])?;
    let filter = match &options.filter_position {
        Some(ShowStatementFilterPosition::Infix(filter) | ShowStatementFilterPosition::Suffix(filter)) => {
            Some(filter)
        }
        None => None,
    };
    let rows = match filter {
        Some(ShowStatementFilter::Like(pattern)) => rows.filter(col("schema_name").like(lit(pattern)))?,
        Some(ShowStatementFilter::ILike(pattern)) => rows.filter(col("schema_name").ilike(lit(pattern)))?,
        Some(other) => {
            let message = format!("SHOW SCHEMAS takes LIKE 'pattern', found {other}");
            return Err(datafusion::error::DataFusionError::Plan(message).into());
        }
        None => rows,
    };
    Ok(rows.sort(vec![col("schema_name").sort(true, false)])?)
}
