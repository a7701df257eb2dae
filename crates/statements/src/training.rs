//! The training that CREATE MODEL and ALTER MODEL share: embed, fit, store, commit.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use datafusion::prelude::DataFrame;
use nightjar_catalog::{Created, ModelCard, NewModel, OnConflict, RunId, Store, Task, TrainingOutcome};
use nightjar_functions::{CARD_FILE, HEAD_FILE, PinnedModel};
use nightjar_models::Precision;

use crate::StatementContext;
use crate::base_model::BaseModel;
use crate::contradiction::Contradiction;
use crate::error::{Result, StatementError};
use crate::head_training::{HeadOptions, TrainedHead, check_classes, train};
use crate::labelled_rows::{LabelledRows, Roles, Targets};
use crate::pair_roles::Score;
use crate::run::Run;
use crate::training_error::TrainingError;
use crate::training_rows::TrainingRows;
use nightjar_sql::{FineTune, Method, OptionValues};

/// What is to be trained, once the statement has been read and its base found.
pub(crate) struct Training<'a> {
    pub(crate) name: &'a str,
    pub(crate) base: BaseModel,
    pub(crate) fine_tune: &'a FineTune,
    pub(crate) options: OptionValues,
    pub(crate) on_conflict: OnConflict,
    /// The task that the model has already, which its new version keeps.
    pub(crate) keeps: Option<Task>,
}

impl Training<'_> {
    /// Trains and commits the version; returns the metrics as rows.
    ///
    /// A failure or a dropped future leaves no version, and the run in the catalog says which of the two it was.
    pub(crate) async fn run(self, context: &StatementContext) -> Result<DataFrame> {
        self.check()?;
        if self.options.method() != Method::Head {
            return Ok(context.session.read_batch(self.tune(context).await?)?);
        }
        // What can't be planned makes no run.
        self.plan(context).await?;
        let run = Run::begin(context, self.name, None)?;
        match self.train(context, run.id).await {
            Ok(rows) => {
                run.ended();
                Ok(context.session.read_batch(rows)?)
            }
            Err(error) if error.refuses_training() => {
                run.forget()?;
                Err(error)
            }
            Err(error) => {
                run.end(&TrainingOutcome::Failed { error: error.to_string() })?;
                Err(error)
            }
        }
    }

    async fn train(
        &self,
        context: &StatementContext,
        run: RunId,
    ) -> Result<datafusion::arrow::array::RecordBatch> {
        let started = Instant::now();
        let (roles, rows) = self.roles(context).await?;
        let model = self.pinned();
        let embedded = LabelledRows::embed(context, rows, &roles, &model, "learn from").await?;
        if embedded.skipped > 0 {
            let (skipped, text, target) = (embedded.skipped, &roles.text, roles.target_name());
            context.watch.warn(&format!("{skipped} rows with NULL as {text} or {target} were left out"));
        }
        check_classes(&embedded, roles.target_name())?;
        context.store.catalog().record_rows(run, embedded.len() as u64)?;
        let validation = self.validation(context, &roles, &model).await?.map(Arc::new);
        let embedded = Arc::new(embedded);
        let watch = Arc::clone(&context.watch);
        let trained = train(Arc::clone(&embedded), validation, self.head_options(), watch).await?;
        let rows_per_second = embedded.len() as f64 / started.elapsed().as_secs_f64();
        trained.warnings.iter().for_each(|warning| context.watch.warn(&warning.message));
        context.store.catalog().record_warnings(run, &trained.warnings)?;
        self.record(context, run, &trained)?;
        let card = self.card(&roles, &embedded, &trained);
        let created =
            self.commit(&context.store, card, run, |folder| trained.head.save(&folder.join(HEAD_FILE)))?;
        context.watch.conclude(&TrainingRows::conclusion(&created, None, 1));
        Ok(TrainingRows::trained(&created, &trained.metrics, embedded.len() as u64, rows_per_second)?)
    }

    /// Refuses options that contradict each other or the base, before anything is run or recorded.
    pub(crate) fn check(&self) -> Result<()> {
        let validated = self.fine_tune.validate.is_some();
        let (name, layers) = (&self.base.name, self.base.card.encoder.layers);
        Ok(Contradiction::check(&self.options, self.task(), validated, name, layers)?)
    }

    /// Plans the queries of the statement, and refuses columns that can't be learned from or validated on.
    pub(crate) async fn plan(&self, context: &StatementContext) -> Result<()> {
        let (roles, _) = self.roles(context).await?;
        if let Some(data) = &self.fine_tune.validate {
            self.roles_like(&roles, &context.rows(data).await?)?;
        }
        Ok(())
    }

    /// Returns what the query's columns are, and its rows to come.
    pub(crate) async fn roles(&self, context: &StatementContext) -> Result<(Roles, DataFrame)> {
        let rows = context.rows(&self.fine_tune.data).await?;
        let target = self.fine_tune.target.as_deref();
        let mut roles = Roles::of(rows.schema().as_arrow(), target, self.task(), self.options.method())?;
        if self.keeps == Some(Task::Regress) && roles.target_is_integer(rows.schema().as_arrow()) {
            roles.task = Task::Regress;
        }
        if let Some(kept) = self.keeps.filter(|kept| *kept != roles.task) {
            let (model, found, expected) = (self.base.name.clone(), kept.to_string(), roles.task.to_string());
            return Err(TrainingError::OtherTask { model, found, expected }.into());
        }
        if self.keeps == Some(Task::Classify) {
            roles.check_multi_label(rows.schema().as_arrow(), self.base.card.multi_label)?;
        }
        Contradiction::check_task(&self.options, roles.task)?;
        if roles.multi_label {
            Contradiction::check_multi_label(&self.options)?;
        } else {
            Contradiction::check_single_label(&self.options)?;
        }
        if roles.task == Task::Embed && roles.target.is_none() {
            Contradiction::check_contrast(&self.options)?;
        }
        Ok((roles, rows))
    }

    /// Returns what the columns of other rows are, for the same target and task: those of VALIDATE ON.
    pub(crate) fn roles_like(&self, roles: &Roles, rows: &DataFrame) -> Result<Roles> {
        let schema = rows.schema().as_arrow();
        match &roles.target {
            None => Roles::of_pairs(schema, Score::None),
            target => {
                let others = Roles::of(schema, target.as_deref(), Some(roles.task), self.options.method())?;
                others.check_multi_label(schema, roles.multi_label)?;
                Ok(others)
            }
        }
    }

    /// Returns how the plan names the base: its version, and the window and the precision that the options ask for.
    pub(crate) fn pinned(&self) -> PinnedModel {
        let window = self.options.max_length().map(|tokens| tokens.min(self.base.card.encoder.window));
        let precision = self.options.precision().and_then(|name| name.parse().ok()).unwrap_or(Precision::F32);
        PinnedModel { window, precision, ..self.base.pinned.clone() }
    }

    /// Returns the most tokens that are read of a row.
    pub(crate) fn window(&self) -> usize {
        self.pinned().window.unwrap_or(self.base.card.encoder.window)
    }

    /// Returns what the fit will do, for EXPLAIN.
    pub(crate) fn describe_fit(&self, roles: &Roles) -> String {
        let what =
            if roles.task == Task::Regress { "ridge regression" } else { "logistic regression by L-BFGS" };
        let strength = match self.options.regularization() {
            Some(c) => format!("C = {c}"),
            None => "C by cross-validation".to_owned(),
        };
        let (text, target) = (&roles.text, roles.target_name());
        format!("method=head: {what} of {target} on the embedding of {text}, {strength}")
    }

    fn task(&self) -> Option<Task> {
        match self.options.task() {
            Some("classify") => Some(Task::Classify),
            Some("regress") => Some(Task::Regress),
            Some("embed") => Some(Task::Embed),
            // Pairs can't be told by their types.
            _ => self.keeps.filter(|kept| *kept == Task::Embed),
        }
    }

    async fn validation(
        &self,
        context: &StatementContext,
        roles: &Roles,
        model: &PinnedModel,
    ) -> Result<Option<LabelledRows>> {
        let Some(data) = &self.fine_tune.validate else {
            return Ok(None);
        };
        let rows = context.rows(data).await?;
        let validation = self.roles_like(roles, &rows)?;
        Ok(Some(LabelledRows::embed(context, rows, &validation, model, "validate on").await?))
    }

    fn head_options(&self) -> HeadOptions {
        HeadOptions {
            regularization: self.options.regularization(),
            class_weights: match self.options.class_weights() {
                nightjar_sql::ClassWeights::None => nightjar_models::ClassWeights::None,
                nightjar_sql::ClassWeights::Balanced => nightjar_models::ClassWeights::Balanced,
            },
            validation_fraction: self.options.validation_fraction(),
            seed: self.options.seed() as i64,
            threshold: self.options.threshold(),
        }
    }

    fn record(&self, context: &StatementContext, run: RunId, trained: &TrainedHead) -> Result<()> {
        let catalog = context.store.catalog();
        for (step, (strength, loss)) in trained.candidates.iter().enumerate() {
            let metrics = [("candidate_regularization", *strength), ("candidate_loss", *loss)];
            catalog.record_metrics(run, step as i64, &metrics)?;
        }
        let metrics: Vec<(&str, f64)> =
            trained.metrics.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        Ok(catalog.record_metrics(run, trained.candidates.len() as i64, &metrics)?)
    }

    fn card(&self, roles: &Roles, rows: &LabelledRows, trained: &TrainedHead) -> ModelCard {
        let mut encoder = self.base.card.encoder.clone();
        encoder.window = self.window();
        ModelCard {
            task: match rows.targets {
                Targets::Labels { .. } | Targets::LabelLists { .. } => Task::Classify,
                Targets::Numbers(_) => Task::Regress,
            },
            base: Some(self.base.name.clone()),
            body: self.base.card.body,
            encoder,
            labels: trained.head.labels(),
            multi_label: roles.multi_label,
            thresholds: trained.thresholds.clone(),
            inputs: vec![roles.text.clone()],
            target: roles.target.clone(),
            method: Some(self.options.method().to_string()),
            options: self.options.to_card(),
            metrics: trained.metrics.clone(),
            rows: rows.len() as u64,
            data_digest: Some(rows.digest().to_string()),
            query: Some(self.fine_tune.data.sql()),
            source: None,
        }
    }

    /// Publishes the version's artifact, the card with what `write` puts into its folder, and commits the version together with the
    /// end of the run.
    pub(crate) fn commit(
        &self,
        store: &Store,
        card: ModelCard,
        run: RunId,
        write: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Created> {
        let mut staging = store.artifacts().stage()?;
        let json = serde_json::to_vec_pretty(&card)
            .map_err(|error| StatementError::Internal(format!("writing the card: {error}")))?;
        staging.write(CARD_FILE, &json)?;
        write(staging.path())?;
        let digest = store.artifacts().publish(staging)?;
        let new = NewModel { name: self.name.to_owned(), card, digest, run: Some(run) };
        Ok(store.catalog().create_model(&new, self.on_conflict)?)
    }
}
