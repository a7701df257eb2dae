//! `train_round`: the aggregate that trains.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Int32Type, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};
use nightjar_catalog::RunFiles;
use nightjar_models::TrainingRow;

use super::features;
use super::frozen::write_needed;
use super::plan::TrainingPlan;
use super::report::{RoundReport, ShardReport};
use super::train_shard::train_shard;
use super::trainers::{Working, blocking};
use crate::{FunctionError, Models, Result};

/// `train_round(shard, position, ids, first_tokens, target, run, round)`: trains each shard on its rows and averages the shards'
/// weights, weighted by rows, in the order of shards. Returns a [`RoundReport`] as JSON; the averaged state is among the run's files.
///
/// A partial accumulator trains the shards of its partition, the final one averages. Not for users: it is not in the reference.
#[derive(Debug, Clone)]
pub struct TrainRound {
    models: Models,
    signature: Signature,
}

impl TrainRound {
    /// Returns the aggregate over a store's models.
    pub fn new(models: Models) -> Self {
        TrainRound { models, signature: Signature::any(7, Volatility::Volatile) }
    }
}

impl PartialEq for TrainRound {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for TrainRound {}

impl Hash for TrainRound {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl AggregateUDFImpl for TrainRound {
    fn name(&self) -> &str {
        "train_round"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DataFusionResult<DataType> {
        Ok(DataType::Utf8)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> DataFusionResult<Vec<FieldRef>> {
        let reports = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
        Ok(vec![Arc::new(Field::new(format!("{}[reports]", args.name), reports, true))])
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> DataFusionResult<Box<dyn Accumulator>> {
        Ok(Box::new(Round::new(self.models.clone())))
    }
}

/// The shards that one accumulator sees, and the reports of those that are trained.
#[derive(Debug)]
struct Round {
    models: Models,
    about: Option<About>,
    shards: BTreeMap<i32, Vec<(i64, TrainingRow)>>,
    bytes: usize,
    reports: Vec<ShardReport>,
}

/// Which round of which run.
#[derive(Debug, Clone)]
struct About {
    run: RunFiles,
    round: u32,
    plan: TrainingPlan,
}

impl Round {
    fn new(models: Models) -> Self {
        Round { models, about: None, shards: BTreeMap::new(), bytes: 0, reports: Vec::new() }
    }

    fn train(&mut self) -> Result<()> {
        let Some(About { run, round, plan }) = self.about.clone() else {
            return Ok(());
        };
        for (shard, rows) in std::mem::take(&mut self.shards) {
            let report = blocking(|| train_shard(&self.models, &plan, &run, round, shard as u32, rows))?;
            self.reports.push(report);
        }
        self.bytes = 0;
        Ok(())
    }

    fn read(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let [shards, positions, features @ .., runs, rounds] = columns else {
            return Err(FunctionError::Internal("train_round with other arguments".to_owned()));
        };
        if shards.is_empty() {
            return Ok(());
        }
        if self.about.is_none() {
            let (run, round) = features::about(runs, rounds)?;
            let run = self.models.files().run_files(&run)?;
            let plan = blocking(|| TrainingPlan::read(&run))?;
            self.about = Some(About { run, round, plan });
        }
        let Some(about) = &self.about else { return Ok(()) };
        let rows = features::rows(&about.plan.task, features)?;
        let (shards, positions) = (shards.as_primitive::<Int32Type>(), positions.as_primitive::<Int64Type>());
        for (index, row) in rows.into_iter().enumerate() {
            self.bytes += size_of::<(i64, TrainingRow)>() + 4 * row.ids.len();
            self.shards.entry(shards.value(index)).or_default().push((positions.value(index), row));
        }
        Ok(())
    }

    /// Averages the shards' states and returns what the round did.
    fn finish(&mut self) -> Result<Option<RoundReport>> {
        self.reports.sort_by_key(|report| report.shard);
        let Some(first) = self.reports.first() else { return Ok(None) };
        let (run, round) = (self.models.files().run_files(&first.run)?, first.round);
        let plan = blocking(|| TrainingPlan::read(&run))?;
        let expected: Vec<u32> = (0..plan.shards()).filter(|shard| plan.rows_in(*shard, round) > 0).collect();
        let found: Vec<u32> = self.reports.iter().map(|report| report.shard).collect();
        let rows = |shard: &ShardReport| shard.rows == plan.rows_in(shard.shard, round);
        if found != expected || !self.reports.iter().all(rows) {
            return Err(FunctionError::ShardsMissing { round, expected, found });
        }
        let report = RoundReport { round, shards: std::mem::take(&mut self.reports) };
        blocking(|| average(&self.models, &plan, &run, &report))?;
        Ok(Some(report))
    }
}

/// Writes the state after a round and removes the shards' own.
fn average(models: &Models, plan: &TrainingPlan, run: &RunFiles, report: &RoundReport) -> Result<()> {
    let state = TrainingPlan::state_file(report.round);
    let of_shard = |shard: &ShardReport| TrainingPlan::shard_file(report.round, shard.shard);
    match report.shards.as_slice() {
        // Another attempt has come as far as removing what it averaged.
        [first, ..] if !run.contains(&of_shard(first))? && run.contains(&state)? => {}
        [only] => run.rename(&of_shard(only), &state)?,
        shards => {
            let weighted = shards.iter().map(|shard| Ok((run.open(&of_shard(shard))?, shard.rows as f64)));
            let weighted: Vec<_> = weighted.collect::<Result<_>>()?;
            let working = Working::take(models, plan, run, report.round.checked_sub(1))?;
            write_needed(&working, run, &state, |path| {
                Ok(working.trainer()?.average_states(&weighted, path)?)
            })?;
        }
    }
    let names = |shard: &ShardReport| {
        [
            TrainingPlan::report_file(report.round, shard.shard),
            TrainingPlan::shard_file(report.round, shard.shard),
        ]
    };
    // What stays behind is found useless, and removed with the run.
    let _ = run.remove(&report.shards.iter().flat_map(names).collect::<Vec<_>>());
    Ok(())
}

impl Accumulator for Round {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> DataFusionResult<()> {
        Ok(self.read(columns)?)
    }

    fn state(&mut self) -> DataFusionResult<Vec<ScalarValue>> {
        self.train()?;
        let json = |report: &ShardReport| serde_json::to_string(report).ok();
        let reports: datafusion::arrow::array::StringArray = self.reports.iter().map(json).collect();
        Ok(vec![SingleRowListArrayBuilder::new(Arc::new(reports)).build_list_scalar()])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> DataFusionResult<()> {
        for list in states.iter().flat_map(|states| states.as_list::<i32>().iter()).flatten() {
            for json in list.as_string::<i32>().iter().flatten() {
                let report =
                    serde_json::from_str(json).map_err(|error| FunctionError::Internal(error.to_string()))?;
                self.reports.push(report);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> DataFusionResult<ScalarValue> {
        self.train()?;
        let report = self.finish()?;
        Ok(ScalarValue::Utf8(report.and_then(|report| serde_json::to_string(&report).ok())))
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.bytes
    }
}
