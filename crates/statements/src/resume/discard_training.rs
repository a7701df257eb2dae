//! `DISCARD TRAINING OF`.

use crate::StatementContext;
use crate::context::done;
use crate::error::Result;
use crate::execute::Execute;
use crate::resume::resume_training::newest_resumable;
use crate::tensorboard_folder;
use datafusion::prelude::DataFrame;
use nightjar_catalog::TrainingOutcome;
use nightjar_sql::DiscardTraining;

impl Execute for DiscardTraining {
    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        let catalog = context.store.catalog();
        let mut next = Some(newest_resumable(context, &self.model)?);
        while let Some(run) = next {
            // The folder first: whoever has it knows that nobody is still writing.
            let folder = context.store.run_folder(run.run_id)?;
            catalog.adopt_run(run.run_id)?;
            let outcome = TrainingOutcome::Failed { error: "discarded by DISCARD TRAINING".to_owned() };
            catalog.finish_training(run.run_id, &outcome)?;
            folder.finish()?;
            tensorboard_folder::hide_run(&context.store, &self.model, run.run_id);
            next = catalog.resumable_run(&self.model, None)?;
        }
        done(context)
    }
}
