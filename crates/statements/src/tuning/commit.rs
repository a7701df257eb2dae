//! The end of a training: encoder, head (if the task has one) and card are published, then version and run are committed together.

use std::path::Path;

use nightjar_catalog::{Created, Digest, ModelCard, RunFiles, Store, Task};
use nightjar_functions::rounds::{RoundTask, TrainingPlan, with_trainer};
use nightjar_functions::{HEAD_FILE, Models};
use nightjar_models::{Adapter, ClassifierHead, EncoderSpec, HeadWeights, RegressionHead};

use super::history::{Epoch, History};
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
        let chosen = history.chosen(prepared.task);
        let chosen =
            chosen.ok_or_else(|| StatementError::Internal("a training without epochs".to_owned()))?;
        let (models, store, files) = (context.models.clone(), context.store.clone(), run.files.clone());
        let (body, round) = (plan.body, chosen.round);
        let embeds = prepared.task == Task::Embed;
        let publishing = tokio::task::spawn_blocking(move || {
            publish_encoder(&models, &store, &files, &body, (round, embeds))
        });
        let tuned = publishing
            .await
            .map_err(|stopped| StatementError::Internal(format!("publishing stopped: {stopped}")))??;
        let card = self.tuned_card(prepared, &tuned, chosen);
        self.commit(&context.store, card, run.id(), |folder| {
            if let Some(adapter) = &tuned.adapter {
                adapter.save(folder, &self.base.name)?;
            }
            save_head(&plan.task, prepared, tuned.head, &folder.join(HEAD_FILE))
        })
    }

    fn tuned_card(&self, prepared: &Prepared, tuned: &TunedEncoder, chosen: &Epoch) -> ModelCard {
        ModelCard {
            task: prepared.task,
            base: Some(self.base.name.clone()),
            body: tuned.body,
            encoder: EncoderSpec { window: self.window(), ..tuned.spec.clone() },
            labels: prepared.labels.clone(),
            multi_label: prepared.multi_label,
            thresholds: chosen.thresholds.clone(),
            inputs: prepared.inputs.clone(),
            target: prepared.target.clone(),
            method: Some(self.options.method().to_string()),
            options: self.options.to_card(),
            // Timings would give equal trainings different digests.
            metrics: chosen
                .metrics
                .iter()
                .filter(|(name, _)| !name.ends_with("_per_second"))
                .map(|(name, value)| (name.clone(), *value))
                .collect(),
            rows: prepared.rows,
            data_digest: Some(prepared.data_digest.to_string()),
            query: Some(self.fine_tune.data.sql()),
            source: None,
        }
    }
}

fn publish_encoder(
    models: &Models,
    store: &Store,
    run: &RunFiles,
    body: &Digest,
    (round, embeds): (u32, bool),
) -> Result<TunedEncoder> {
    let base = store.artifacts().open(body)?;
    let staging = store.artifacts().stage()?;
    let (head, adapter) = with_trainer(models, run, round, |trainer| {
        // A head reads pooled states as they are; unit length would hide what they say. Embeddings stay what the base's are.
        trainer.save_encoder(&base.dir, staging.path(), embeds)?;
        Ok((trainer.head(), trainer.adapter()))
    })?;
    let spec = EncoderSpec::read(staging.path())?;
    Ok(TunedEncoder { body: store.artifacts().publish(staging)?, spec, head, adapter })
}

/// Writes the head, where there is one.
fn save_head(task: &RoundTask, prepared: &Prepared, head: HeadWeights, path: &Path) -> Result<()> {
    match task {
        RoundTask::Classify { .. } | RoundTask::Tag { .. } => {
            Ok(ClassifierHead { labels: prepared.labels.clone(), weight: head.weight, bias: head.bias }
                .save(path)?)
        }
        RoundTask::Regress { mean, deviation } => {
            let weight = head.weight.iter().map(|weight| (f64::from(*weight) * deviation) as f32).collect();
            let bias = head.bias.first().map_or(*mean, |bias| f64::from(*bias) * deviation + mean) as f32;
            Ok(RegressionHead { weight, bias }.save(path)?)
        }
        RoundTask::Similarity { .. } | RoundTask::Contrast => Ok(()),
    }
}
