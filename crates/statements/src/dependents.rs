//! Who uses a table or a model: the views, materialized views and jobs that the store keeps.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::common::TableReference;
use datafusion::execution::session_state::SessionState;
use datafusion::sql::parser::{CopyToSource, Statement as DataFusionStatement};
use datafusion::sql::planner::object_name_to_table_reference;
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectName, Statement as SqlStatement, Value,
    visit_expressions,
};
use nightjar_catalog::TableKind;
use nightjar_functions::{CATALOG, SCHEMA, registry};
use nightjar_names::{ModelReference, TableName};

use crate::StatementContext;
use crate::error::{Result, StatementError};
use crate::job::create_job::body_of_json;
use nightjar_sql::{Parsed, Uses, parse_statements};

/// What may be in use.
#[derive(Debug, Clone, PartialEq)]
pub enum Used {
    /// A table or view.
    Table(TableName),
    /// A model; all of its versions if none is named.
    Model(ModelReference),
}

/// Who uses a table or a model.
#[derive(Debug, Default)]
struct Dependents {
    views: Vec<(TableName, TableKind)>,
    jobs: Vec<String>,
}

/// Clears the way for dropping something: refuses where it is in use, or with `cascade` drops the views and materialized views that use
/// it, and says which jobs do.
///
/// # Errors
/// [`StatementError::InUse`] without `cascade`; a catalog that can't be read.
pub fn release(context: &StatementContext, used: &Used, cascade: bool) -> Result<()> {
    let found = dependents(context, used)?;
    if found.views.is_empty() && found.jobs.is_empty() {
        return Ok(());
    }
    if !cascade {
        let views = found.views.iter().map(|(name, kind)| format!("{} {name}", words(*kind)));
        let by = views.chain(found.jobs.iter().map(|job| format!("job {job}"))).collect();
        return Err(StatementError::InUse { what: used.to_string(), by });
    }
    let catalog = context.store.catalog();
    for (name, kind) in &found.views {
        match kind {
            TableKind::Materialized => catalog.drop_materialized_view(name, true)?,
            _ => catalog.drop_table(name, true)?,
        };
        context.watch.note(&format!("{} {name} is dropped too: it used {used}", words(*kind)));
    }
    for job in &found.jobs {
        context.watch.note(&format!("job {job} uses {used} and will fail until its body is changed"));
    }
    Ok(())
}

/// Returns who uses something, directly or through views.
fn dependents(context: &StatementContext, used: &Used) -> Result<Dependents> {
    let catalog = context.store.catalog();
    let reader = Reader::new(context);
    let mut views = Vec::new();
    for table in catalog.tables()? {
        views.push((table.name, table.kind, reader.uses(&[table.sql])));
    }
    let mut jobs = Vec::new();
    for job in catalog.read_jobs(|ledger| ledger.jobs())? {
        jobs.push((job.name, reader.uses(&body_of_json(&job.body)?)));
    }
    let mut found = Dependents::default();
    let mut open = vec![used.clone()];
    while let Some(used) = open.pop() {
        for (name, kind, uses) in &views {
            let own = Used::Table(name.clone());
            let known = own == used || found.views.iter().any(|(found, _)| found == name);
            if !known && uses.has(&used) {
                found.views.push((name.clone(), *kind));
                open.push(own);
            }
        }
        for (job, uses) in &jobs {
            // A job that makes or drops it by itself knows what it does.
            if uses.has(&used) && !uses.made.contains(&unversioned(&used)) && !found.jobs.contains(job) {
                found.jobs.push(job.clone());
            }
        }
    }
    Ok(found)
}

/// What stored statements name.
#[derive(Debug, Default)]
struct Found {
    tables: HashSet<TableName>,
    models: Vec<ModelReference>,
    made: Vec<Used>,
}

impl Found {
    fn has(&self, used: &Used) -> bool {
        match used {
            Used::Table(name) => self.tables.contains(name),
            Used::Model(model) => self.models.iter().any(|named| {
                named.name == model.name && (model.version.is_none() || named.version == model.version)
            }),
        }
    }
}

fn unversioned(used: &Used) -> Used {
    match used {
        Used::Model(model) => Used::Model(ModelReference { version: None, ..model.clone() }),
        table => table.clone(),
    }
}

/// Reads stored statements, in a session of their own settings.
struct Reader {
    state: SessionState,
    functions: HashSet<String>,
}

impl Reader {
    fn new(context: &StatementContext) -> Self {
        let mut state = context.session.state();
        let catalog = &mut state.config_mut().options_mut().catalog;
        (catalog.default_catalog, catalog.default_schema) = (CATALOG.to_owned(), SCHEMA.to_owned());
        let functions = registry::all(&context.models).iter().map(|udf| udf.name().to_owned()).collect();
        Self { state, functions }
    }

    /// What can't be parsed any more uses nothing: it says so itself when it is run.
    fn uses(&self, statements: &[String]) -> Found {
        let mut found = Found::default();
        let script = statements.join(";\n");
        for statement in parse_statements(&script).into_iter().flatten() {
            match statement.parsed {
                Parsed::Sql(sql) => self.read(&sql, &mut found),
                Parsed::Nightjar(ours) => self.read_ours(&ours.uses(), &mut found),
            }
        }
        found
    }

    fn read_ours(&self, uses: &Uses, found: &mut Found) {
        uses.queries.iter().for_each(|query| self.read(query, found));
        found.tables.extend(uses.tables.iter().map(|names| self.table(names)));
        found.models.extend(uses.models.iter().cloned());
        if let Some(names) = &uses.makes_table {
            found.made.push(Used::Table(self.table(names)));
        }
        if let Some(name) = &uses.makes_model {
            found.made.push(Used::Model(ModelReference { name: name.clone(), version: None }));
        }
    }

    fn table(&self, names: &[String]) -> TableName {
        match names {
            [.., schema, name] => TableName::new(schema, name),
            _ => TableName::new(SCHEMA, names.concat()),
        }
    }

    fn read(&self, statement: &DataFusionStatement, found: &mut Found) {
        let references = self.state.resolve_table_references(statement).unwrap_or_default();
        let made = self.made(statement);
        let read = references.into_iter().map(|name| self.resolve(name));
        found.tables.extend(read.filter(|name| Some(name) != made.as_ref()));
        found.made.extend(made.map(Used::Table));
        let mut note = |expr: &Expr| {
            found.models.extend(self.models_of(expr));
            ControlFlow::<()>::Continue(())
        };
        let _ = match statement {
            DataFusionStatement::Statement(statement) => visit_expressions(statement.as_ref(), &mut note),
            DataFusionStatement::CopyTo(copy) => match &copy.source {
                CopyToSource::Query(query) => visit_expressions(query.as_ref(), &mut note),
                CopyToSource::Relation(_) => ControlFlow::Continue(()),
            },
            _ => ControlFlow::Continue(()),
        };
    }

    fn resolve(&self, name: TableReference) -> TableName {
        let name = name.resolve(CATALOG, SCHEMA);
        TableName::new(&*name.schema, &*name.table)
    }

    /// Returns the table that a statement makes or drops.
    fn made(&self, statement: &DataFusionStatement) -> Option<TableName> {
        let name: &ObjectName = match statement {
            DataFusionStatement::CreateExternalTable(create) => &create.name,
            DataFusionStatement::Statement(statement) => match statement.as_ref() {
                SqlStatement::CreateTable(create) => &create.name,
                SqlStatement::CreateView(create) => &create.name,
                SqlStatement::Drop { names, .. } => names.first()?,
                _ => return None,
            },
            _ => return None,
        };
        object_name_to_table_reference(name.clone(), true).ok().map(|name| self.resolve(name))
    }

    /// Returns what a call may name as its model: the texts among its arguments, but for the first, which is what it reads.
    fn models_of(&self, expr: &Expr) -> Vec<ModelReference> {
        let Expr::Function(call) = expr else { return Vec::new() };
        let FunctionArguments::List(list) = &call.args else { return Vec::new() };
        if !self.functions.contains(&call.name.to_string().to_lowercase()) {
            return Vec::new();
        }
        let texts = list.args.iter().skip(1).filter_map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) => Some(&value.value),
            _ => None,
        });
        let names = texts.filter_map(|value| match value {
            Value::SingleQuotedString(text) => text.parse().ok(),
            _ => None,
        });
        names.collect()
    }
}

fn words(kind: TableKind) -> &'static str {
    match kind {
        TableKind::External => "table",
        TableKind::View => "view",
        TableKind::Materialized => "materialized view",
    }
}

impl std::fmt::Display for Used {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Used::Table(name) => write!(f, "'{name}'"),
            Used::Model(model) => write!(f, "the model '{model}'"),
        }
    }
}
