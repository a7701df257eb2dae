//! `accuracy(label, prediction)`.

use datafusion::arrow::datatypes::DataType;
use nightjar_models::{ConfusionMatrix, LabelSetCounts};

use super::MetricFunction;
use super::argument::Argument::{Label, LabelList};
use super::pair_counts::{PairCounts, PairValue, state};
use super::set_counts::{SetCounts, SetValue, counting};
use crate::FunctionDoc;

/// The share of predictions that are right.
pub(crate) static ACCURACY: MetricFunction = MetricFunction {
    doc: FunctionDoc {
        name: "accuracy",
        syntax: "accuracy(label, prediction)",
        summary: "Aggregate: the share of rows whose prediction is their label.",
        returns: "Float64",
        notes: "Labels are text, booleans or integers, compared as text, or lists of such: then a \
                prediction is right if it has the very labels, in whatever order; a label counts once, and NULL in a list \
                not at all. Rows with NULL are skipped; no rows give NULL.",
        example: "SELECT accuracy(label, classify(review, 'sentiment')) FROM reviews",
    },
    forms: &[&[Label, Label], &[LabelList, LabelList]],
    returns: || DataType::Float64,
    state,
    accumulator: |_| Box::new(PairCounts::new("accuracy", PairValue::Whole(ConfusionMatrix::accuracy))),
    of_lists: counting(|_| Box::new(SetCounts::new("accuracy", SetValue::Whole(LabelSetCounts::accuracy)))),
};
