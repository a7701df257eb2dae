//! The end of a training: encoder, head (if the task has one) and card are published, then version and run are committed together.

use std::collections::BTreeMap;
use std::path::PathBuf;

use nightjar_catalog::{Created, Digest, ModelCard, NewModel, Store, Task};
use nightjar_functions::rounds::{RoundTask, TrainingPlan, with_trainer};
use nightjar_functions::{ADAPTER_FILE, CARD_FILE, HEAD_FILE, Models};
use nightjar_models::{Adapter, ClassifierHead, EncoderSpec, HeadWeights, RegressionHead};

use super::history::History;
use super::tuning_run::TuningRun;
use crate::StatementContext;
use crate::error::{Result, StatementError};
use crate::prepare::Prepared;
use crate::training::Training;

/// The encoder of a training, published.
struct TunedEncoder {
    body: Digest,
    spec: EncoderSpec,
    head: HeadWeights,
    adapter: Option<Adapter>,
}

impl Training<'_> {
    pub(super) async fn commit_tuned(
        &self,
        context: &StatementContext,
        run: &TuningRun,
        plan: &TrainingPlan,
        prepared: &Prepared,
        history: &History,
    ) -> Result<Created> {
        let chosen = history.chosen(prepared.task, self.options.early_stopping());
        let chosen =
            chosen.ok_or_else(|| StatementError::Internal("a training without epochs".to_owned()))?;
        let (models, store, folder) =
            (context.models.clone(), context.store.clone(), run.folder.folder().to_owned());
        let (body, round) = (plan.body, chosen.round);
        let embeds = prepared.task == Task::Embed;
        let publishing = tokio::task::spawn_blocking(move || {
            publish_encoder(&models, &store, folder, &body, (round, embeds))
        });
        let tuned = publishing
            .await
            .map_err(|stopped| StatementError::Internal(format!("publishing stopped: {stopped}")))??;
        let card = self.tuned_card(context, prepared, &tuned, &chosen.metrics).await?;
        let mut staging = context.store.artifacts().stage()?;
        let json = serde_json::to_vec_pretty(&card)
            .map_err(|error| StatementError::Internal(format!("writing the card: {error}")))?;
        staging.write(CARD_FILE, &json)?;
        if let Some(adapter) = &tuned.adapter {
            adapter.save(&staging.path().join(ADAPTER_FILE))?;
        }
        save_head(&plan.task, prepared, tuned.head, staging.path().join(HEAD_FILE))?;
        let digest = context.store.artifacts().publish(staging)?;
        let new = NewModel { name: self.name.to_owned(), card, digest, run: Some(run.id) };
        Ok(context.store.catalog().create_model(&new, self.on_conflict)?)
    }

    async fn tuned_card(
        &self,
        context: &StatementContext,
        prepared: &Prepared,
        tuned: &TunedEncoder,
        metrics: &BTreeMap<String, f64>,
    ) -> Result<ModelCard> {
        let window = self.pinned().window.unwrap_or(self.base.card.encoder.window);
        let (inputs, target) = self.columns(context).await?;
        Ok(ModelCard {
            task: prepared.task,
            base: Some(self.base.name.clone()),
            body: tuned.body,
            encoder: EncoderSpec { window, ..tuned.spec.clone() },
            labels: prepared.labels.clone(),
            inputs,
            target,
            method: Some(self.options.method().to_string()),
            options: self.options.to_card(),
            // Timings would give equal trainings different digests.
            metrics: metrics
                .iter()
                .filter(|(name, _)| !name.ends_with("_per_second"))
                .map(|(name, value)| (name.clone(), *value))
                .collect(),
            rows: prepared.rows,
            data_digest: Some(prepared.data_digest.to_string()),
            query: Some(self.fine_tune.data.sql()),
            source: None,
        })
    }

    /// Returns the names of the input columns and of the target, if there is one.
    async fn columns(&self, context: &StatementContext) -> Result<(Vec<String>, Option<String>)> {
        let (roles, _) = self.roles(context).await?;
        Ok((roles.texts().map(str::to_owned).collect(), roles.target.clone()))
    }
}

fn publish_encoder(
    models: &Models,
    store: &Store,
    folder: PathBuf,
    body: &Digest,
    (round, embeds): (u32, bool),
) -> Result<TunedEncoder> {
    let base = store.artifacts().open(body)?;
    let staging = store.artifacts().stage()?;
    let (head, adapter) = with_trainer(models, &folder, round, |trainer| {
        // A head reads pooled states as they are; unit length would hide what they say. Embeddings stay what the base's are.
        trainer.save_encoder(&base.dir, staging.path(), embeds)?;
        Ok((trainer.head(), trainer.adapter()))
    })?;
    let spec = EncoderSpec::read(staging.path())?;
    Ok(TunedEncoder { body: store.artifacts().publish(staging)?, spec, head, adapter })
}

/// Writes the head, where there is one.
fn save_head(task: &RoundTask, prepared: &Prepared, head: HeadWeights, path: PathBuf) -> Result<()> {
    match task {
        RoundTask::Classify { .. } => {
            Ok(ClassifierHead { labels: prepared.labels.clone(), weight: head.weight, bias: head.bias }
                .save(&path)?)
        }
        RoundTask::Regress { mean, deviation } => {
            let weight = head.weight.iter().map(|weight| (f64::from(*weight) * deviation) as f32).collect();
            let bias = head.bias.first().map_or(*mean, |bias| f64::from(*bias) * deviation + mean) as f32;
            Ok(RegressionHead { weight, bias }.save(&path)?)
        }
        RoundTask::Similarity { .. } | RoundTask::Contrast => Ok(()),
    }
}
