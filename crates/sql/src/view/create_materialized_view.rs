//! `CREATE MATERIALIZED VIEW`.

use crate::error::{Result, SqlError};
use crate::parse::clauses;
use crate::parse::grammar::{accept, error_at, expect, expect_end, word_at};
use crate::parse::names::{parse_table, quote_table};
use crate::parse::syntax_tree::SyntaxTree;
use crate::parse::with_clause::accept_with;
use crate::statement::{Statement, StatementKind};
use crate::uses::Uses;
use datafusion_sql::parser::{DFParser, Statement as DataFusionStatement};
use datafusion_sql::sqlparser::ast::{Query, SetExpr, Statement as SqlStatement, Value};
use datafusion_sql::sqlparser::parser::Parser;
use nightjar_names::OnModelChange;
use std::fmt;

pub(crate) static KIND: StatementKind = StatementKind {
    name: "CREATE MATERIALIZED VIEW",
    syntax: "CREATE [OR REPLACE] MATERIALIZED VIEW [IF NOT EXISTS] name
    [WITH (on_model_change = { 'full' | 'keep' })]
    AS query",
    summary: "Keeps the rows of a query, and reads them by its name as those of a table. `REFRESH MATERIALIZED VIEW` brings \
        them up to date. `on_model_change` says what a refresh does with rows that an earlier version of a model made: \
        makes them anew (`full`, the default), or keeps them and uses the new version for new files only. Returns \
        the row that a refresh does.",
    example: "CREATE MATERIALIZED VIEW labelled AS
    SELECT id, review, classify(review, 'sentiment') AS label FROM 'reviews/*.parquet' WHERE review IS NOT NULL",
    starts: |parser| is_create_materialized_view(parser),
    parse: |parser| Ok(Box::new(CreateMaterializedView::parse(parser)?)),
};

/// Keeps the rows of a query.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateMaterializedView {
    /// Whether it takes the place of a materialized view of that name.
    pub or_replace: bool,
    /// Whether a table or view of that name makes the statement do nothing.
    pub if_not_exists: bool,
    /// The name, with its schema and catalog if they are given.
    pub name: Vec<String>,
    /// What a refresh does with rows of earlier models; as if it were `full` where it is not given.
    pub on_model_change: Option<OnModelChange>,
    /// The query.
    pub query: SyntaxTree<Query>,
}

fn is_create_materialized_view(parser: &Parser<'_>) -> bool {
    let is = |n, keyword: &str| word_at(parser, n).as_deref() == Some(keyword);
    let skip = if is(1, "OR") && is(2, "REPLACE") { 3 } else { 1 };
    is(0, "CREATE") && is(skip, "MATERIALIZED") && is(skip + 1, "VIEW")
}

impl CreateMaterializedView {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        let parser = &mut parser.parser;
        expect(parser, &["CREATE"])?;
        let or_replace = accept(parser, &["OR", "REPLACE"]);
        expect(parser, &["MATERIALIZED", "VIEW"])?;
        let conflict = parser.peek_token();
        let if_not_exists = accept(parser, &["IF", "NOT", "EXISTS"]);
        if or_replace && if_not_exists {
            return Err(error_at(&conflict, "OR REPLACE and IF NOT EXISTS exclude each other"));
        }
        let name = parse_table(parser, "a view's name")?;
        let with = parser.peek_token();
        let options = accept_with(parser)?;
        let on_model_change =
            read_options(&options).map_err(|message| error_at(&with, message).or_hint(option_hint))?;
        expect(parser, &["AS"])?;
        let first = parser.peek_token();
        let query = parser.parse_query();
        let mut query = query.map_err(|error| SqlError::from_parser(&error, first.span.start))?;
        if matches!(
            *query.body,
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_)
        ) {
            return Err(error_at(
                &first,
                "the rows come from a statement that changes a table, not from a query",
            ));
        }
        expect_end(parser, &[])?;
        clauses::follow_in(&mut query)?;
        Ok(Self { or_replace, if_not_exists, name, on_model_change, query: query.into() })
    }
}

fn option_hint() -> Option<String> {
    Some("WITH (on_model_change = 'full'), or 'keep'".to_owned())
}

fn read_options(options: &[(String, Value)]) -> Result<Option<OnModelChange>, String> {
    let mut found = None;
    for (name, value) in options {
        if name != "on_model_change" {
            return Err(format!("a materialized view has no option {name}"));
        }
        if found.is_some() {
            return Err("option on_model_change is given twice".to_owned());
        }
        let Value::SingleQuotedString(text) = value else {
            return Err(format!("option on_model_change cannot be {value}"));
        };
        found = Some(text.parse().map_err(|()| format!("option on_model_change cannot be {value}"))?);
    }
    Ok(found)
}

impl fmt::Display for CreateMaterializedView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_replace = if self.or_replace { " OR REPLACE" } else { "" };
        let if_not_exists = if self.if_not_exists { " IF NOT EXISTS" } else { "" };
        write!(f, "CREATE{or_replace} MATERIALIZED VIEW{if_not_exists} {}", quote_table(&self.name))?;
        if let Some(on_model_change) = self.on_model_change {
            write!(f, " WITH (on_model_change = '{on_model_change}')")?;
        }
        write!(f, " AS {}", self.query)
    }
}

impl Statement for CreateMaterializedView {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }

    fn uses(&self) -> Uses {
        let query = SqlStatement::Query(Box::new((*self.query).clone()));
        let query = SyntaxTree::new(DataFusionStatement::Statement(Box::new(query)));
        Uses { queries: vec![query], makes_table: Some(self.name.clone()), ..Uses::default() }
    }
}
