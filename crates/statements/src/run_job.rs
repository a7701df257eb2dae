//! `RUN JOB`.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use datafusion::error::DataFusionError;
use datafusion::prelude::DataFrame;
use datafusion::sql::parser::DFParser;
use nightjar_jobs::{Action, Cause, Event};

use crate::StatementContext;
use crate::clock::now;
use crate::create_job::note_daemon;
use crate::error::{Result, StatementError};
use crate::grammar::{at, expect, expect_end};
use crate::job_ledger::decide;
use crate::names::{parse_identifier, quote_identifier};
use crate::statement::{Execute, StatementKind};

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

impl Execute for RunJob {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }

    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        let catalog = context.store.catalog();
        let actions = catalog
            .change_jobs::<_, StatementError>(|ledger| decide(ledger, &self.name, Event::Requested, now()))?;
        note_daemon(context)?;
        let opened = actions.iter().find_map(|action| match action {
            Action::Open { run, cause: Cause::Request, .. } => Some(*run),
            _ => None,
        });
        let run_id: ArrayRef = Arc::new(Int64Array::from(vec![opened]));
        let rows = RecordBatch::try_from_iter([("run_id", run_id)]).map_err(DataFusionError::from)?;
        Ok(context.session.read_batch(rows)?)
    }
}
