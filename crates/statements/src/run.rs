//! A training run in the catalog, held by the statement that trains.

use std::sync::Arc;

use nightjar_catalog::{Digest, RunId, Store, TrainingOutcome};

use crate::StatementContext;
use crate::error::Result;
use crate::kept_settings::in_dialect;
use crate::watch::Watch;
use nightjar_sql::quote_identifier;

/// A training run that this process is at. Dropped before its end, it is marked as cancelled: one with a fingerprint can then be
/// resumed.
pub(crate) struct Run {
    pub(crate) id: RunId,
    store: Store,
    watch: Arc<dyn Watch>,
    /// How to go on with it once it has stopped, if it can be resumed.
    resume: Option<String>,
    open: bool,
}

impl Run {
    /// Begins a run; with a fingerprint it can be resumed.
    pub(crate) fn begin(
        context: &StatementContext,
        model: &str,
        fingerprint: Option<&Digest>,
    ) -> Result<Self> {
        let statement = in_dialect(&context.session, context.sql.clone());
        let id = context.store.catalog().begin_training(model, &statement, fingerprint)?;
        Ok(Self::of(context, id, fingerprint.map(|_| model)))
    }

    /// Goes on with a resumable run, whose folder this process has open.
    pub(crate) fn adopt(context: &StatementContext, model: &str, id: RunId) -> Result<Self> {
        context.store.catalog().adopt_run(id)?;
        Ok(Self::of(context, id, Some(model)))
    }

    fn of(context: &StatementContext, id: RunId, resumable: Option<&str>) -> Self {
        let (store, watch) = (context.store.clone(), Arc::clone(&context.watch));
        let resume = resumable.map(|model| format!("RESUME TRAINING OF {}", quote_identifier(model)));
        Self { id, store, watch, resume, open: true }
    }

    /// The commit has ended the run in the transaction that made the version.
    pub(crate) fn ended(mut self) {
        self.open = false;
    }

    /// Forgets the run: its statement was refused, and nothing was trained.
    pub(crate) fn forget(mut self) -> Result<()> {
        self.open = false;
        Ok(self.store.catalog().forget_training(self.id)?)
    }

    /// Ends the run without a version.
    pub(crate) fn end(mut self, outcome: &TrainingOutcome) -> Result<()> {
        self.open = false;
        self.finish(outcome)
    }

    fn finish(&self, outcome: &TrainingOutcome) -> Result<()> {
        self.store.catalog().finish_training(self.id, outcome)?;
        if let (TrainingOutcome::Cancelled, Some(resume)) = (outcome, &self.resume) {
            self.watch.note(&format!("the training has stopped and can go on: {resume}"));
        }
        Ok(())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.open {
            // Nobody is left to tell; a run that stays open is shown as interrupted or resumable once the process ends.
            let _ = self.finish(&TrainingOutcome::Cancelled);
        }
    }
}
