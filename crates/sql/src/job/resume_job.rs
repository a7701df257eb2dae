//! `RESUME JOB`.

use crate::error::Result;
use crate::parse::grammar::{at, expect, expect_end};
use crate::parse::names::{parse_identifier, quote_identifier};
use crate::statement::{Statement, StatementKind};
use datafusion_sql::parser::DFParser;
use std::fmt;

pub(crate) static KIND: StatementKind = StatementKind {
    name: "RESUME JOB",
    syntax: "RESUME JOB name",
    summary: "Resumes a job that was paused, or suspended after failures. The times that went by meanwhile are left out.",
    example: "RESUME JOB nightly",
    starts: |parser| at(parser, &["RESUME", "JOB"]),
    parse: |parser| Ok(Box::new(ResumeJob::parse(parser)?)),
};

/// Resumes a job.
#[derive(Debug, Clone, PartialEq)]
pub struct ResumeJob {
    /// The job.
    pub name: String,
}

impl ResumeJob {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        let parser = &mut parser.parser;
        expect(parser, &["RESUME", "JOB"])?;
        let name = parse_identifier(parser, "a job's name")?;
        expect_end(parser, &[])?;
        Ok(Self { name })
    }
}

impl fmt::Display for ResumeJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RESUME JOB {}", quote_identifier(&self.name))
    }
}

impl Statement for ResumeJob {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }
}
