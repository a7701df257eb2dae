//! `RUN JOB`.

use crate::StatementContext;
use crate::error::{Result, StatementError};
use crate::execute::Execute;
use crate::job::clock::now;
use crate::job::create_job::note_daemon;
use crate::job::ledger::decide;
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use datafusion::error::DataFusionError;
use datafusion::prelude::DataFrame;
use nightjar_jobs::{Action, Cause, Event};
use nightjar_sql::RunJob;
use std::sync::Arc;

impl Execute for RunJob {
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
