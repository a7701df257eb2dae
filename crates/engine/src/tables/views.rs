//! Makes the statements that the catalog keeps independent of where they were typed.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::{Path, absolute};

use datafusion::common::TableReference;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::planner::object_name_to_table_reference;
use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, ObjectNamePart, Statement as SqlStatement, visit_relations, visit_relations_mut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use nightjar_catalog::{Store, TableKind};
use nightjar_names::TableName;
use nightjar_sql::{Parsed, parse_statements};

use super::files::looks_like_path;
use crate::error::{EngineError, Result};
use crate::registration::SCHEMA;

/// Returns a CREATE EXTERNAL TABLE statement's text with its relative locations made absolute.
///
/// The text is spliced rather than printed from the syntax tree, because DataFusion's tree prints only a part of
/// the statement.
pub(crate) fn absolute_location(sql: &str) -> String {
    let dialect = GenericDialect {};
    let Ok(tokens) = Tokenizer::new(&dialect, sql).with_unescape(false).tokenize() else {
        return sql.to_owned();
    };
    let mut after_location = false;
    let mut out = String::with_capacity(sql.len());
    for token in &tokens {
        match token {
            Token::Word(word) => after_location = word.value.eq_ignore_ascii_case("LOCATION"),
            Token::SingleQuotedString(path) if after_location => {
                out.push_str(&Token::SingleQuotedString(absolute_path(path)).to_string());
                continue;
            }
            _ => {}
        }
        out.push_str(&token.to_string());
    }
    out
}

/// Makes the relative files that a query names in FROM absolute. A name in quotes that is a table's stays.
pub(crate) fn absolute_relations(context: &SessionContext, statement: &mut SqlStatement) -> Result<()> {
    let state = context.state();
    let made = match &*statement {
        SqlStatement::CreateView(view) => Some(view.name.clone()),
        _ => None,
    };
    // Without the names that WITH gives.
    let read =
        state.resolve_table_references(&DataFusionStatement::Statement(Box::new(statement.clone())))?;
    let read: HashSet<TableReference> = read.into_iter().collect();
    let is_file = |ident: &Ident| {
        let name = TableReference::bare(ident.value.clone());
        let quoted = match ident.quote_style {
            Some('\'') => true,
            Some(_) => looks_like_path(&ident.value),
            None => false,
        };
        quoted && read.contains(&name) && !context.table_exist(name).unwrap_or(false)
    };
    let defaults = state.config_options().catalog.clone();
    let normalize = state.config_options().sql_parser.enable_ident_normalization;
    let _: ControlFlow<()> = visit_relations_mut(statement, |relation: &mut ObjectName| {
        let [ObjectNamePart::Identifier(ident)] = relation.0.as_mut_slice() else {
            return ControlFlow::Continue(());
        };
        if is_file(ident) {
            ident.value = absolute_path(&ident.value);
            return ControlFlow::Continue(());
        }
        // A stored name without a schema is one of the default schema, whatever the session's default is.
        let name = object_name_to_table_reference(relation.clone(), normalize);
        if defaults.default_schema != SCHEMA && name.is_ok_and(|name| read.contains(&name)) {
            let schema = Ident::with_quote('"', &defaults.default_schema);
            relation.0.insert(0, ObjectNamePart::Identifier(schema));
        }
        ControlFlow::Continue(())
    });
    // The name that a view gets is no file.
    if let (SqlStatement::CreateView(view), Some(made)) = (statement, made) {
        view.name = made;
    }
    Ok(())
}

/// Returns a path from the root, keeping URLs and the final slash of folders.
fn absolute_path(path: &str) -> String {
    if path.contains("://") {
        return path.to_owned();
    }
    let slash = if path.ends_with('/') { "/" } else { "" };
    match absolute(Path::new(path)) {
        Ok(full) => {
            let full = full.to_string_lossy();
            format!("{}{slash}", full.trim_end_matches('/'))
        }
        Err(_) => path.to_owned(),
    }
}

/// Refuses a view whose query leads back to the view itself through stored views.
pub(crate) fn check_no_cycle(
    session: &SessionContext,
    store: &Store,
    name: &TableName,
    statement: &SqlStatement,
) -> Result<()> {
    let default = session.copied_config().options().catalog.default_schema.clone();
    let mut open = vec![(vec![name.to_string()], relations(statement, &default))];
    let mut seen = HashSet::new();
    while let Some((path, names)) = open.pop() {
        for found in names {
            let mut path = path.clone();
            path.push(found.to_string());
            if found == *name {
                return Err(EngineError::ViewCycle { name: name.to_string(), path: path.join(" → ") });
            }
            let Some(definition) = store.catalog().table(&found)? else {
                continue;
            };
            if definition.kind != TableKind::View || !seen.insert(found) {
                continue;
            }
            for parsed in parse_statements(&definition.sql).into_iter().flatten() {
                if let Parsed::Sql(parsed) = parsed.parsed
                    && let DataFusionStatement::Statement(view) = &*parsed
                {
                    open.push((path.clone(), relations(view, SCHEMA)));
                }
            }
        }
    }
    Ok(())
}

/// Returns the tables that a statement reads, as the catalog spells them.
fn relations(statement: &SqlStatement, default_schema: &str) -> Vec<TableName> {
    let body = match statement {
        SqlStatement::CreateView(view) => SqlStatement::Query(view.query.clone()),
        other => other.clone(),
    };
    let mut names = Vec::new();
    let _: ControlFlow<()> = visit_relations(&body, |relation: &ObjectName| {
        let parts: Vec<String> = relation.0.iter().filter_map(|part| part.as_ident()).map(normal).collect();
        match parts.as_slice() {
            [name] => names.push(TableName::new(default_schema, name)),
            [.., schema, name] => names.push(TableName::new(schema, name)),
            [] => {}
        }
        ControlFlow::Continue(())
    });
    names
}

fn normal(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_becomes_absolute_and_the_rest_stays() {
        let here = std::env::current_dir().unwrap();
        let sql = "CREATE EXTERNAL TABLE t (location VARCHAR, b INT) STORED AS CSV -- it's\n LOCATION 'a/b'' c/' OPTIONS ('x' 'y')";
        let expected = sql.replace("'a/b'' c/'", &format!("'{}/a/b'' c/'", here.display()));
        assert_eq!(absolute_location(sql), expected);
        let url = "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION 's3://b/k'";
        assert_eq!(absolute_location(url), url);
    }
}
