//! From options and prepared rows to the plan of the training.

use std::collections::BTreeMap;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Float64Type;
use nightjar_catalog::Task;
use nightjar_functions::classes_of;
use nightjar_functions::rounds::{Lora, RoundTask, TrainingPlan};
use nightjar_models::ClassCounts;

use super::queries::{aggregates, features};
use crate::StatementContext;
use crate::error::Result;
use crate::prepare::Prepared;
use crate::training::Training;
use crate::training_error::TrainingError;
use nightjar_sql::{ClassWeights, LoraTargets, Method, OptionValues, Schedule};

/// Tokens of a round where one shard trains: a minute or two on two cores, which is what a crash loses.
const ROUND_TOKENS: u64 = 200_000;

/// What 'auto' epochs come from: enough steps, within bounds.
const STEPS: u64 = 150;
const LEAST_EPOCHS: u64 = 3;
const MOST_EPOCHS: u64 = 20;

/// Steps of a round where several shards train: the more, the further their weights drift apart between two averages; the fewer, the more
/// often states are written.
const ROUND_STEPS: u64 = 24;

/// Returns the plan of the training.
///
/// # Errors
/// Of the query that measures the targets of a regression; `OneScore`.
pub(super) async fn plan(
    context: &StatementContext,
    training: &Training<'_>,
    prepared: &Prepared,
) -> Result<TrainingPlan> {
    let options = &training.options;
    let task = match prepared.task {
        Task::Regress => moments(context, prepared).await?,
        Task::Embed if prepared.scored => scores(context, prepared).await?,
        Task::Embed => RoundTask::Contrast,
        Task::Classify if prepared.multi_label => RoundTask::Tag {
            classes: prepared.labels.len(),
            positive_weights: positive_weights(context, options, prepared).await?,
        },
        Task::Classify => RoundTask::Classify {
            classes: prepared.labels.len(),
            class_weights: class_weights(options, &prepared.class_counts),
            label_smoothing: options.label_smoothing() as f32,
        },
    };
    let lora = (options.method() == Method::Lora).then(|| Lora {
        rank: options.lora_rank(),
        alpha: options.lora_alpha() as f32,
        attention_only: options.lora_targets() == LoraTargets::Attention,
    });
    Ok(TrainingPlan {
        body: training.base.card.body,
        task,
        shard_rows: prepared.train.iter().map(|file| file.rows).collect(),
        batch_size: options.batch_size(),
        epochs: options.epochs().unwrap_or_else(|| epochs(options, prepared)),
        rounds_per_epoch: rounds_per_epoch(options, prepared),
        seed: options.seed(),
        dropout: options.dropout() as f32,
        freeze_layers: options.freeze_layers(),
        learning_rate: options.learning_rate() as f32,
        head_rate: options.head_rate() as f32,
        weight_decay: options.weight_decay() as f32,
        warmup_ratio: options.warmup_ratio() as f32,
        cosine: options.schedule() == Schedule::Cosine,
        gradient_clip: options.gradient_clip().unwrap_or(0.0) as f32,
        lora,
    })
}

/// Returns the epochs that give enough steps, whatever the rows.
fn epochs(options: &OptionValues, prepared: &Prepared) -> u32 {
    let steps = steps(options, prepared);
    STEPS.div_ceil(steps).clamp(LEAST_EPOCHS, MOST_EPOCHS) as u32
}

/// Returns the steps of an epoch.
fn steps(options: &OptionValues, prepared: &Prepared) -> u64 {
    let rows = prepared.train.iter().map(|file| file.rows).max().unwrap_or(0);
    rows.div_ceil(options.batch_size() as u64).max(1)
}

fn rounds_per_epoch(options: &OptionValues, prepared: &Prepared) -> u32 {
    let steps = steps(options, prepared);
    let rounds = match options.rounds_per_epoch() {
        Some(rounds) => rounds as u64,
        None if prepared.train.len() > 1 => steps.div_ceil(ROUND_STEPS),
        None => prepared.train.iter().map(|file| file.tokens).sum::<u64>().div_ceil(ROUND_TOKENS),
    };
    whole_rounds(steps, rounds)
}

/// Returns the rounds that an epoch of so many steps is cut into: those asked for, or as many as have a step. A round without one has
/// no rows to report on.
fn whole_rounds(steps: u64, asked: u64) -> u32 {
    let steps_of_round = steps.div_ceil(asked.clamp(1, steps));
    steps.div_ceil(steps_of_round) as u32
}

/// Returns what a row of each class counts: with 'balanced', each class counts as much as any other, and rows 1 on average.
fn class_weights(options: &OptionValues, counts: &[u64]) -> Vec<f32> {
    if options.class_weights() == ClassWeights::None {
        return Vec::new();
    }
    let rows: u64 = counts.iter().sum();
    counts.iter().map(|count| (rows as f64 / (counts.len() as f64 * (*count).max(1) as f64)) as f32).collect()
}

/// The most that a row with a rare label counts: a label of one row in a thousand would drown the others.
const MAX_POSITIVE_WEIGHT: f64 = 100.0;

/// Returns what a row with each label counts: with 'balanced', those with the label together as much as those without it.
async fn positive_weights(
    context: &StatementContext,
    options: &OptionValues,
    prepared: &Prepared,
) -> Result<Vec<f32>> {
    if options.class_weights() == ClassWeights::None {
        return Ok(Vec::new());
    }
    let rows = features(context, prepared.train.iter(), 1).await?;
    let counts = aggregates(rows, &[("counts", "label_counts(target, target)")])?.collect().await?;
    let counts: BTreeMap<String, ClassCounts> =
        counts.first().map(|row| classes_of(row.column(0)).into_iter().collect()).unwrap_or_default();
    let rows: u64 = prepared.train.iter().map(|file| file.rows).sum();
    let weight = |label: usize| {
        let with = counts.get(&label.to_string()).map_or(0, |counts| counts.support);
        let without = rows.saturating_sub(with);
        (without as f64 / with.max(1) as f64).min(MAX_POSITIVE_WEIGHT) as f32
    };
    Ok((0..prepared.labels.len()).map(weight).collect())
}

/// Returns mean and deviation of the targets.
async fn moments(context: &StatementContext, prepared: &Prepared) -> Result<RoundTask> {
    let measures = [("mean", "avg(target)"), ("deviation", "stddev_pop(target)")];
    let [mean, deviation] = of_targets(context, prepared, measures).await?;
    // Targets that are all alike are learned as they are.
    let deviation = if deviation > 0.0 { deviation } else { 1.0 };
    Ok(RoundTask::Regress { mean, deviation })
}

/// Returns how scores become cosines: those from -1 to 1 are some; others are spread from 0 to 1.
async fn scores(context: &StatementContext, prepared: &Prepared) -> Result<RoundTask> {
    let measures = [("least", "min(target)"), ("greatest", "max(target)")];
    let [least, greatest] = of_targets(context, prepared, measures).await?;
    // One pair is no reason to refuse; and EXPLAIN plans with one.
    if least == greatest && prepared.rows > 1 {
        return Err(TrainingError::OneScore { score: least }.into());
    }
    if least >= -1.0 && greatest <= 1.0 {
        return Ok(RoundTask::Similarity { zero: 0.0, range: 1.0 });
    }
    let range = if greatest > least { greatest - least } else { 1.0 };
    Ok(RoundTask::Similarity { zero: least, range })
}

/// Returns two measures of the targets to learn.
async fn of_targets(
    context: &StatementContext,
    prepared: &Prepared,
    measures: [(&str, &str); 2],
) -> Result<[f64; 2]> {
    let rows = features(context, prepared.train.iter(), 1).await?;
    let rows = aggregates(rows, &measures)?.collect().await?;
    let number = |column: usize| {
        let first = rows.first().map(|row| row.column(column).as_primitive::<Float64Type>().value(0));
        first.unwrap_or_default()
    };
    Ok([number(0), number(1)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_has_a_step() {
        // Nine steps in four rounds are three of three: the fourth would have none.
        assert_eq!([1, 2, 3, 4, 5, 9, 100].map(|asked| whole_rounds(9, asked)), [1, 2, 3, 3, 5, 9, 9]);
        for steps in 1..200 {
            for asked in 0..250 {
                let rounds = u64::from(whole_rounds(steps, asked));
                assert!((rounds - 1) * steps.div_ceil(rounds) < steps, "{steps} steps in {asked} rounds");
            }
        }
    }
}
