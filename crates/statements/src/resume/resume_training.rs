//! `RESUME TRAINING OF`.
//!
//! # What surrounds a run
//!
//! A run's state is derived, never ambiguous: `done` and `failed` are written; a run is `running` while
//! the process whose mark it bears holds that mark's lock (`catalog/src/owner.rs`); any other that has
//! a fingerprint (the digest of base, rows and options) is `resumable`. To resume is to open the run's
//! folder, which one writer holds at a time (`run_folder.rs`), and then to adopt the run in one
//! transaction. Files in the folder are whole or not there. When a run has ended, its event files and
//! JSON files stay; the rest is removed, by its writer or by the next one. `RESUME TRAINING` only runs
//! the recorded statement again: the fingerprint finds the run (`StatementContext::resumable_run`). A
//! statement's `chart()` is data; the CLI draws it under the rows where stdout is a terminal
//! (`cli/src/output/chart.rs`). `EVALUATE MODEL` (`evaluation.rs`) is one plan too: the metrics'
//! aggregates over `classify_scores` or `predict`. Their states merge, so partitions count apart; they
//! hold counts of (label, prediction) or moments, and only `roc_auc` and `spearman` keep 8 and 16 bytes
//! a row. Over lists of labels the states are counts of each label (`metrics/set_counts.rs`).

use crate::StatementContext;
use crate::error::{Result, StatementError};
use crate::execute::Execute;
use crate::executors::executable;
use crate::training_error::TrainingError;
use datafusion::prelude::DataFrame;
use nightjar_catalog::{CatalogError, TrainingRun};
use nightjar_sql::{
    AlterAction, AlterModel, CreateModel, Parsed, ResumeTraining, Statement, parse_statements,
};

/// Returns the newest run of a model that can be resumed.
///
/// # Errors
/// `NothingToResume` and `NeverTrained`; an unknown model.
pub(crate) fn newest_resumable(context: &StatementContext, model: &str) -> Result<TrainingRun> {
    let catalog = context.store.catalog();
    if let Some(run) = catalog.resumable_run(model, None)? {
        return Ok(run);
    }
    let runs = catalog.training_runs()?;
    let Some(last) = runs.into_iter().rev().find(|run| run.model == model) else {
        // A model that does not exist is another error than one that was never trained.
        catalog.versions(model)?;
        return Err(TrainingError::NeverTrained { model: model.to_owned() }.into());
    };
    let (run, status, statement) = (last.run_id, last.status, last.statement);
    Err(TrainingError::NothingToResume { model: model.to_owned(), run, status, statement }.into())
}

impl Execute for ResumeTraining {
    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        let run = newest_resumable(context, &self.model)?;
        let resuming = Some(run.run_id);
        let (statement, sql) = statement_of(self, run)?;
        executable(&*statement)?.run(&StatementContext { sql, resuming, ..context.clone() }).await
    }
}

/// Returns the statement that began the run, and its text. A model that was renamed since is
/// trained under its new name.
fn statement_of(resume: &ResumeTraining, run: TrainingRun) -> Result<(Box<dyn Statement>, String)> {
    let unreadable = |reason: String| {
        StatementError::from(CatalogError::RecordInvalid {
            what: "statement of a training run",
            name: resume.model.clone(),
            reason,
        })
    };
    let parsed = parse_statements(&run.statement).map_err(|error| unreadable(error.to_string()))?;
    // Before it stands its dialect, if that is not the default one.
    let Some(statement) = parsed.into_iter().last() else {
        return Err(unreadable(format!("'{}' is not one statement", run.statement)));
    };
    let Parsed::Nightjar(statement) = statement.parsed else {
        return Err(unreadable(format!("'{}' trains nothing", run.statement)));
    };
    let renamed: Box<dyn Statement> = if let Some(create) = statement.downcast_ref::<CreateModel>() {
        Box::new(CreateModel { name: resume.model.clone(), ..create.clone() })
    } else if let Some(alter) = statement.downcast_ref::<AlterModel>()
        && matches!(alter.action, AlterAction::FineTune { .. })
    {
        Box::new(AlterModel { name: resume.model.clone(), ..alter.clone() })
    } else {
        return Err(unreadable(format!("'{}' trains nothing", run.statement)));
    };
    // The text as it was typed, unless it is no longer what runs.
    let text = if renamed.to_string() == statement.to_string() { run.statement } else { renamed.to_string() };
    Ok((renamed, text))
}
