//! Makes the statements that the catalog keeps independent of where they were typed.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::{Path, absolute};

use datafusion::sql::parser::{DFParser, Statement as DataFusionStatement};
use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, ObjectNamePart, Statement as SqlStatement, visit_relations, visit_relations_mut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use nightjar_catalog::{Store, TableKind};

use crate::error::{EngineError, Result};

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

/// Makes the relative files that a query names in FROM absolute.
pub(crate) fn absolute_relations(statement: &mut SqlStatement) {
    let _: ControlFlow<()> = visit_relations_mut(statement, |relation: &mut ObjectName| {
        if let [ObjectNamePart::Identifier(ident)] = relation.0.as_mut_slice()
            && ident.quote_style == Some('\'')
        {
            ident.value = absolute_path(&ident.value);
        }
        ControlFlow::Continue(())
    });
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
pub(crate) fn check_no_cycle(store: &Store, name: &str, statement: &SqlStatement) -> Result<()> {
    let mut open = vec![(vec![name.to_owned()], relations(statement))];
    let mut seen = HashSet::new();
    while let Some((path, names)) = open.pop() {
        for found in names {
            let mut path = path.clone();
            path.push(found.clone());
            if found == name {
                return Err(EngineError::ViewCycle { name: name.to_owned(), path: path.join(" → ") });
            }
            let Some(definition) = store.catalog().table(&found)? else {
                continue;
            };
            if definition.kind != TableKind::View || !seen.insert(found) {
                continue;
            }
            for parsed in DFParser::parse_sql(&definition.sql).into_iter().flatten() {
                if let DataFusionStatement::Statement(view) = parsed {
                    open.push((path.clone(), relations(&view)));
                }
            }
        }
    }
    Ok(())
}

/// Returns the plain table names that a statement reads, as the catalog spells them.
fn relations(statement: &SqlStatement) -> Vec<String> {
    let body = match statement {
        SqlStatement::CreateView(view) => SqlStatement::Query(view.query.clone()),
        other => other.clone(),
    };
    let mut names = Vec::new();
    let _: ControlFlow<()> = visit_relations(&body, |relation: &ObjectName| {
        if let Some(ObjectNamePart::Identifier(ident)) = relation.0.last() {
            names.push(normal(ident));
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
