//! A training run in the catalog, held by the statement that trains.

use nightjar_catalog::{Digest, RunId, Store, TrainingOutcome};

use crate::StatementContext;
use crate::error::Result;

/// A training run that this process is at. Dropped before its end, it is marked as cancelled: one with a fingerprint can then be
/// resumed.
pub(crate) struct Run {
    pub(crate) id: RunId,
    store: Store,
    open: bool,
}

impl Run {
    /// Begins a run; with a fingerprint it can be resumed.
    pub(crate) fn begin(
        context: &StatementContext,
        model: &str,
        fingerprint: Option<&Digest>,
    ) -> Result<Self> {
        let id = context.store.catalog().begin_training(model, &context.sql, fingerprint)?;
        Ok(Self { id, store: context.store.clone(), open: true })
    }

    /// Goes on with a resumable run, whose folder this process has open.
    pub(crate) fn adopt(context: &StatementContext, id: RunId) -> Result<Self> {
        context.store.catalog().adopt_run(id)?;
        Ok(Self { id, store: context.store.clone(), open: true })
    }

    /// The commit has ended the run in the transaction that made the version.
    pub(crate) fn ended(mut self) {
        self.open = false;
    }

    /// Ends the run without a version.
    pub(crate) fn end(mut self, outcome: &TrainingOutcome) -> Result<()> {
        self.open = false;
        Ok(self.store.catalog().finish_training(self.id, outcome)?)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.open {
            // Nobody is left to tell; a run that stays open is shown as interrupted or resumable once the process ends.
            let _ = self.store.catalog().finish_training(self.id, &TrainingOutcome::Cancelled);
        }
    }
}
