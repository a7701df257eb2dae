//! `confusion_matrix(label, prediction)`.

use super::MetricFunction;
use super::argument::Argument::Label;
use super::pair_counts::{PairCounts, PairValue, pairs_type, state};
use crate::FunctionDoc;

/// How often each label met each prediction.
pub(crate) static CONFUSION_MATRIX: MetricFunction = MetricFunction {
    doc: FunctionDoc {
        name: "confusion_matrix",
        syntax: "confusion_matrix(label, prediction)",
        summary: "Aggregate: how many rows have each pair of label and prediction, sorted by both.",
        returns: "List<Struct<label Utf8, prediction Utf8, count Int64>>",
        notes: "Pairs that never occur are left out. UNNEST makes rows of it. Labels and NULLs as in \
                accuracy; for lists of labels see label_counts.",
        example: "SELECT UNNEST(confusion_matrix(label, classify(review, 'sentiment'))) FROM reviews",
    },
    forms: &[&[Label, Label]],
    returns: pairs_type,
    state,
    accumulator: |_| Box::new(PairCounts::new("confusion_matrix", PairValue::Pairs)),
    of_lists: None,
};
