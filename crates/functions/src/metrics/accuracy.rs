//! `accuracy(label, prediction)`.

use datafusion::arrow::datatypes::DataType;
use nightjar_models::ConfusionMatrix;

use super::MetricFunction;
use super::argument::Argument::Label;
use super::pair_counts::{PairCounts, PairValue, state};
use crate::FunctionDoc;

/// The share of predictions that are right.
pub(crate) static ACCURACY: MetricFunction = MetricFunction {
    doc: FunctionDoc {
        name: "accuracy",
        syntax: "accuracy(label, prediction)",
        summary: "Aggregate: the share of rows whose prediction is their label.",
        returns: "Float64",
        notes: "Labels are text, booleans or integers, compared as text. Rows with NULL are skipped; no rows give NULL.",
        example: "SELECT accuracy(label, classify(review, 'sentiment')) FROM reviews",
    },
    forms: &[&[Label, Label]],
    returns: || DataType::Float64,
    state,
    accumulator: |_| Box::new(PairCounts::new("accuracy", PairValue::Whole(ConfusionMatrix::accuracy))),
};
