//! `RUN JOB`.

use crate::error::Result;
use crate::parse::grammar::{at, expect, expect_end};
use crate::parse::names::{parse_identifier, quote_identifier};
use crate::statement::{Statement, StatementKind};
use datafusion_sql::parser::DFParser;
use std::fmt;

pub(crate) static KIND: StatementKind = StatementKind {
    name: "RUN JOB",
    syntax: "RUN JOB name",
    summary: "Asks for a run of a job now, whatever its schedule and also where it is paused. Returns the run's number; a daemon runs it, after the one at work unless runs may overlap.",
    example: "RUN JOB nightly",
    starts: |parser| at(parser, &["RUN", "JOB"]),
    parse: |parser| Ok(Box::new(RunJob::parse(parser)?)),
};

/// Asks for a run of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct RunJob {
    /// The job.
    pub name: String,
}

impl RunJob {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        let parser = &mut parser.parser;
        expect(parser, &["RUN", "JOB"])?;
        let name = parse_identifier(parser, "a job's name")?;
        expect_end(parser, &[])?;
        Ok(Self { name })
    }
}

impl fmt::Display for RunJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RUN JOB {}", quote_identifier(&self.name))
    }
}

impl Statement for RunJob {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }
}
