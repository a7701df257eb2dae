//! `roc_auc(label, score)` and `roc_auc(label, scores, 'positive class')`.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Float64Type};

use super::MetricFunction;
use super::argument::Argument::{Class, Label, Number, Scores};
use super::kept_values::{KeepValues, KeptValues, state};
use super::labels::is_positive;
use super::scores::ScoresColumn;
use crate::label_lists::read_labels;
use crate::{FunctionDoc, Result};

const NAME: &str = "roc_auc";

/// The area under the ROC curve.
pub(crate) static ROC_AUC: MetricFunction = MetricFunction {
    doc: FunctionDoc {
        name: NAME,
        syntax: "roc_auc(label, score) or roc_auc(label, scores, 'positive class')",
        summary: "Aggregate: the area under the ROC curve, which is how often a positive row scores above a negative one, \
                  ties counting half.",
        returns: "Float64",
        notes: "With a score, labels are booleans or 0 and 1. With scores, what classify_scores returns, every label but \
                the positive class is negative. NULL unless there are rows of both, NaN where a score is; rows with NULL \
                are skipped. Keeps 8 bytes a row.",
        example: "SELECT roc_auc(label, classify_scores(review, 'sentiment'), 'good') FROM reviews",
    },
    forms: &[&[Label, Number], &[Label, Scores, Class]],
    returns: || DataType::Float64,
    state,
    accumulator: |class| Box::new(KeptValues::new(RocAuc { class })),
    of_lists: None,
};

/// Keeps the scores of the positive rows and those of the negative ones.
#[derive(Debug)]
struct RocAuc {
    class: Option<String>,
}

impl KeepValues for RocAuc {
    fn keep(&self, arguments: &[ArrayRef], values: &mut [Vec<f64>; 2]) -> Result<()> {
        let [positives, negatives] = values;
        let mut keep =
            |positive: bool, score| if positive { &mut *positives } else { &mut *negatives }.push(score);
        let labels = read_labels(NAME, &arguments[0])?;
        if arguments[1].data_type().is_null() {
            return Ok(());
        }
        let Some(class) = &self.class else {
            for (label, score) in labels.iter().zip(arguments[1].as_primitive::<Float64Type>()) {
                if let (Some(label), Some(score)) = (label, score) {
                    keep(is_positive(NAME, label)?, score);
                }
            }
            return Ok(());
        };
        let scores = ScoresColumn::read(NAME, &arguments[1])?;
        for (row, label) in labels.iter().enumerate() {
            if let (Some(label), Some(score)) = (label, scores.score_of(row, class)) {
                keep(label == class, score);
            }
        }
        Ok(())
    }

    fn value(&self, [positives, negatives]: &mut [Vec<f64>; 2]) -> Option<f64> {
        nightjar_models::roc_auc(positives, negatives)
    }
}
