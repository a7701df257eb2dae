//! `SHOW MATERIALIZED VIEWS`.

use crate::error::Result;
use crate::parse::grammar::{at, expect, expect_end};
use crate::statement::{Statement, StatementKind};
use datafusion_sql::parser::DFParser;
use std::fmt;

pub(crate) static KIND: StatementKind = StatementKind {
    name: "SHOW MATERIALIZED VIEWS",
    syntax: "SHOW MATERIALIZED VIEWS",
    summary: "Lists the materialized views. The rows are those of the table `nightjar.materialized_views`.",
    example: "SHOW MATERIALIZED VIEWS",
    starts: |parser| at(parser, &["SHOW", "MATERIALIZED", "VIEWS"]),
    parse: |parser| Ok(Box::new(ShowMaterializedViews::parse(parser)?)),
};

/// Lists the materialized views.
#[derive(Debug, Clone, PartialEq)]
pub struct ShowMaterializedViews;

impl ShowMaterializedViews {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        expect(&mut parser.parser, &["SHOW", "MATERIALIZED", "VIEWS"])?;
        expect_end(&parser.parser, &[])?;
        Ok(Self)
    }
}

impl fmt::Display for ShowMaterializedViews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SHOW MATERIALIZED VIEWS")
    }
}

impl Statement for ShowMaterializedViews {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }
}
