//! `DROP JOB`.

use crate::StatementContext;
use crate::context::done;
use crate::error::{Result, StatementError};
use crate::execute::Execute;
use crate::job::clock::now;
use crate::job::error::JobError;
use datafusion::prelude::DataFrame;
use nightjar_sql::DropJob;

impl Execute for DropJob {
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
