//! `DROP MATERIALIZED VIEW`.

use crate::error::Result;
use crate::parse::grammar::{accept, accept_cascade, at, expect, expect_end};
use crate::parse::names::{parse_table, quote_table};
use crate::statement::{Statement, StatementKind};
use crate::uses::Uses;
use datafusion_sql::parser::DFParser;
use std::fmt;

pub(crate) static KIND: StatementKind = StatementKind {
    name: "DROP MATERIALIZED VIEW",
    syntax: "DROP MATERIALIZED VIEW [IF EXISTS] name [CASCADE | RESTRICT]",
    summary: "Removes a materialized view with its rows, whose files go when views are written next, an hour later or more: a query that was begun \
        before may read them. The files that its query reads stay. One that views or jobs \
        name is kept, unless CASCADE drops those views too.",
    example: "DROP MATERIALIZED VIEW IF EXISTS labelled",
    starts: |parser| at(parser, &["DROP", "MATERIALIZED", "VIEW"]),
    parse: |parser| Ok(Box::new(DropMaterializedView::parse(parser)?)),
};

/// Removes a materialized view.
#[derive(Debug, Clone, PartialEq)]
pub struct DropMaterializedView {
    /// Whether a view that is not there makes the statement do nothing.
    pub if_exists: bool,
    /// The view's name, with its schema and catalog if they are given.
    pub name: Vec<String>,
    /// Whether the views that use it are dropped too.
    pub cascade: bool,
}

impl DropMaterializedView {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        let parser = &mut parser.parser;
        expect(parser, &["DROP", "MATERIALIZED", "VIEW"])?;
        let if_exists = accept(parser, &["IF", "EXISTS"]);
        let name = parse_table(parser, "a view's name")?;
        let cascade = accept_cascade(parser);
        expect_end(parser, &["CASCADE", "RESTRICT"])?;
        Ok(Self { if_exists, name, cascade })
    }
}

impl fmt::Display for DropMaterializedView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let if_exists = if self.if_exists { " IF EXISTS" } else { "" };
        let cascade = if self.cascade { " CASCADE" } else { "" };
        write!(f, "DROP MATERIALIZED VIEW{if_exists} {}{cascade}", quote_table(&self.name))
    }
}

impl Statement for DropMaterializedView {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }

    fn uses(&self) -> Uses {
        Uses { makes_table: Some(self.name.clone()), ..Uses::default() }
    }
}
