//! `DROP MATERIALIZED VIEW`.

use std::fmt;

use datafusion::prelude::DataFrame;
use datafusion::sql::parser::DFParser;

use crate::StatementContext;
use crate::context::done;
use crate::error::Result;
use crate::grammar::{accept, at, expect, expect_end};
use crate::names::{parse_identifier, quote_identifier};
use crate::statement::{Execute, StatementKind};

pub(crate) static KIND: StatementKind = StatementKind {
    name: "DROP MATERIALIZED VIEW",
    syntax: "DROP MATERIALIZED VIEW [IF EXISTS] name",
    summary: "Removes a materialized view with its rows, whose files go when views are written next, an hour later or more: a query that was begun \
        before may read them. The files that its query reads stay.",
    example: "DROP MATERIALIZED VIEW IF EXISTS labelled",
    starts: |parser| at(parser, &["DROP", "MATERIALIZED", "VIEW"]),
    parse: |parser| Ok(Box::new(DropMaterializedView::parse(parser)?)),
};

/// Removes a materialized view.
#[derive(Debug, Clone, PartialEq)]
pub struct DropMaterializedView {
    /// Whether a view that is not there makes the statement do nothing.
    pub if_exists: bool,
    /// The view.
    pub name: String,
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
        let name = parse_identifier(parser, "a view's name")?;
        expect_end(parser, &[])?;
        Ok(Self { if_exists, name })
    }
}

impl fmt::Display for DropMaterializedView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let if_exists = if self.if_exists { " IF EXISTS" } else { "" };
        write!(f, "DROP MATERIALIZED VIEW{if_exists} {}", quote_identifier(&self.name))
    }
}

impl Execute for DropMaterializedView {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }

    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        if !context.store.catalog().drop_materialized_view(&self.name, self.if_exists)? {
            context.watch.note(&format!("there is no materialized view {}; nothing was done", self.name));
        }
        done(context)
    }
}
