//! What a training has done so far: the file by which it goes on.

use std::collections::BTreeMap;

use nightjar_catalog::{RunFolder, Task};
use nightjar_functions::rounds::{RoundReport, TrainingPlan, exact};
use serde::{Deserialize, Serialize};

use super::label_validation::Validation;
use crate::error::{Result, StatementError};
use crate::one_sided::OneSided;

/// The history's file in the run's folder.
const FILE: &str = "history.json";

/// The rounds and epochs done. Written after each round, when its state is on the disk.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct History {
    /// Rounds done.
    pub(super) rounds: u32,
    /// Sums over the rounds of the epoch at hand.
    pub(super) open: EpochSums,
    /// Epochs done and measured.
    pub(super) epochs: Vec<Epoch>,
    /// Whether early stopping has ended the training.
    pub(super) stopped: bool,
}

/// What the rounds of an epoch sum up to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct EpochSums {
    pub(super) rows: u64,
    pub(super) tokens: u64,
    /// The losses of rows.
    #[serde(with = "exact::number")]
    pub(super) loss: f64,
    /// Time spent in rounds.
    pub(super) seconds: f64,
}

/// An epoch and what was measured after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Epoch {
    /// The last of its rounds.
    pub(super) round: u32,
    /// The optimizer's step at its end.
    pub(super) step: u32,
    /// By name.
    #[serde(with = "exact::map")]
    pub(super) metrics: BTreeMap<String, f64>,
    /// From which probability on each label is predicted, where a row has any number of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) thresholds: Vec<f32>,
    /// Whether it predicted one class alone, or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) one_sided: Option<OneSided>,
}

impl History {
    /// Reads the history of a run; an empty one where none was written.
    pub(super) fn read(folder: &RunFolder) -> Result<Self> {
        let Some(json) = folder.read(FILE)? else {
            return Ok(Self::default());
        };
        serde_json::from_slice(&json).map_err(|error| {
            StatementError::Internal(format!("reading {FILE} of run {}: {error}", folder.run()))
        })
    }

    /// Writes the history.
    pub(super) fn write(&self, folder: &RunFolder) -> Result<()> {
        let json = serde_json::to_vec_pretty(self)
            .map_err(|error| StatementError::Internal(format!("writing {FILE}: {error}")))?;
        folder.write_atomically(FILE, &json)?;
        Ok(())
    }

    /// Adds a round that took so long.
    pub(super) fn add(&mut self, plan: &TrainingPlan, report: &RoundReport, seconds: f64) {
        self.rounds = report.round + 1;
        self.open.rows += report.rows();
        self.open.tokens += report.tokens();
        self.open.seconds += seconds;
        for shard in &report.shards {
            let mut left = shard.rows;
            for loss in &shard.losses {
                let rows = left.min(plan.batch_size as u64);
                self.open.loss += loss.0 * rows as f64;
                left -= rows;
            }
        }
    }

    /// Whether the last round was an epoch's last, and the epoch is not closed yet.
    pub(super) fn epoch_ends(&self, plan: &TrainingPlan) -> bool {
        self.rounds == (self.epochs.len() as u32 + 1) * plan.rounds_per_epoch
    }

    /// Closes the epoch with what was measured of it.
    pub(super) fn close(&mut self, plan: &TrainingPlan, step: u32, validation: Validation) -> &Epoch {
        let sums = std::mem::take(&mut self.open);
        let mut metrics: BTreeMap<String, f64> = validation.metrics.into_iter().collect();
        metrics.insert("train_loss".to_owned(), sums.loss / sums.rows.max(1) as f64);
        metrics.insert("rows_per_second".to_owned(), sums.rows as f64 / sums.seconds);
        metrics.insert("tokens_per_second".to_owned(), sums.tokens as f64 / sums.seconds);
        let rate = plan.optimizer().rate(step.saturating_sub(1));
        metrics.insert("learning_rate".to_owned(), f64::from(rate));
        let (thresholds, one_sided) = (validation.thresholds, validation.one_sided);
        self.epochs.push(Epoch { round: self.rounds - 1, step, metrics, thresholds, one_sided });
        &self.epochs[self.epochs.len() - 1]
    }

    /// Returns the epoch, from 0, whose metric is best, among equals that of the lowest loss, then the first. Without validation, the last.
    pub(super) fn best(&self, task: Task) -> Option<usize> {
        let last = self.epochs.len().checked_sub(1)?;
        let score = |Epoch { metrics, .. }: &Epoch| {
            // Of few rows many epochs get the same number right, and the loss still tells them apart.
            let loss = metrics.get("validation_loss").copied().unwrap_or(0.0);
            match task {
                Task::Regress => metrics.get("rmse").map(|rmse| (-rmse, 0.0)),
                Task::Embed => {
                    metrics.get("spearman").or_else(|| metrics.get("mrr")).map(|metric| (*metric, 0.0))
                }
                Task::Classify => match metrics.get("micro_f1") {
                    Some(micro_f1) => Some((*micro_f1, -loss)),
                    None => metrics.get("accuracy").map(|accuracy| (*accuracy, -loss)),
                },
            }
        };
        let mut best = None;
        for (epoch, score) in self.epochs.iter().enumerate().filter_map(|(i, epoch)| Some((i, score(epoch)?)))
        {
            if !score.0.is_nan() && best.is_none_or(|(_, known)| score > known) {
                best = Some((epoch, score));
            }
        }
        Some(best.map_or(last, |(epoch, _)| epoch))
    }

    /// Returns the epoch whose weights the model gets: [`History::best`].
    pub(super) fn chosen(&self, task: Task) -> Option<&Epoch> {
        self.epochs.get(self.best(task)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(epochs: &[&[(&str, f64)]]) -> History {
        let epoch = |metrics: &&[(&str, f64)]| Epoch {
            round: 0,
            step: 0,
            metrics: metrics.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
            thresholds: Vec::new(),
            one_sided: None,
        };
        History { epochs: epochs.iter().map(epoch).collect(), ..History::default() }
    }

    #[test]
    fn lists_of_labels_go_by_micro_f1_and_before_any_is_likely_by_the_loss() {
        let epoch = |micro_f1, loss| [("accuracy", 0.5), ("micro_f1", micro_f1), ("validation_loss", loss)];
        let (first, second, third) = (epoch(0.0, 0.6), epoch(0.0, 0.4), epoch(0.0, 0.5));
        let best = |epochs: &[&[(&str, f64)]]| history(epochs).best(Task::Classify);
        assert_eq!(best(&[&first, &second, &third]), Some(1));
        assert_eq!(best(&[&first, &second, &epoch(0.1, 0.9)]), Some(2));
        let one_label = |accuracy, loss| [("accuracy", accuracy), ("validation_loss", loss)];
        assert_eq!(best(&[&one_label(0.7, 0.6), &one_label(0.7, 0.4)]), Some(1), "the lower loss");
        assert_eq!(best(&[&one_label(0.7, 0.4), &one_label(0.7, 0.4)]), Some(0), "the first of equals");
        assert_eq!(best(&[&one_label(0.7, 0.6), &one_label(0.9, 0.9), &one_label(0.8, 0.1)]), Some(1));
        assert_eq!(best(&[&[], &[]]), Some(1), "without validation the last");
    }

    #[test]
    fn each_task_has_the_metric_that_its_epochs_are_chosen_by() {
        let best = |task, epochs: &[&[(&str, f64)]]| history(epochs).best(task);
        assert_eq!(best(Task::Regress, &[&[("rmse", 0.9)], &[("rmse", 0.4)], &[("rmse", 0.6)]]), Some(1));
        assert_eq!(
            best(Task::Embed, &[&[("spearman", 0.6)], &[("spearman", 0.8)], &[("spearman", 0.7)]]),
            Some(1)
        );
        assert_eq!(best(Task::Embed, &[&[("mrr", 0.6)], &[("mrr", 0.5)]]), Some(0));
        // A metric that is no number is never the best.
        assert_eq!(best(Task::Embed, &[&[("spearman", f64::NAN)], &[("spearman", 0.1)]]), Some(1));
    }
}
