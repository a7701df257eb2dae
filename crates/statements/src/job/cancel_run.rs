//! `CANCEL RUN`.

use crate::StatementContext;
use crate::context::done;
use crate::error::{Result, StatementError};
use crate::execute::Execute;
use crate::job::clock::now;
use crate::job::error::JobError;
use crate::job::ledger::decide;
use datafusion::prelude::DataFrame;
use nightjar_jobs::Event;
use nightjar_sql::CancelRun;

impl Execute for CancelRun {
    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        context.store.catalog().change_jobs::<_, StatementError>(|ledger| {
            let run = ledger.run(self.run)?;
            if run.finished_at.is_some() {
                return Err(JobError::RunEnded { run: self.run, job: run.job, status: run.status }.into());
            }
            decide(ledger, &run.job, Event::Cancel { run: self.run }, now())?;
            let told = ledger.run(self.run)?;
            if told.status == "stopping" && told.fence.is_none() {
                // There is nobody at it who could stop.
                decide(ledger, &run.job, Event::Ended { run: self.run, succeeded: false }, now())?;
            }
            Ok(())
        })?;
        done(context)
    }
}
