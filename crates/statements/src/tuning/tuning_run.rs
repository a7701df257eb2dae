//! The run of a training in the catalog and its folder.

use datafusion::error::DataFusionError;
use nightjar_catalog::{RunFolder, RunId, Store, TrainingOutcome};
use nightjar_functions::{FunctionError, find_failure};
use nightjar_models::Failure;

use super::driver::fingerprint;
use crate::StatementContext;
use crate::error::{Result, StatementError};
use crate::training::Training;

/// Codes of errors that have nothing to do with the data or the options: the run can go on once they are mended.
const PASSING: &[&str] = &[
    "store_io",
    "storage_full",
    "catalog_database",
    "catalog_busy",
    "model_file_access",
    "model_exists",
    "training.folder",
    "training_cancelled",
];

/// A run that this process is at. Dropped before its end, it can be resumed.
pub(super) struct TuningRun {
    pub(super) id: RunId,
    pub(super) fingerprint: String,
    pub(super) folder: RunFolder,
    store: Store,
    open: bool,
}

impl TuningRun {
    /// Goes on with the resumable run of the same training, or begins one.
    ///
    /// # Errors
    /// `RunBusy` while another process is at the run.
    pub(super) fn open(context: &StatementContext, training: &Training<'_>) -> Result<Self> {
        let (store, catalog) = (context.store.clone(), context.store.catalog());
        let fingerprint = fingerprint(training);
        let resumable = context.resumable_run(training.name, &fingerprint)?;
        let (id, folder) = match resumable {
            Some(run) => {
                let folder = store.run_folder(run.run_id)?;
                catalog.adopt_run(run.run_id)?;
                context
                    .watch
                    .note(&format!("run {} of {} goes on where it stopped", run.run_id, training.name));
                (run.run_id, folder)
            }
            None => {
                let id = catalog.begin_training(training.name, &context.sql, Some(&fingerprint))?;
                (id, store.run_folder(id)?)
            }
        };
        Ok(TuningRun { id, fingerprint: fingerprint.to_string(), folder, store, open: true })
    }

    /// The commit has ended the run in the transaction that made the version: what only going on would need is removed.
    pub(super) fn ended(mut self) {
        self.open = false;
        // What can't be removed now is removed when the next run opens its folder.
        let _ = self.folder.finish();
    }

    /// Ends the run with an error: for good, unless the error passes.
    pub(super) fn fail(mut self, error: &StatementError) -> Result<()> {
        self.open = false;
        let outcome = if passes(error) {
            TrainingOutcome::Cancelled
        } else {
            TrainingOutcome::Failed { error: error.to_string() }
        };
        Ok(self.store.catalog().finish_training(self.id, &outcome)?)
    }
}

/// Whether the same training may end well another time: nothing is wrong with its rows or options.
fn passes(error: &StatementError) -> bool {
    let code = match error {
        StatementError::DataFusion(error) => {
            // A runtime that shuts down cancels the tasks of a query before the statement is dropped.
            let of_the_system = matches!(
                error.find_root(),
                DataFusionError::ObjectStore(_)
                    | DataFusionError::IoError(_)
                    | DataFusionError::ExecutionJoin(_)
                    | DataFusionError::ResourcesExhausted(_)
            );
            if of_the_system {
                return true;
            }
            find_failure::<FunctionError>(error).map_or("datafusion", Failure::code)
        }
        other => other.code(),
    };
    PASSING.contains(&code) || error.retryable()
}

impl Drop for TuningRun {
    fn drop(&mut self) {
        if self.open {
            // Nobody is left to tell; a run that stays open is shown as resumable once the process ends.
            let _ = self.store.catalog().finish_training(self.id, &TrainingOutcome::Cancelled);
        }
    }
}
