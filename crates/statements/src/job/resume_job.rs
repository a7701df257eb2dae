//! `RESUME JOB`.

use crate::StatementContext;
use crate::context::done;
use crate::error::{Result, StatementError};
use crate::execute::Execute;
use crate::job::clock::now;
use crate::job::create_job::note_daemon;
use crate::job::ledger::decide;
use datafusion::prelude::DataFrame;
use nightjar_jobs::Event;
use nightjar_sql::ResumeJob;

impl Execute for ResumeJob {
    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        let catalog = context.store.catalog();
        catalog
            .change_jobs::<_, StatementError>(|ledger| decide(ledger, &self.name, Event::Resume, now()))?;
        note_daemon(context)?;
        done(context)
    }
}
