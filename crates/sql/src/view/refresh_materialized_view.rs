//! `REFRESH MATERIALIZED VIEW`.

use crate::error::Result;
use crate::parse::grammar::{accept, at, expect, expect_end};
use crate::parse::names::{parse_table, quote_table};
use crate::statement::{Statement, StatementKind};
use crate::uses::Uses;
use datafusion_sql::parser::DFParser;
use std::fmt;

pub(crate) static KIND: StatementKind = StatementKind {
    name: "REFRESH MATERIALIZED VIEW",
    syntax: "REFRESH MATERIALIZED VIEW name [FULL]",
    summary: "Brings the rows of a materialized view up to date. Of a query that maps the rows of one table of files \
        (columns, filters, scalar functions, model calls) only files are read that are new or have changed, and the rows \
        of those that are gone are dropped; any other query is run as a whole, and so is one whose models, columns or \
        definitions have changed, and any with `FULL`. Returns `mode` (`incremental`, `full` or `nothing`), the \
        `reason` for a full one, `files_added`, `files_removed`, `files_kept` and `rows_written`; a changed file counts as \
        added and removed. Readers see the rows of before until it is done, and then all of the new ones.",
    example: "REFRESH MATERIALIZED VIEW labelled",
    starts: |parser| at(parser, &["REFRESH", "MATERIALIZED", "VIEW"]),
    parse: |parser| Ok(Box::new(RefreshMaterializedView::parse(parser)?)),
};

/// Brings the rows of a materialized view up to date.
#[derive(Debug, Clone, PartialEq)]
pub struct RefreshMaterializedView {
    /// The view's name, with its schema and catalog if they are given.
    pub name: Vec<String>,
    /// Whether all rows are made anew, changed or not.
    pub full: bool,
}

impl RefreshMaterializedView {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        let parser = &mut parser.parser;
        expect(parser, &["REFRESH", "MATERIALIZED", "VIEW"])?;
        let name = parse_table(parser, "a view's name")?;
        let full = accept(parser, &["FULL"]);
        expect_end(parser, if full { &[] } else { &["FULL"] })?;
        Ok(Self { name, full })
    }
}

impl fmt::Display for RefreshMaterializedView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let full = if self.full { " FULL" } else { "" };
        write!(f, "REFRESH MATERIALIZED VIEW {}{full}", quote_table(&self.name))
    }
}

impl Statement for RefreshMaterializedView {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }

    fn uses(&self) -> Uses {
        Uses { tables: vec![self.name.clone()], ..Uses::default() }
    }
}
