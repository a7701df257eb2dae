//! One shard, one round: from the state after the round before to the shard's own.

use nightjar_catalog::RunFiles;
use nightjar_models::{FrozenBatch, ModelError, TrainingRow};

use super::exact::Exact;
use super::frozen::{stored_states, write_needed};
use super::plan::TrainingPlan;
use super::report::ShardReport;
use super::trainers::{StepEvent, Working};
use crate::{FunctionError, Models, Result};

/// Trains a shard on the rows of a round, in an order that follows from seed, epoch, round and shard, and writes its state. What frozen
/// layers make of the rows is computed by the first epoch and stored for the others.
///
/// A shard that has been trained for the round is not trained again: its report is read.
///
/// # Errors
/// `Diverged`; `Cancelled` once the session has ended; of loading, reading and writing.
pub(super) fn train_shard(
    models: &Models,
    plan: &TrainingPlan,
    run: &RunFiles,
    round: u32,
    shard: u32,
    mut rows: Vec<(i64, TrainingRow)>,
) -> Result<ShardReport> {
    let (state, report_file) =
        (TrainingPlan::shard_file(round, shard), TrainingPlan::report_file(round, shard));
    let known = run.read(&report_file)?.and_then(|json| serde_json::from_slice::<ShardReport>(&json).ok());
    if let Some(report) = known.filter(|report| report.rows == rows.len() as u64)
        && run.contains(&state)?
    {
        return Ok(ShardReport { run: run.name().to_owned(), ..report });
    }
    rows.sort_by_key(|(position, _)| *position);
    let (positions, rows): (Vec<i64>, Vec<TrainingRow>) = rows.into_iter().unzip();
    let order = shuffled(rows.len(), plan.seed, round, shard);
    let mut working = Working::take(models, plan, run, round.checked_sub(1))?;
    let mut report = ShardReport {
        run: run.name().to_owned(),
        round,
        shard,
        rows: rows.len() as u64,
        tokens: 0,
        frozen_tokens: 0,
        losses: Vec::new(),
    };
    let seed = plan.seed ^ u64::from(shard).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    working.change()?.set_seed(seed);
    let stored = stored_states(&working, plan, (run, round, shard), &rows)?;
    report.frozen_tokens = stored.tokens;
    for batch in order.chunks(plan.batch_size) {
        if working.is_stopped(run) {
            return Err(ModelError::Cancelled.into());
        }
        let batch_rows: Vec<TrainingRow> = batch.iter().map(|row| rows[*row].clone()).collect();
        let trainer = working.change()?;
        let stored = stored.states.as_ref().map(|states| FrozenBatch { states, rows: batch });
        let step = trainer.step_above(stored, &batch_rows).map_err(|error| match error {
            ModelError::Diverged { step, rows: odd } => {
                let positions =
                    odd.iter().filter_map(|row| batch.get(*row)).map(|row| positions[*row]).collect();
                FunctionError::Diverged { step, shard, positions, learning_rate: plan.learning_rate }
            }
            other => other.into(),
        })?;
        let number = trainer.steps();
        report.losses.push(Exact(step.loss));
        report.tokens += step.tokens as u64;
        if plan.freeze_layers > 0 {
            report.frozen_tokens += (step.tokens - step.stored_tokens) as u64;
        }
        let (rows, tokens) = (batch.len() as u64, step.tokens as u64);
        working.tell(StepEvent { shard, step: number, loss: step.loss, rows, tokens });
    }
    write_needed(&working, run, &state, |path| Ok(working.trainer()?.save_state(path)?))?;
    if plan.shards() == 1 {
        working.holds(round);
    }
    let json = serde_json::to_vec(&report).map_err(|error| FunctionError::Internal(error.to_string()))?;
    run.write(&report_file, &json)?;
    Ok(report)
}

/// Returns row numbers in the order of a round.
fn shuffled(rows: usize, seed: u64, round: u32, shard: u32) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows).collect();
    let name = u64::from(round) << 32 | u64::from(shard);
    nightjar_models::shuffle(&mut order, seed ^ name.wrapping_mul(0xd1b5_4a32_d192_ed03));
    order
}
