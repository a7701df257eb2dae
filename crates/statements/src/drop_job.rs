//! `DROP JOB`.

use std::fmt;

use datafusion::prelude::DataFrame;
use datafusion::sql::parser::DFParser;

use crate::StatementContext;
use crate::clock::now;
use crate::context::done;
use crate::error::{Result, StatementError};
use crate::grammar::{accept, at, expect, expect_end};
use crate::job_error::JobError;
use crate::names::{parse_identifier, quote_identifier};
use crate::statement::{Execute, StatementKind};

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

impl Execute for DropJob {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }

    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        let dropped = context.store.catalog().change_jobs::<_, StatementError>(|ledger| {
            if self.if_exists && ledger.find(&self.name)?.is_none() {
                return Ok(false);
            }
            let name = ledger.job(&self.name)?.name;
            if let Some(downstream) = ledger.downstream(&name)?.into_iter().next() {
                return Err(JobError::HasDownstream { name, downstream }.into());
            }
            let at = now().timestamp_micros();
            for mut run in ledger.open_runs(&name)? {
                ledger.log(run.run_id, run.attempt, at, "cancelled: the job was dropped")?;
                (run.status, run.finished_at) = ("cancelled".to_owned(), Some(at));
                (run.since, run.until, run.reason) = (None, None, None);
                ledger.put_run(&run)?;
            }
            ledger.remove(&name)?;
            Ok(true)
        })?;
        if !dropped {
            context.watch.note(&format!("there is no job {}; nothing was done", self.name));
        }
        done(context)
    }
}
