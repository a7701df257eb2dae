//! Plans a statement: which of its names may be files, and whether its schemas exist.
//!
//! DataFusion's planner has forgotten how a name was written when it asks for the table, so the names in quotes travel
//! beside it. Of what is looked up outside of [`plan_statement`], only what no name without quotes can be may be a file.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use datafusion::common::TableReference;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::{CopyToSource, Statement as DataFusionStatement};
use datafusion::sql::sqlparser::ast::{
    ObjectName, ObjectNamePart, Statement as SqlStatement, visit_relations,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use nightjar_functions::CATALOG;
use nightjar_names::TableName;

use crate::error::{Result, StatementError};
use nightjar_sql::{SyntaxTree, exact_numbers};

use crate::headings::name_statement;

/// SQL's own schema, which every catalog has.
const INFORMATION_SCHEMA: &str = "information_schema";

tokio::task_local! {
    /// The names of the statement being planned that are written in quotes.
    static QUOTED: Arc<HashSet<String>>;
}

/// Plans a statement. Names that it writes in quotes may be files; all others are tables.
///
/// # Errors
/// Those of DataFusion's planner and of the tables that the statement names; schemas that are not there.
pub fn plan_statement<'a>(
    state: &'a SessionState,
    statement: &SyntaxTree<DataFusionStatement>,
) -> BoxFuture<'a, DataFusionResult<LogicalPlan>> {
    let quoted = quoted_names(statement);
    plan(state, (**statement).clone(), quoted)
}

/// Plans a statement none of whose names is a file.
pub(crate) fn plan_over_tables<'a>(
    state: &'a SessionState,
    statement: &SyntaxTree<DataFusionStatement>,
) -> BoxFuture<'a, DataFusionResult<LogicalPlan>> {
    plan(state, (**statement).clone(), HashSet::new())
}

fn plan(
    state: &SessionState,
    mut statement: DataFusionStatement,
    quoted: HashSet<String>,
) -> BoxFuture<'_, DataFusionResult<LogicalPlan>> {
    name_partitions(&mut statement, state.config_options().sql_parser.enable_ident_normalization);
    name_statement(&mut statement);
    exact_numbers(&mut statement);
    // To DataFusion a temporary table is a table of the session as any other.
    if let DataFusionStatement::Statement(statement) = &mut statement
        && let SqlStatement::CreateTable(create) = statement.as_mut()
    {
        create.temporary = false;
    }
    let checked = check_schemas(state, &statement);
    let named = state.resolve_table_references(&statement).unwrap_or_default();
    async move {
        checked?;
        let planned = QUOTED.scope(Arc::new(quoted), state.statement_to_plan(statement)).await;
        planned.map_err(|error| with_nearest_table(state, &named, error))
    }
    .boxed()
}

/// Returns the failure to find a table with the table that may have been meant.
fn with_nearest_table(
    state: &SessionState,
    named: &[TableReference],
    error: DataFusionError,
) -> DataFusionError {
    // A file of that name in the working folder is the better hint.
    if !nightjar_functions::instead(&error).is_some_and(|hint| hint.starts_with("SHOW TABLES")) {
        return error;
    }
    let message = error.find_root().strip_backtrace();
    let defaults = &state.config_options().catalog;
    let full =
        |name: &TableReference| name.clone().resolve(&defaults.default_catalog, &defaults.default_schema);
    let missing = named.iter().find(|name| message.contains(&format!("table '{}' not found", full(name))));
    let nearest = missing.map(full).and_then(|missing| {
        let known = state.catalog_list().catalog(&missing.catalog)?.schema(&missing.schema)?.table_names();
        nightjar_errors::nearest(&missing.table, known.iter().map(String::as_str)).map(str::to_owned)
    });
    match (missing, nearest) {
        (Some(name), Some(nearest)) => {
            let error = StatementError::TableUnknown { name: name.to_string(), nearest };
            DataFusionError::External(Box::new(error))
        }
        _ => error,
    }
}

/// Whether a name of the statement that is being planned may be a file: it is written in quotes, everywhere.
pub fn may_be_file(name: &str) -> bool {
    // Outside of `plan_statement`, in DataFusion's own contexts, nobody says what was quoted; a name with such characters was.
    QUOTED
        .try_with(|quoted| quoted.contains(name))
        .unwrap_or_else(|_| name.contains(['/', '.', '*', '?', '[']))
}

/// Returns the full name that a name in a statement has in a session.
///
/// # Errors
/// A catalog that is not there.
pub fn table_name(state: &SessionState, name: impl Into<TableReference>) -> Result<TableName> {
    let defaults = &state.config_options().catalog;
    let name = name.into().resolve(&defaults.default_catalog, &defaults.default_schema);
    if *name.catalog != *CATALOG {
        return Err(StatementError::CatalogUnknown { name: name.catalog.to_string() });
    }
    Ok(TableName::new(&*name.schema, &*name.table))
}

/// Refuses names of catalogs and schemas that are not there, which DataFusion would call unknown tables.
fn check_schemas(state: &SessionState, statement: &DataFusionStatement) -> DataFusionResult<()> {
    let defaults = &state.config_options().catalog;
    for reference in state.resolve_table_references(statement)? {
        let written = reference.to_string();
        let name = reference.resolve(&defaults.default_catalog, &defaults.default_schema);
        let Some(catalog) = state.catalog_list().catalog(&name.catalog) else {
            let error = StatementError::CatalogUnknown { name: name.catalog.to_string() };
            return Err(DataFusionError::External(Box::new(error)));
        };
        if *name.schema == *INFORMATION_SCHEMA || catalog.schema(&name.schema).is_some() {
            continue;
        }
        let known = catalog.schema_names();
        let nearest = nightjar_errors::nearest(&name.schema, known.iter().map(String::as_str));
        let error = StatementError::SchemaUnknown {
            name: name.schema.to_string(),
            nearest: nearest.map(str::to_owned),
            file: Path::new(&written).exists().then_some(written),
        };
        return Err(DataFusionError::External(Box::new(error)));
    }
    Ok(())
}

/// Puts the columns of PARTITIONED BY as SQL names them: DataFusion's parser keeps their quotes, and their capitals without quotes.
fn name_partitions(statement: &mut DataFusionStatement, normalize: bool) {
    let columns = match statement {
        DataFusionStatement::CopyTo(copy) => &mut copy.partitioned_by,
        DataFusionStatement::CreateExternalTable(create) => &mut create.table_partition_cols,
        DataFusionStatement::Explain(explain) => return name_partitions(&mut explain.statement, normalize),
        DataFusionStatement::Statement(_) | DataFusionStatement::Reset(_) => return,
    };
    for column in columns {
        let quote = column.chars().next().filter(|quote| ['"', '`'].contains(quote) && column.len() > 1);
        *column = match quote {
            Some(quote) => {
                column[1..column.len() - 1].replace(&format!("{quote}{quote}"), &quote.to_string())
            }
            None if normalize => column.to_lowercase(),
            None => continue,
        };
    }
}

/// How often a name stands in a statement.
#[derive(Default)]
struct Uses {
    quoted: usize,
    plain: usize,
}

/// Returns the names without a schema that are in quotes wherever they stand. The name that CREATE gives is none of them: it is not
/// looked up.
fn quoted_names(statement: &DataFusionStatement) -> HashSet<String> {
    let mut uses: HashMap<String, Uses> = HashMap::new();
    count_uses(statement, &mut uses);
    let quoted = uses.into_iter().filter(|(_, uses)| uses.quoted > 0 && uses.plain == 0);
    quoted.map(|(name, _)| name).collect()
}

fn count_uses(statement: &DataFusionStatement, uses: &mut HashMap<String, Uses>) {
    let mut count = |name: &ObjectName| {
        note(name, uses, |uses| uses + 1);
        ControlFlow::<()>::Continue(())
    };
    match statement {
        DataFusionStatement::Statement(statement) => {
            let _ = visit_relations(statement.as_ref(), &mut count);
            if let Some(made) = created_name(statement) {
                note(made, uses, |uses| uses.saturating_sub(1));
            }
        }
        DataFusionStatement::CopyTo(copy) => {
            let _ = match &copy.source {
                CopyToSource::Relation(name) => count(name),
                CopyToSource::Query(query) => visit_relations(query.as_ref(), &mut count),
            };
        }
        DataFusionStatement::Explain(explain) => count_uses(&explain.statement, uses),
        DataFusionStatement::CreateExternalTable(_) | DataFusionStatement::Reset(_) => {}
    }
}

fn created_name(statement: &SqlStatement) -> Option<&ObjectName> {
    match statement {
        SqlStatement::CreateTable(create) => Some(&create.name),
        SqlStatement::CreateView(create) => Some(&create.name),
        _ => None,
    }
}

fn note(name: &ObjectName, uses: &mut HashMap<String, Uses>, change: impl Fn(usize) -> usize) {
    let [ObjectNamePart::Identifier(ident)] = name.0.as_slice() else {
        return;
    };
    if ident.quote_style.is_some() {
        let uses = uses.entry(ident.value.clone()).or_default();
        uses.quoted = change(uses.quoted);
        return;
    }
    // Whether the session puts such names in small letters is its setting: neither spelling is a file.
    let small = ident.value.to_lowercase();
    if small != ident.value {
        let uses = uses.entry(small).or_default();
        uses.plain = change(uses.plain);
    }
    let uses = uses.entry(ident.value.clone()).or_default();
    uses.plain = change(uses.plain);
}

#[cfg(test)]
mod tests {
    use datafusion::sql::parser::DFParser;

    use super::*;

    fn quoted(sql: &str) -> Vec<String> {
        let statement = DFParser::parse_sql(sql).unwrap().pop_front().unwrap();
        let mut names: Vec<String> = quoted_names(&statement).into_iter().collect();
        names.sort();
        names
    }

    #[test]
    fn only_names_in_quotes_may_be_files() {
        for (sql, expected) in [
            ("SELECT * FROM orders", &[][..]),
            ("SELECT * FROM 'orders', \"a.csv\" AS a, st.'b'", &["a.csv", "orders"]),
            ("INSERT INTO orders SELECT * FROM 'in/'", &["in/"]),
            ("INSERT OVERWRITE 'orders/' SELECT 1", &["orders/"]),
            ("COPY orders TO 'x.csv'", &[]),
            ("COPY 'orders/' TO 'x.csv'", &["orders/"]),
            ("COPY (SELECT * FROM 'orders/') TO 'x.csv'", &["orders/"]),
            ("EXPLAIN ANALYZE SELECT (SELECT max(a) FROM 'orders') FROM t", &["orders"]),
            ("CREATE TABLE orders AS SELECT * FROM 'orders'", &["orders"]),
            ("CREATE VIEW 'orders' AS SELECT * FROM t", &[]),
            ("SELECT * FROM Orders JOIN 'orders' ON true", &[]),
            ("SELECT * FROM 'Orders' JOIN 'orders' ON true", &["Orders", "orders"]),
            ("DELETE FROM orders WHERE id IN (SELECT id FROM 'gone.csv')", &["gone.csv"]),
            ("DESCRIBE 'orders'", &["orders"]),
        ] {
            assert_eq!(quoted(sql), expected, "{sql}");
        }
    }
}
