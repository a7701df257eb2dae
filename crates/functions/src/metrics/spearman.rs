//! `spearman(truth, prediction)`.

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Float64Type};

use super::MetricFunction;
use super::argument::Argument::Number;
use super::kept_values::{KeepValues, KeptValues, state};
use crate::{FunctionDoc, Result};

/// The correlation of ranks.
pub(crate) static SPEARMAN: MetricFunction = MetricFunction {
    doc: FunctionDoc {
        name: "spearman",
        syntax: "spearman(truth, prediction)",
        summary: "Aggregate: the correlation of the ranks of two numbers, ties sharing their mean rank.",
        returns: "Float64",
        notes: "0 where either side is constant, NaN where a value is. NULLs as in rmse. Keeps 16 bytes a row.",
        example: "SELECT spearman(stars, predict(review, 'stars')) FROM reviews",
    },
    forms: &[&[Number, Number]],
    returns: || DataType::Float64,
    state,
    accumulator: |_| Box::new(KeptValues::new(Spearman)),
    of_lists: None,
};

/// Keeps both numbers of each row.
#[derive(Debug)]
struct Spearman;

impl KeepValues for Spearman {
    fn keep(&self, arguments: &[ArrayRef], [truths, predictions]: &mut [Vec<f64>; 2]) -> Result<()> {
        let column = |index: usize| arguments[index].as_primitive::<Float64Type>().iter();
        for (truth, prediction) in column(0).zip(column(1)) {
            if let (Some(truth), Some(prediction)) = (truth, prediction) {
                truths.push(truth);
                predictions.push(prediction);
            }
        }
        Ok(())
    }

    fn value(&self, [truths, predictions]: &mut [Vec<f64>; 2]) -> Option<f64> {
        (!truths.is_empty()).then(|| nightjar_models::spearman(truths, predictions))
    }
}
