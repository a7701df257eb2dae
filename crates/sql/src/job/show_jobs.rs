//! `SHOW JOBS`.

use crate::error::Result;
use crate::parse::grammar::{at, expect, expect_end};
use crate::statement::{Statement, StatementKind};
use datafusion_sql::parser::DFParser;
use datafusion_sql::sqlparser::tokenizer::Token;
use std::fmt;

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

impl Statement for ShowJobs {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }
}
