//! `SHOW JOBS`.

use datafusion::prelude::DataFrame;
use std::fmt;

use crate::StatementContext;

use datafusion::sql::parser::DFParser;
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::error::Result;
use crate::grammar::{at, expect, expect_end};
use crate::statement::{Execute, StatementKind};

pub(crate) static KIND: StatementKind = StatementKind {
    name: "SHOW JOBS",
    syntax: "SHOW JOBS",
    summary: "Lists the jobs, with their next and last runs. The table `nightjar.jobs` has their options and statements too.",
    example: "SHOW JOBS",
    // `SHOW jobs.x` is a setting of DataFusion's.
    starts: |parser| at(parser, &["SHOW", "JOBS"]) && parser.peek_nth_token_ref(2).token != Token::Period,
    parse: |parser| Ok(Box::new(ShowJobs::parse(parser)?)),
};

/// Lists the jobs.
#[derive(Debug, Clone, PartialEq)]
pub struct ShowJobs;

impl ShowJobs {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        expect(&mut parser.parser, &["SHOW", "JOBS"])?;
        expect_end(&parser.parser, &[])?;
        Ok(ShowJobs)
    }
}

impl fmt::Display for ShowJobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SHOW JOBS")
    }
}

impl Execute for ShowJobs {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }

    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        context.query("SELECT * EXCEPT (options, statement, created_at, updated_at) FROM nightjar.jobs ORDER BY name").await
    }
}
