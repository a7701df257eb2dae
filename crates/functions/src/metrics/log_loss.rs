//! `log_loss(label, scores)`, with lists of labels too, and, for two classes, `log_loss(label, probability)`.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, UInt64Array};
use datafusion::arrow::compute::sum;
use datafusion::arrow::datatypes::{DataType, Float64Type, UInt64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::Accumulator;
use nightjar_models::row_log_loss;

use super::MetricFunction;
use super::argument::Argument::{Label, LabelList, Number, Scores};
use super::labels::is_positive;
use super::scores::ScoresColumn;
use crate::label_lists::read_labels;
use crate::{FunctionDoc, LabelLists};

const NAME: &str = "log_loss";

/// The mean of `-ln p(label)`.
pub(crate) static LOG_LOSS: MetricFunction = MetricFunction {
    doc: FunctionDoc {
        name: NAME,
        syntax: "log_loss(label, scores) or log_loss(label, probability)",
        summary: "Aggregate: the mean of -ln of the probability given to the true label.",
        returns: "Float64",
        notes: "`scores` is what classify_scores returns; a label that is not among them has probability 0. \
                `probability` is that of true or 1, for labels that are booleans or 0 and 1. With a list of labels, \
                a row's loss is the mean over all labels of -ln of the probability of having the label, or of not having it. \
                Probabilities are clipped \
                at the epsilon of Float32, as scikit-learn clips Float32. Rows with NULL are skipped; no rows give NULL.",
        example: "SELECT log_loss(label, classify_scores(review, 'sentiment')) FROM reviews",
    },
    forms: &[&[Label, Scores], &[LabelList, Scores], &[Label, Number]],
    returns: || DataType::Float64,
    state: || vec![("sum", DataType::Float64), ("rows", DataType::UInt64)],
    accumulator: |_| Box::new(LogLoss::default()),
    of_lists: None,
};

/// The sum of the rows' losses.
#[derive(Debug, Default)]
struct LogLoss {
    sum: f64,
    rows: u64,
}

impl LogLoss {
    fn add(&mut self, probability: f64) {
        self.sum += row_log_loss(probability);
        self.rows += 1;
    }

    /// Adds rows with any number of labels each.
    fn add_lists(&mut self, labels: &LabelLists, scores: &ScoresColumn) {
        for (row, labels) in labels.iter().enumerate() {
            let (Some(labels), Some(scores)) = (labels, scores.of(row)) else { continue };
            let (mut sum, mut count, mut found) = (0.0, 0, 0);
            for (label, probability) in scores {
                let has = labels.binary_search(&label).is_ok();
                sum += row_log_loss(if has { probability } else { 1.0 - probability });
                found += usize::from(has);
                count += 1;
            }
            let unseen = labels.len() - found.min(labels.len());
            sum += row_log_loss(0.0) * unseen as f64;
            self.sum += sum / (count + unseen).max(1) as f64;
            self.rows += 1;
        }
    }
}

impl Accumulator for LogLoss {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if LabelLists::accepts(values[0].data_type()) && !values[1].data_type().is_null() {
            self.add_lists(&LabelLists::read(NAME, &values[0])?, &ScoresColumn::read(NAME, &values[1])?);
            return Ok(());
        }
        let labels = read_labels(NAME, &values[0])?;
        let Some(probabilities) = values[1].as_primitive_opt::<Float64Type>() else {
            if values[1].data_type().is_null() {
                return Ok(());
            }
            let scores = ScoresColumn::read(NAME, &values[1])?;
            for (row, label) in labels.iter().enumerate() {
                if let Some(probability) = label.and_then(|label| scores.score_of(row, label)) {
                    self.add(probability);
                }
            }
            return Ok(());
        };
        for (label, probability) in labels.iter().zip(probabilities) {
            if let (Some(label), Some(probability)) = (label, probability) {
                self.add(if is_positive(NAME, label)? { probability } else { 1.0 - probability });
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let (sums, rows): (&Float64Array, &UInt64Array) =
            (states[0].as_primitive::<Float64Type>(), states[1].as_primitive::<UInt64Type>());
        self.sum += sum(sums).unwrap_or_default();
        self.rows += sum(rows).unwrap_or_default();
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::from(self.sum), ScalarValue::from(self.rows)])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64((self.rows > 0).then(|| self.sum / self.rows as f64)))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}
