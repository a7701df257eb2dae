//! `round_outcome`: what the weights after a round make of a row, to validate.

use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, StructArray};
use datafusion::arrow::datatypes::{DataType, Field, Fields};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use nightjar_models::{PairOutcome, Target, TrainingRow};

use super::features;
use super::plan::{RANKED_PAIRS, RoundTask, TrainingPlan};
use super::trainers::{Working, blocking};
use crate::{Models, Result};

/// `round_outcome(ids, first_tokens, target, folder, round)`: a struct of `prediction` and `loss`, both Float64.
///
/// The prediction is the class or the number; of pairs with scores the cosine, and of pairs without them the rank of the second text among
/// those of the 64 rows at hand, by their cosines with the first: rows come in batches of a multiple of 64.
///
/// A target that training has never seen has the loss of a probability of f32's epsilon. Not for users: it is not in the
/// reference.
#[derive(Debug, Clone)]
pub struct RoundOutcome {
    models: Models,
    signature: Signature,
}

impl RoundOutcome {
    /// Returns the function over a store's models.
    pub fn new(models: Models) -> Self {
        RoundOutcome { models, signature: Signature::any(5, Volatility::Stable) }
    }

    fn outcomes(&self, folder: &Path, round: u32, columns: &[ArrayRef]) -> Result<(Vec<f64>, Vec<f64>)> {
        let plan = TrainingPlan::read(folder)?;
        let rows = features::rows(&plan.task, columns)?;
        let working = Working::take(&self.models, &plan, folder, Some(round))?;
        let is_ranked = plan.task == RoundTask::Contrast;
        if is_ranked || matches!(plan.task, RoundTask::Similarity { .. }) {
            let outcomes = working.trainer()?.pair_outcomes(&rows, RANKED_PAIRS)?;
            let prediction = |pair: &PairOutcome| if is_ranked { pair.rank as f64 } else { pair.cosine };
            return Ok(outcomes.iter().map(|pair| (prediction(pair), pair.loss)).unzip());
        }
        let mut outputs = working.trainer()?.outputs(&rows)?;
        let per_row = outputs.len() / rows.len().max(1);
        let outcomes = rows.iter().zip(outputs.chunks_exact_mut(per_row.max(1)));
        Ok(outcomes.map(|(row, outputs)| outcome(&plan.task, row, outputs)).unzip())
    }
}

/// Returns a row's prediction and its loss.
fn outcome(task: &RoundTask, row: &TrainingRow, outputs: &[f32]) -> (f64, f64) {
    match (task, &row.target) {
        (RoundTask::Regress { mean, deviation }, Target::Number(target)) => {
            let (found, target) = (f64::from(outputs[0]), f64::from(*target));
            (found * deviation + mean, (found - target).powi(2))
        }
        (_, target) => {
            let best =
                (0..outputs.len()).fold(0, |best, i| if outputs[i] > outputs[best] { i } else { best });
            let max = f64::from(outputs[best]);
            let log_total = max + outputs.iter().map(|&x| (f64::from(x) - max).exp()).sum::<f64>().ln();
            let output = match target {
                Target::Class(class) => outputs.get(*class as usize),
                _ => None,
            };
            // As metrics clip: an impossible label would make every mean infinite.
            let least = f64::from(f32::EPSILON).ln();
            let log_probability = output.map_or(least, |&output| (f64::from(output) - log_total).max(least));
            (best as f64, -log_probability)
        }
    }
}

impl PartialEq for RoundOutcome {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for RoundOutcome {}

impl Hash for RoundOutcome {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

fn fields() -> Fields {
    ["prediction", "loss"].into_iter().map(|name| Field::new(name, DataType::Float64, false)).collect()
}

impl ScalarUDFImpl for RoundOutcome {
    fn name(&self) -> &str {
        "round_outcome"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DataFusionResult<DataType> {
        Ok(DataType::Struct(fields()))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let columns = args
            .args
            .iter()
            .map(|arg| arg.to_array(args.number_rows))
            .collect::<DataFusionResult<Vec<_>>>()?;
        let (mut predictions, mut losses) = (Vec::new(), Vec::new());
        if args.number_rows > 0 {
            let (folder, round) = features::about(&columns[3], &columns[4])?;
            (predictions, losses) = blocking(|| self.outcomes(&folder, round, &columns[..3]))?;
        }
        let columns: Vec<ArrayRef> =
            vec![Arc::new(Float64Array::from(predictions)), Arc::new(Float64Array::from(losses))];
        Ok(ColumnarValue::Array(Arc::new(StructArray::try_new(fields(), columns, None)?)))
    }
}
