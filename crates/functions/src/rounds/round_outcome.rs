//! `round_outcome`: what the weights after a round make of a row, to validate.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, ListArray, StructArray, new_empty_array};
use datafusion::arrow::datatypes::{DataType, Field, Fields, Float32Type};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use nightjar_models::{PairOutcome, Target, TrainingRow, row_log_loss};

use super::features;
use super::plan::{RANKED_PAIRS, RoundTask, TrainingPlan};
use super::trainers::{Working, blocking};
use crate::{Models, Result};

/// `round_outcome(ids, first_tokens, target, run, round)`: a struct of `prediction`, Float64 or, where the target is a list,
/// List\<Float32\>, and `loss`, Float64.
///
/// The prediction is the class, the probability of each class by itself where a row has any number of them, or the number; of pairs with scores the cosine, and of pairs without them the rank of the second text among
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

    /// Returns the predictions and the losses.
    fn outcomes(&self, run: &str, round: u32, columns: &[ArrayRef]) -> Result<(ArrayRef, Vec<f64>)> {
        let run = self.models.files().run_files(run)?;
        let plan = TrainingPlan::read(&run)?;
        let rows = features::rows(&plan.task, columns)?;
        let working = Working::take(&self.models, &plan, &run, Some(round))?;
        let is_ranked = plan.task == RoundTask::Contrast;
        if is_ranked || matches!(plan.task, RoundTask::Similarity { .. }) {
            let outcomes = working.trainer()?.pair_outcomes(&rows, RANKED_PAIRS)?;
            let prediction = |pair: &PairOutcome| if is_ranked { pair.rank as f64 } else { pair.cosine };
            return Ok(numbers(outcomes.iter().map(|pair| (prediction(pair), pair.loss))));
        }
        let mut outputs = working.trainer()?.outputs(&rows)?;
        let per_row = outputs.len() / rows.len().max(1);
        let outcomes = rows.iter().zip(outputs.chunks_exact_mut(per_row.max(1)));
        if let RoundTask::Tag { .. } = plan.task {
            let (probabilities, losses): (Vec<_>, Vec<_>) =
                outcomes.map(|(row, outputs)| classes_outcome(row, outputs)).unzip();
            let lists = ListArray::from_iter_primitive::<Float32Type, _, _>(probabilities);
            return Ok((Arc::new(lists), losses));
        }
        Ok(numbers(outcomes.map(|(row, outputs)| outcome(&plan.task, row, outputs))))
    }
}

fn numbers(outcomes: impl Iterator<Item = (f64, f64)>) -> (ArrayRef, Vec<f64>) {
    let (predictions, losses): (Vec<f64>, Vec<f64>) = outcomes.unzip();
    (Arc::new(Float64Array::from(predictions)), losses)
}

/// Returns the probability of each class by itself, and the mean of a row's binary losses.
fn classes_outcome(row: &TrainingRow, outputs: &[f32]) -> (Option<Vec<Option<f32>>>, f64) {
    let Target::Classes(truth) = &row.target else { return (None, f64::NAN) };
    let (mut probabilities, mut loss) = (Vec::with_capacity(outputs.len()), 0.0);
    for (class, &output) in outputs.iter().enumerate() {
        let probability = 1.0 / (1.0 + (-f64::from(output)).exp());
        let has = truth.contains(&(class as u32));
        loss += row_log_loss(if has { probability } else { 1.0 - probability });
        probabilities.push(Some(probability as f32));
    }
    // Labels that training has never seen have no output that could be right.
    let unseen = truth.iter().filter(|class| **class as usize >= outputs.len()).count();
    loss += row_log_loss(0.0) * unseen as f64;
    (Some(probabilities), loss / (outputs.len() + unseen) as f64)
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

fn fields(prediction: &DataType) -> Fields {
    let field = |name, data_type: &DataType| Field::new(name, data_type.clone(), false);
    Fields::from(vec![field("prediction", prediction), field("loss", &DataType::Float64)])
}

fn prediction_type(target: Option<&DataType>) -> DataType {
    match target {
        Some(DataType::List(_)) => DataType::new_list(DataType::Float32, true),
        _ => DataType::Float64,
    }
}

impl ScalarUDFImpl for RoundOutcome {
    fn name(&self) -> &str {
        "round_outcome"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> DataFusionResult<DataType> {
        Ok(DataType::Struct(fields(&prediction_type(types.get(2)))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let columns = args
            .args
            .iter()
            .map(|arg| arg.to_array(args.number_rows))
            .collect::<DataFusionResult<Vec<_>>>()?;
        let prediction = prediction_type(columns.get(2).map(|target| target.data_type()));
        let (mut predictions, mut losses) = (new_empty_array(&prediction), Vec::new());
        if args.number_rows > 0 {
            let (run, round) = features::about(&columns[3], &columns[4])?;
            (predictions, losses) = blocking(|| self.outcomes(&run, round, &columns[..3]))?;
        }
        let columns: Vec<ArrayRef> = vec![predictions, Arc::new(Float64Array::from(losses))];
        Ok(ColumnarValue::Array(Arc::new(StructArray::try_new(fields(&prediction), columns, None)?)))
    }
}
