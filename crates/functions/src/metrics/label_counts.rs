//! `label_counts(label, prediction)`.

use super::MetricFunction;
use super::argument::Argument::{Label, LabelList};
use super::pair_counts::{PairCounts, PairValue, state};
use super::set_counts::{SetCounts, SetValue, classes_type, counting};
use crate::FunctionDoc;

/// What each label's precision and recall follow from.
pub(crate) static LABEL_COUNTS: MetricFunction = MetricFunction {
    doc: FunctionDoc {
        name: "label_counts",
        syntax: "label_counts(label, prediction)",
        summary: "Aggregate: for each label, how many rows bear it (support), how many are predicted to (predicted), and how \
                  many of these do (hits), sorted by label.",
        returns: "List<Struct<label Utf8, hits Int64, predicted Int64, support Int64>>",
        notes: "Precision is hits / predicted, recall hits / support. UNNEST makes rows of it. Labels, lists of them and NULLs \
                as in accuracy.",
        example: "SELECT UNNEST(label_counts(tags, classify(review, 'tags'))) FROM reviews",
    },
    forms: &[&[Label, Label], &[LabelList, LabelList]],
    returns: classes_type,
    state,
    accumulator: |_| Box::new(PairCounts::new("label_counts", PairValue::Classes)),
    of_lists: counting(|_| Box::new(SetCounts::new("label_counts", SetValue::Classes))),
};
