//! The driver: prepare, rounds and validations in turn, commit.

use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::array::RecordBatch;
use nightjar_catalog::Digest;
use nightjar_functions::rounds::{RoundReport, StepEvent, TrainingPlan, TrainingSession};

use super::history::History;
use super::label_validation::{LabelRows, Validation, run_label_validation};
use super::plan::plan;
use super::progress::Progress;
use super::queries;
use super::tuning_run::TuningRun;
use crate::StatementContext;
use crate::error::{Result, StatementError};
use crate::prepare::{Prepared, file_error, prepare};
use crate::tensorboard::EventFile;
use crate::tensorboard_folder;
use crate::training::Training;
use crate::training_rows::TrainingRows;

/// The folder of a run with what its rounds read.
const FEATURES: &str = "features";

/// Steps whose losses the catalog keeps at most: a longer training's are means over several.
const KEPT_LOSSES: u32 = 500;

/// Returns the digest of all that decides what the training does: base, rows as written, options. Two statements with equal ones
/// are one training.
pub(super) fn fingerprint(training: &Training<'_>) -> Digest {
    let fine_tune = training.fine_tune;
    let validate = fine_tune.validate.as_ref().map(|data| data.sql());
    let parts = format!(
        "{}\n{:?}\n{:?}\n{:?}\n{:?}",
        training.base.card.body,
        fine_tune.data.sql(),
        validate,
        fine_tune.target,
        training.options.to_card(),
    );
    Digest::of(parts.as_bytes())
}

impl Training<'_> {
    /// Trains by rounds and commits the version; returns the epochs' metrics as rows.
    ///
    /// A dropped future, a dead process and errors that pass leave a run that can be resumed: the same statement goes on with it.
    pub(crate) async fn tune(&self, context: &StatementContext) -> Result<RecordBatch> {
        let run = TuningRun::open(context, self).await?;
        match self.tune_run(context, &run).await {
            Ok(rows) => {
                run.ended();
                Ok(rows)
            }
            Err(error) => {
                run.fail(&error)?;
                Err(error)
            }
        }
    }

    async fn tune_run(&self, context: &StatementContext, run: &TuningRun) -> Result<RecordBatch> {
        let catalog = context.store.catalog();
        let features = run.folder.folder().join(FEATURES);
        std::fs::create_dir_all(&features).map_err(|error| file_error(&features, error))?;
        let prepared = prepare(context, self, &features, &run.fingerprint).await?;
        let prepared = published(prepared, run).await?;
        catalog.record_rows(run.id(), prepared.rows)?;
        catalog.record_warnings(run.id(), &prepared.warnings)?;
        let plan = self.written_plan(context, run, &prepared).await?;
        let mut rounds = Rounds::begin(context, self, run, &plan, &prepared)?;
        while !rounds.are_done() {
            rounds.next().await?;
        }
        warn_of_one_sided(context, run, &prepared, &rounds.history)?;
        // The session stays until the commit: its trainer holds the weights already.
        let Rounds { history, _session, .. } = rounds;
        let created = self.commit_tuned(context, run, &plan, &prepared, &history).await?;
        tensorboard_folder::name_version(&context.store, self.name, run.id(), created.version.version);
        let kept = history.best(prepared.task);
        context.watch.conclude(&TrainingRows::conclusion(&created, kept, history.epochs.len()));
        let epochs = history.epochs.iter().map(|epoch| &epoch.metrics);
        Ok(TrainingRows::epochs(&created, epochs, kept, prepared.rows)?)
    }

    /// Returns the plan, which is in the run's folder from then on.
    async fn written_plan(
        &self,
        context: &StatementContext,
        run: &TuningRun,
        prepared: &Prepared,
    ) -> Result<TrainingPlan> {
        let plan = plan(context, self, prepared).await?;
        let json = serde_json::to_vec_pretty(&plan)
            .map_err(|error| StatementError::Internal(format!("writing the plan: {error}")))?;
        run.files.write(TrainingPlan::FILE, &json)?;
        Ok(plan)
    }
}

/// Warns where the epoch that is kept predicts one class alone, or none, and records that.
fn warn_of_one_sided(
    context: &StatementContext,
    run: &TuningRun,
    prepared: &Prepared,
    history: &History,
) -> Result<()> {
    let Some(one_sided) = history.chosen(prepared.task).and_then(|epoch| epoch.one_sided) else {
        return Ok(());
    };
    let rows = prepared.validation.as_ref().map_or(0, |file| file.rows);
    let warning = one_sided.warning(&prepared.labels, rows);
    context.watch.warn(&warning.message);
    let mut warnings = prepared.warnings.clone();
    warnings.push(warning);
    Ok(context.store.catalog().record_warnings(run.id(), &warnings)?)
}

/// Returns the features as the run's tasks find them, wherever they run.
async fn published(mut prepared: Prepared, run: &TuningRun) -> Result<Prepared> {
    let files = run.files.clone();
    let publishing = tokio::task::spawn_blocking(move || -> Result<Prepared> {
        for file in prepared.train.iter_mut().chain(&mut prepared.validation) {
            let name = file.path.file_name().unwrap_or_default().to_string_lossy();
            let name = format!("{FEATURES}/{name}");
            files.publish(&file.path, &name)?;
            file.path = files.location(&name).into();
        }
        Ok(prepared)
    });
    publishing
        .await
        .map_err(|stopped| StatementError::Internal(format!("publishing the features stopped: {stopped}")))?
}

/// The rounds of a run, one after the other.
struct Rounds<'a> {
    context: &'a StatementContext,
    training: &'a Training<'a>,
    run: &'a TuningRun,
    plan: &'a TrainingPlan,
    prepared: &'a Prepared,
    history: History,
    events: EventFile,
    /// Stops the run's training when it is dropped.
    _session: TrainingSession,
}

impl<'a> Rounds<'a> {
    fn begin(
        context: &'a StatementContext,
        training: &'a Training<'a>,
        run: &'a TuningRun,
        plan: &'a TrainingPlan,
        prepared: &'a Prepared,
    ) -> Result<Self> {
        let history = History::read(&run.folder)?;
        let step = plan.steps_before(history.rounds);
        let events = EventFile::open(run.folder.folder(), i64::from(step) + 1)?;
        tensorboard_folder::show_run(&context.store, training.name, run.id(), events.path());
        let progress = Arc::new(Progress::begin(&context.watch, plan, history.rounds));
        let told = move |event: StepEvent| progress.step(&event);
        let session = TrainingSession::begin(&run.files, told)?;
        Ok(Rounds { context, training, run, plan, prepared, history, events, _session: session })
    }

    fn are_done(&self) -> bool {
        self.history.stopped
            || (self.history.rounds == self.plan.rounds() && !self.history.epoch_ends(self.plan))
    }

    /// Runs the next round, or measures the epoch that an earlier process has trained.
    async fn next(&mut self) -> Result<()> {
        if !self.history.epoch_ends(self.plan) {
            self.train().await?;
        }
        if self.history.epoch_ends(self.plan) {
            self.measure().await?;
        }
        self.history.write(&self.run.folder)?;
        self.remove_unneeded()
    }

    async fn train(&mut self) -> Result<()> {
        let round = self.history.rounds;
        let begun = Instant::now();
        let query =
            queries::round(self.context, self.plan, self.prepared, self.run.files.name(), round).await?;
        let report = queries::run_round(query).await?;
        self.history.add(self.plan, &report, begun.elapsed().as_secs_f64());
        self.record_steps(&report)?;
        // Before the measuring: what was trained is not trained again.
        self.history.write(&self.run.folder)
    }

    /// Keeps the losses of a round's steps.
    fn record_steps(&mut self, report: &RoundReport) -> Result<()> {
        let before = self.plan.steps_before(report.round);
        let stride = self.plan.total_steps().div_ceil(KEPT_LOSSES).max(1);
        let optimizer = self.plan.optimizer();
        let (mut sum, mut count) = (0.0, 0.0);
        for (step, loss) in (before + 1..).zip(report.losses()) {
            let rate = f64::from(optimizer.rate(step - 1));
            self.events.scalars(i64::from(step), &[("loss", loss), ("learning_rate", rate)])?;
            (sum, count) = (sum + loss, count + 1.0);
            if step.is_multiple_of(stride) {
                let catalog = self.context.store.catalog();
                catalog.record_metrics(self.run.id(), i64::from(step), &[("loss", sum / count)])?;
                (sum, count) = (0.0, 0.0);
            }
        }
        self.events.sync()
    }

    /// Validates the epoch that has ended and decides whether another one follows.
    async fn measure(&mut self) -> Result<()> {
        let (run, round) = (self.run.files.name(), self.history.rounds - 1);
        let query = queries::validation(self.context, self.prepared, run, round).await?;
        let (labels, threshold) = (self.prepared.labels.len(), self.training.options.threshold());
        let validation = match query {
            Some(query) if self.prepared.multi_label => {
                run_label_validation(query, labels, threshold).await?
            }
            Some(query) => queries::run_validation(query).await?,
            // Without rows to choose by.
            None if self.prepared.multi_label => Validation {
                thresholds: LabelRows::new(labels).thresholds(threshold),
                ..Validation::default()
            },
            None => Validation::default(),
        };
        let step = self.plan.steps_before(self.history.rounds);
        let epoch = self.history.close(self.plan, step, validation);
        let metrics: Vec<(&str, f64)> =
            epoch.metrics.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        // The rate was written with the losses of the epoch's steps.
        let of_epoch: Vec<_> = metrics.iter().filter(|(name, _)| *name != "learning_rate").copied().collect();
        self.events.scalars(i64::from(step), &of_epoch)?;
        self.events.sync()?;
        self.context.store.catalog().record_metrics(self.run.id(), i64::from(step), &metrics)?;
        let patience = self.training.options.early_stopping();
        let since_best =
            self.history.best(self.prepared.task).map_or(0, |best| self.history.epochs.len() - 1 - best);
        if patience > 0
            && since_best >= patience as usize
            && self.history.epochs.len() < self.plan.epochs as usize
        {
            self.history.stopped = true;
            let best = self.history.epochs.len() - since_best;
            self.context.watch.note(&format!(
                "no better for {since_best} epochs: stopped, with the weights of epoch {best}"
            ));
        }
        Ok(())
    }

    /// Removes the states that neither the next round nor the commit can need, and after the last round what frozen layers make of rows.
    fn remove_unneeded(&self) -> Result<()> {
        let chosen = self.history.chosen(self.prepared.task).map(|epoch| epoch.round);
        let kept = [self.history.rounds.checked_sub(1), chosen];
        let kept: Vec<String> = kept.into_iter().flatten().map(TrainingPlan::state_file).collect();
        let mut states = self.run.files.list(TrainingPlan::STATES)?;
        states.retain(|name| !kept.contains(name));
        self.run.files.remove(&states)?;
        if self.are_done() {
            // The commit may need the room. What can't be removed goes with the run.
            let _ = std::fs::remove_dir_all(self.run.files.local(TrainingPlan::FROZEN));
        }
        Ok(())
    }
}
