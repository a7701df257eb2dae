//! `PAUSE JOB`.

use crate::error::Result;
use crate::parse::grammar::{at, expect, expect_end};
use crate::parse::names::{parse_identifier, quote_identifier};
use crate::statement::{Statement, StatementKind};
use datafusion_sql::parser::DFParser;
use std::fmt;

pub(crate) static KIND: StatementKind = StatementKind {
    name: "PAUSE JOB",
    syntax: "PAUSE JOB name",
    summary: "Pauses a job: its times are left out until `RESUME JOB`, and `nightjar.job_skips` says so. A run at work ends; one that waits to be tried again waits. `RUN JOB` still works.",
    example: "PAUSE JOB nightly",
    starts: |parser| at(parser, &["PAUSE", "JOB"]),
    parse: |parser| Ok(Box::new(PauseJob::parse(parser)?)),
};

/// Pauses a job.
#[derive(Debug, Clone, PartialEq)]
pub struct PauseJob {
    /// The job.
    pub name: String,
}

impl PauseJob {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        let parser = &mut parser.parser;
        expect(parser, &["PAUSE", "JOB"])?;
        let name = parse_identifier(parser, "a job's name")?;
        expect_end(parser, &[])?;
        Ok(Self { name })
    }
}

impl fmt::Display for PauseJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PAUSE JOB {}", quote_identifier(&self.name))
    }
}

impl Statement for PauseJob {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }
}
