//! `SHOW MATERIALIZED VIEWS`.

use std::fmt;

use datafusion::prelude::DataFrame;
use datafusion::sql::parser::DFParser;

use crate::StatementContext;
use crate::error::Result;
use crate::grammar::{at, expect, expect_end};
use crate::statement::{Execute, StatementKind};

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

impl Execute for ShowMaterializedViews {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }

    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        context.query("SELECT * FROM nightjar.materialized_views ORDER BY name").await
    }
}
