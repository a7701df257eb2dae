//! `DROP JOB`.

use crate::error::Result;
use crate::parse::grammar::{accept, at, expect, expect_end};
use crate::parse::names::{parse_identifier, quote_identifier};
use crate::statement::{Statement, StatementKind};
use datafusion_sql::parser::DFParser;
use std::fmt;

pub(crate) static KIND: StatementKind = StatementKind {
    name: "DROP JOB",
    syntax: "DROP JOB [IF EXISTS] name",
    summary: "Removes a job. A run at work is cancelled; what the job has run stays in `nightjar.job_runs`. A job that others come after can't be dropped.",
    example: "DROP JOB IF EXISTS nightly",
    starts: |parser| at(parser, &["DROP", "JOB"]),
    parse: |parser| Ok(Box::new(DropJob::parse(parser)?)),
};

/// Removes a job.
#[derive(Debug, Clone, PartialEq)]
pub struct DropJob {
    /// Whether a job that is not there makes the statement do nothing.
    pub if_exists: bool,
    /// The job.
    pub name: String,
}

impl DropJob {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        let parser = &mut parser.parser;
        expect(parser, &["DROP", "JOB"])?;
        let if_exists = accept(parser, &["IF", "EXISTS"]);
        let name = parse_identifier(parser, "a job's name")?;
        expect_end(parser, &[])?;
        Ok(Self { if_exists, name })
    }
}

impl fmt::Display for DropJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let if_exists = if self.if_exists { " IF EXISTS" } else { "" };
        write!(f, "DROP JOB{if_exists} {}", quote_identifier(&self.name))
    }
}

impl Statement for DropJob {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }
}
