//! `RESUME JOB`.

use std::fmt;

use datafusion::prelude::DataFrame;
use datafusion::sql::parser::DFParser;
use nightjar_jobs::Event;

use crate::StatementContext;
use crate::clock::now;
use crate::context::done;
use crate::create_job::note_daemon;
use crate::error::{Result, StatementError};
use crate::grammar::{at, expect, expect_end};
use crate::job_ledger::decide;
use crate::names::{parse_identifier, quote_identifier};
use crate::statement::{Execute, StatementKind};

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

impl Execute for ResumeJob {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }

    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        let catalog = context.store.catalog();
        catalog
            .change_jobs::<_, StatementError>(|ledger| decide(ledger, &self.name, Event::Resume, now()))?;
        note_daemon(context)?;
        done(context)
    }
}
