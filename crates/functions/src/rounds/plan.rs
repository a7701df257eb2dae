//! The plan of a training: all that its rounds need to know, written once among the run's files.

use std::ops::Range;

use nightjar_catalog::{Digest, RunFiles};
use nightjar_models::{LoraOptions, Objective, OptimizerOptions, Schedule, TrainerOptions};
use serde::{Deserialize, Serialize};

use crate::{FunctionError, Result};

/// What a training learns and how. Two trainings with equal plans on equal features have equal weights after each round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingPlan {
    /// The artifact of the encoder that it starts from.
    pub body: Digest,
    /// What is learned.
    pub task: RoundTask,
    /// The rows of each shard.
    pub shard_rows: Vec<u64>,
    /// Rows of a step.
    pub batch_size: usize,
    /// How often every row is read.
    pub epochs: u32,
    /// How often the shards' weights are averaged in an epoch.
    pub rounds_per_epoch: u32,
    /// Decides about everything random.
    pub seed: u64,
    /// The share of activations dropped.
    pub dropout: f32,
    /// Lower layers that stay as they are.
    pub freeze_layers: usize,
    /// The greatest learning rate of one shard alone.
    pub learning_rate: f32,
    /// What it is multiplied by for the head.
    pub head_rate: f32,
    /// The decoupled decay of weights.
    pub weight_decay: f32,
    /// The share of the steps over which the rate rises.
    pub warmup_ratio: f32,
    /// Whether the rate falls along a cosine, or else in a straight line.
    pub cosine: bool,
    /// The greatest norm of a gradient; 0 for none.
    pub gradient_clip: f32,
    /// Low-rank additions instead of the weights themselves.
    pub lora: Option<Lora>,
}

/// What is learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoundTask {
    /// One of some classes.
    Classify {
        /// The number of classes.
        classes: usize,
        /// What a row of each class counts; empty for 1.
        class_weights: Vec<f32>,
        /// The share of a label's probability that is spread.
        label_smoothing: f32,
    },
    /// Any number of some classes.
    Tag {
        /// The number of classes.
        classes: usize,
        /// What a row with a class counts in the class's loss; empty for 1.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        positive_weights: Vec<f32>,
    },
    /// A number, learned in units of its deviation from its mean.
    Regress {
        /// The mean of the targets.
        mean: f64,
        /// Their standard deviation, above 0.
        deviation: f64,
    },
    /// No head: the cosine of a pair's embeddings moves towards its score.
    Similarity {
        /// The score that becomes 0.
        zero: f64,
        /// How far above it the score is that becomes 1, above 0.
        range: f64,
    },
    /// No head: the texts of a pair move together, and apart from the others of their batch.
    Contrast,
}

/// What cosines are multiplied by to tell a pair from the others of its batch, as sentence-transformers has it: a temperature of 0.05.
const CONTRAST_SCALE: f32 = 20.0;

/// Above so many times the rate that serves one shard, each of many would lose its way before the next average.
const MOST_SHARD_RATE: f32 = 8.0;

/// The pairs among which a validation looks for a pair's second text: so many whatever the size of a batch, so that the metrics of
/// two trainings compare.
pub(super) const RANKED_PAIRS: usize = 64;

/// Low-rank additions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Lora {
    /// The rank.
    pub rank: usize,
    /// The scale, times the rank.
    pub alpha: f32,
    /// Whether only the attention's projections have them.
    pub attention_only: bool,
}

impl TrainingPlan {
    /// Reads the plan of a run.
    ///
    /// # Errors
    /// `Round` where there is none or it is not one; of reading.
    pub fn read(run: &RunFiles) -> Result<Self> {
        let invalid = |reason: String| FunctionError::Round { path: run.location(Self::FILE).into(), reason };
        let bytes = run.read(Self::FILE)?.ok_or_else(|| invalid("there is no such file".to_owned()))?;
        serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))
    }

    /// The plan's file, of a run's.
    pub const FILE: &str = "training.json";

    /// Returns the number of shards.
    pub fn shards(&self) -> u32 {
        self.shard_rows.len() as u32
    }

    /// Returns the rounds of the whole training.
    pub fn rounds(&self) -> u32 {
        self.epochs * self.rounds_per_epoch
    }

    /// Returns which rows of each shard a round reads, by its number in the training: positions, some of them beyond a shard's end.
    pub fn rows_of(&self, round: u32) -> Range<u64> {
        let batch = self.batch_size as u64;
        let most = self.shard_rows.iter().copied().max().unwrap_or(0);
        let rows = most.div_ceil(batch).div_ceil(u64::from(self.rounds_per_epoch)).max(1) * batch;
        let start = u64::from(round % self.rounds_per_epoch) * rows;
        // The last round takes what is left, should rounding leave anything.
        let end =
            if (round + 1).is_multiple_of(self.rounds_per_epoch) { most.max(start) } else { start + rows };
        start..end
    }

    /// Returns how many of a shard's rows a round reads.
    pub fn rows_in(&self, shard: u32, round: u32) -> u64 {
        let rows = self.shard_rows.get(shard as usize).copied().unwrap_or(0);
        let Range { start, end } = self.rows_of(round);
        end.min(rows).saturating_sub(start)
    }

    /// Returns the steps of a round: those of the shard with the most rows.
    pub fn steps_of(&self, round: u32) -> u32 {
        let rows = (0..self.shards()).map(|shard| self.rows_in(shard, round)).max().unwrap_or(0);
        rows.div_ceil(self.batch_size as u64) as u32
    }

    /// Returns the steps of the rounds before one.
    pub fn steps_before(&self, round: u32) -> u32 {
        (0..round).map(|round| self.steps_of(round)).sum()
    }

    /// Returns the steps of the whole training.
    pub fn total_steps(&self) -> u32 {
        self.steps_before(self.rounds_per_epoch) * self.epochs
    }

    /// Returns what the learning rate is multiplied by for shards that train at the same time: their number, at most 8.
    ///
    /// Of N shards each takes an N-th of the steps, and averaging them keeps the mean of their ways and not the sum: without this, N shards
    /// would learn an N-th as much. It is the linear scaling rule (Goyal et al. 2017, arXiv:1706.02677).
    pub fn shard_rate(&self) -> f32 {
        (self.shards() as f32).min(MOST_SHARD_RATE)
    }

    /// Returns how the trainer moves weights.
    pub fn optimizer(&self) -> OptimizerOptions {
        OptimizerOptions {
            learning_rate: self.learning_rate * self.shard_rate(),
            head_rate: self.head_rate,
            weight_decay: self.weight_decay,
            warmup_ratio: self.warmup_ratio,
            schedule: if self.cosine { Schedule::Cosine } else { Schedule::Linear },
            gradient_clip: self.gradient_clip,
            total_steps: self.total_steps(),
        }
    }

    /// The folder, of a run's, with the states after rounds.
    pub const STATES: &str = "states";

    /// Returns the file of the state after a round, of a run's.
    pub fn state_file(round: u32) -> String {
        format!("{}/round-{round:05}.safetensors", Self::STATES)
    }

    /// Returns the file of one shard's state after a round, before it is averaged.
    pub(crate) fn shard_file(round: u32, shard: u32) -> String {
        format!("{}/round-{round:05}.shard-{shard:04}.safetensors", Self::STATES)
    }

    /// Returns the file of what training a shard for a round did.
    pub(crate) fn report_file(round: u32, shard: u32) -> String {
        format!("{}/round-{round:05}.shard-{shard:04}.json", Self::STATES)
    }

    /// The folder of what frozen layers make of rows. It stays with the process that trains.
    pub const FROZEN: &str = "frozen";

    /// Returns the file of what frozen layers make of a shard's rows in a round, which is that of the same round of any epoch.
    pub(crate) fn frozen_file(&self, round: u32, shard: u32) -> String {
        let round = round % self.rounds_per_epoch;
        format!("{}/round-{round:05}.shard-{shard:04}.f32", Self::FROZEN)
    }

    /// Whether no epoch follows that of a round.
    pub(crate) fn is_last_epoch(&self, round: u32) -> bool {
        round / self.rounds_per_epoch + 1 >= self.epochs
    }

    /// Returns what a trainer is made with.
    pub(crate) fn trainer_options(&self) -> TrainerOptions {
        let objective = match &self.task {
            RoundTask::Classify { classes, class_weights, label_smoothing } => Objective::Classify {
                classes: *classes,
                class_weights: class_weights.clone(),
                label_smoothing: *label_smoothing,
            },
            RoundTask::Tag { classes, positive_weights } => {
                Objective::Tag { classes: *classes, positive_weights: positive_weights.clone() }
            }
            RoundTask::Regress { .. } => Objective::Regress,
            RoundTask::Similarity { .. } => Objective::Similarity,
            RoundTask::Contrast => Objective::Contrast { scale: CONTRAST_SCALE },
        };
        TrainerOptions {
            objective,
            dropout: self.dropout,
            freeze_layers: self.freeze_layers,
            lora: self.lora.map(|Lora { rank, alpha, attention_only }| LoraOptions {
                rank,
                alpha,
                attention_only,
            }),
            seed: self.seed,
            optimizer: self.optimizer(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(shard_rows: Vec<u64>, rounds_per_epoch: u32) -> TrainingPlan {
        TrainingPlan {
            body: Digest::of(b"body"),
            task: RoundTask::Regress { mean: 0.0, deviation: 1.0 },
            shard_rows,
            batch_size: 32,
            epochs: 2,
            rounds_per_epoch,
            seed: 1,
            dropout: 0.1,
            freeze_layers: 0,
            learning_rate: 1e-4,
            head_rate: 1.0,
            weight_decay: 0.0,
            warmup_ratio: 0.1,
            cosine: false,
            gradient_clip: 1.0,
            lora: None,
        }
    }

    #[test]
    fn rounds_read_every_row_of_an_epoch_once() {
        for (shard_rows, rounds) in
            [(vec![100], 1), (vec![8135], 3), (vec![50, 49, 49], 4), (vec![33], 5), (vec![1, 0], 2)]
        {
            let plan = plan(shard_rows.clone(), rounds);
            for (shard, rows) in shard_rows.iter().enumerate() {
                let read: u64 = (rounds..2 * rounds).map(|round| plan.rows_in(shard as u32, round)).sum();
                assert_eq!(read, *rows, "{shard_rows:?} in {rounds}");
            }
            let ends: Vec<_> = (0..rounds).map(|round| plan.rows_of(round)).collect();
            assert!(ends.windows(2).all(|pair| pair[0].end == pair[1].start), "{ends:?}");
        }
        assert_eq!(plan(vec![8135], 3).total_steps(), 2 * 255);
        assert_eq!(plan(vec![8135], 1).total_steps(), 2 * 255);
    }

    #[test]
    fn shards_go_as_far_together_as_one_alone() {
        let [one, four] = [vec![8135], vec![2034, 2034, 2034, 2033]].map(|rows| plan(rows, 3));
        assert_eq!((one.total_steps(), four.total_steps()), (2 * 255, 2 * 64));
        let way = |plan: &TrainingPlan| {
            let optimizer = plan.optimizer();
            (0..plan.total_steps()).map(|step| f64::from(optimizer.rate(step))).sum::<f64>()
        };
        assert!((way(&four) / way(&one) - 1.0).abs() < 0.02, "{} {}", way(&four), way(&one));
        assert_eq!(plan(vec![100; 50], 1).shard_rate(), MOST_SHARD_RATE);
    }
}
