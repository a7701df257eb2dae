//! The run of a training in the catalog and its folder.

use std::io;

use datafusion::error::DataFusionError;
use datafusion::object_store;
use nightjar_catalog::{RunFiles, RunFolder, RunId, TrainingOutcome};
use nightjar_errors::Failure;
use nightjar_functions::{FunctionError, find_failure, told_failure};
use tokio::task::JoinError;

use super::driver::fingerprint;
use crate::StatementContext;
use crate::error::{Result, StatementError};
use crate::run::Run;
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

/// A run that can be resumed, with its folder.
pub(super) struct TuningRun {
    run: Run,
    /// Whether another statement began it.
    resumes: bool,
    pub(super) fingerprint: String,
    pub(super) folder: RunFolder,
    /// What its tasks read and write.
    pub(super) files: RunFiles,
}

impl TuningRun {
    /// Goes on with the resumable run of the same training, or begins one.
    ///
    /// # Errors
    /// `RunBusy` while another process is at the run.
    pub(super) async fn open(context: &StatementContext, training: &Training<'_>) -> Result<Self> {
        let fingerprint = fingerprint(training);
        let resumable = context.resumable_run(training.name, &fingerprint)?;
        let resumes = resumable.is_some();
        let (run, folder) = match resumable {
            Some(found) => {
                let folder = context.store.run_folder(found.run_id)?;
                let run = Run::adopt(context, training.name, found.run_id)?;
                context.watch.note(&format!("run {} of {} goes on where it stopped", run.id, training.name));
                (run, folder)
            }
            None => {
                // What can't be planned makes no run.
                training.plan(context).await?;
                let run = Run::begin(context, training.name, Some(&fingerprint))?;
                let folder = context.store.run_folder(run.id)?;
                (run, folder)
            }
        };
        let files = context.store.run_files(run.id)?;
        Ok(TuningRun { run, resumes, fingerprint: fingerprint.to_string(), folder, files })
    }

    /// Returns the run's number.
    pub(super) fn id(&self) -> RunId {
        self.run.id
    }

    /// The commit has ended the run in the transaction that made the version: what only going on would need is removed.
    pub(super) fn ended(self) {
        self.run.ended();
        // What can't be removed now is removed when the next run opens its folder.
        let _ = self.folder.finish();
    }

    /// Ends the run with an error: for good, unless the error passes. A refused statement leaves neither a run nor files.
    pub(super) fn fail(self, error: &StatementError) -> Result<()> {
        if error.refuses_training() && !self.resumes {
            self.folder.discard()?;
            return self.run.forget();
        }
        let outcome = if passes(error) {
            TrainingOutcome::Cancelled
        } else {
            TrainingOutcome::Failed { error: error.to_string() }
        };
        self.run.end(&outcome)
    }
}

/// Whether the same training may end well another time: nothing is wrong with its rows or options.
fn passes(error: &StatementError) -> bool {
    let code = match error {
        StatementError::DataFusion(error) => {
            if is_of_the_system(error) {
                return true;
            }
            find_failure::<FunctionError>(error).map_or("datafusion", Failure::code)
        }
        other => other.code(),
    };
    PASSING.contains(&code) || error.retryable()
}

/// Whether the machine failed: files, memory, or the tasks of a runtime that shuts down before the statement is dropped.
fn is_of_the_system(error: &DataFusionError) -> bool {
    // Formats wrap the errors of their files in their own, some of which `find_root` can't see through.
    matches!(error.find_root(), DataFusionError::ResourcesExhausted(_))
        || find_failure::<object_store::Error>(error).is_some()
        || find_failure::<io::Error>(error).is_some()
        || find_failure::<JoinError>(error).is_some()
        || told_failure(error).is_some_and(|failure| failure.retryable())
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::error::ArrowError;
    use datafusion::common::exec_datafusion_err;
    use datafusion::parquet::errors::ParquetError;

    use super::*;

    #[test]
    fn a_failing_machine_does_not_end_a_run() {
        let lost = || io::Error::other("the disk is gone");
        let store = object_store::Error::Generic { store: "s3", source: Box::new(lost()) };
        let errors = [
            DataFusionError::from(lost()),
            DataFusionError::from(ArrowError::from_external_error(Box::new(lost()))),
            DataFusionError::ParquetError(Box::new(ParquetError::External(Box::new(store)))),
            DataFusionError::ResourcesExhausted("memory".to_owned()).context("sorting"),
        ];
        for error in errors {
            assert!(passes(&StatementError::from(error)));
        }
        assert!(!passes(&StatementError::from(exec_datafusion_err!("division by zero"))));
    }
}
