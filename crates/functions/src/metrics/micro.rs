//! `micro_precision`, `micro_recall` and `micro_f1` of (label, prediction): of the counts of all labels together.

use datafusion::arrow::datatypes::DataType;
use nightjar_models::{ClassCounts, ConfusionMatrix, LabelSetCounts};

use super::MetricFunction;
use super::argument::Argument::{Label, LabelList};
use super::argument::Forms;
use super::pair_counts::{PairCounts, PairValue, state};
use super::set_counts::{SetCounts, SetValue, counting};
use crate::FunctionDoc;

const FORMS: Forms = &[&[Label, Label], &[LabelList, LabelList]];

/// Of all labels predicted, the share that are right.
pub(crate) static MICRO_PRECISION: MetricFunction = MetricFunction {
    doc: FunctionDoc {
        name: "micro_precision",
        syntax: "micro_precision(label, prediction)",
        summary: "Aggregate: of all the labels that are predicted, the share that are right.",
        returns: "Float64",
        notes: "For lists of labels; where each row has one label it is the accuracy. 0 where nothing is predicted. Lists and \
                NULLs as in accuracy.",
        example: "SELECT micro_precision(tags, classify(review, 'tags')) FROM reviews",
    },
    forms: FORMS,
    returns: || DataType::Float64,
    state,
    accumulator: |_| {
        let value = |counts: &ConfusionMatrix| counts.micro(ClassCounts::precision);
        Box::new(PairCounts::new("micro_precision", PairValue::Whole(value)))
    },
    of_lists: counting(|_| {
        let value = |counts: &LabelSetCounts| counts.micro(ClassCounts::precision);
        Box::new(SetCounts::new("micro_precision", SetValue::Whole(value)))
    }),
};

/// Of all labels that rows bear, the share that are predicted.
pub(crate) static MICRO_RECALL: MetricFunction = MetricFunction {
    doc: FunctionDoc {
        name: "micro_recall",
        syntax: "micro_recall(label, prediction)",
        summary: "Aggregate: of all the labels that rows bear, the share that are predicted.",
        returns: "Float64",
        notes: "For lists of labels; where each row has one label it is the accuracy. 0 where no row bears any. Lists and \
                NULLs as in accuracy.",
        example: "SELECT micro_recall(tags, classify(review, 'tags')) FROM reviews",
    },
    forms: FORMS,
    returns: || DataType::Float64,
    state,
    accumulator: |_| {
        let value = |counts: &ConfusionMatrix| counts.micro(ClassCounts::recall);
        Box::new(PairCounts::new("micro_recall", PairValue::Whole(value)))
    },
    of_lists: counting(|_| {
        let value = |counts: &LabelSetCounts| counts.micro(ClassCounts::recall);
        Box::new(SetCounts::new("micro_recall", SetValue::Whole(value)))
    }),
};

/// The harmonic mean of the two.
pub(crate) static MICRO_F1: MetricFunction = MetricFunction {
    doc: FunctionDoc {
        name: "micro_f1",
        syntax: "micro_f1(label, prediction)",
        summary: "Aggregate: the harmonic mean of micro_precision and micro_recall.",
        returns: "Float64",
        notes: "For lists of labels; where each row has one label it is the accuracy. 0 where no label is right. Lists and \
                NULLs as in accuracy.",
        example: "SELECT micro_f1(tags, classify(review, 'tags')) FROM reviews",
    },
    forms: FORMS,
    returns: || DataType::Float64,
    state,
    accumulator: |_| {
        let value = |counts: &ConfusionMatrix| counts.micro(ClassCounts::f1);
        Box::new(PairCounts::new("micro_f1", PairValue::Whole(value)))
    },
    of_lists: counting(|_| {
        let value = |counts: &LabelSetCounts| counts.micro(ClassCounts::f1);
        Box::new(SetCounts::new("micro_f1", SetValue::Whole(value)))
    }),
};
