//! `precision`, `recall` and `f1` of (label, prediction) or of lists of them, of one class or averaged over all.

use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::Accumulator;
use nightjar_models::{ClassCounts, ConfusionMatrix, LabelSetCounts};

use super::MetricFunction;
use super::argument::Argument::{Class, Label, LabelList};
use super::argument::Forms;
use super::pair_counts::{PairCounts, PairValue, state};
use super::set_counts::{SetCounts, SetValue, counting};
use crate::FunctionDoc;

/// Of the rows predicted as a class, the share that are of it.
pub(crate) static PRECISION: MetricFunction = MetricFunction {
    doc: FunctionDoc {
        name: "precision",
        syntax: "precision(label, prediction [, 'class'])",
        summary: "Aggregate: of the rows predicted as the class, the share that are of it.",
        returns: "Float64",
        notes: "Without a class the mean over all that occur as a label or a prediction (macro). 0 for a class that is \
                never predicted. Labels, lists of them and NULLs as in \
                accuracy.",
        example: "SELECT precision(label, classify(review, 'sentiment'), 'good') FROM reviews",
    },
    forms: FORMS,
    returns: || DataType::Float64,
    state,
    accumulator: |class| {
        let mean = |counts: &ConfusionMatrix| counts.macro_mean(ClassCounts::precision);
        accumulator("precision", class, ClassCounts::precision, mean)
    },
    of_lists: counting(|class| {
        let mean = |counts: &LabelSetCounts| counts.macro_mean(ClassCounts::precision);
        of_lists("precision", class, ClassCounts::precision, mean)
    }),
};

/// Of the rows of a class, the share predicted so.
pub(crate) static RECALL: MetricFunction = MetricFunction {
    doc: FunctionDoc {
        name: "recall",
        syntax: "recall(label, prediction [, 'class'])",
        summary: "Aggregate: of the rows of the class, the share that are predicted so.",
        returns: "Float64",
        notes: "Without a class the mean over all that occur as a label or a prediction (macro). 0 for a class without \
                rows. Labels, lists of them and NULLs as in \
                accuracy.",
        example: "SELECT recall(label, classify(review, 'sentiment'), 'good') FROM reviews",
    },
    forms: FORMS,
    returns: || DataType::Float64,
    state,
    accumulator: |class| {
        let mean = |counts: &ConfusionMatrix| counts.macro_mean(ClassCounts::recall);
        accumulator("recall", class, ClassCounts::recall, mean)
    },
    of_lists: counting(|class| {
        let mean = |counts: &LabelSetCounts| counts.macro_mean(ClassCounts::recall);
        of_lists("recall", class, ClassCounts::recall, mean)
    }),
};

/// The harmonic mean of precision and recall.
pub(crate) static F1: MetricFunction = MetricFunction {
    doc: FunctionDoc {
        name: "f1",
        syntax: "f1(label, prediction [, 'class'])",
        summary: "Aggregate: the harmonic mean of precision and recall.",
        returns: "Float64",
        notes: "Without a class the mean of the classes' F1 (macro). 0 for a class that is never predicted rightly. \
                Labels, lists of them and NULLs as in \
                accuracy.",
        example: "SELECT f1(label, classify(review, 'sentiment')) FROM reviews",
    },
    forms: FORMS,
    returns: || DataType::Float64,
    state,
    accumulator: |class| {
        let mean = |counts: &ConfusionMatrix| counts.macro_mean(ClassCounts::f1);
        accumulator("f1", class, ClassCounts::f1, mean)
    },
    of_lists: counting(|class| {
        let mean = |counts: &LabelSetCounts| counts.macro_mean(ClassCounts::f1);
        of_lists("f1", class, ClassCounts::f1, mean)
    }),
};

const FORMS: Forms =
    &[&[Label, Label], &[Label, Label, Class], &[LabelList, LabelList], &[LabelList, LabelList, Class]];

fn accumulator(
    function: &'static str,
    class: Option<String>,
    of_class: fn(ClassCounts) -> f64,
    mean: fn(&ConfusionMatrix) -> Option<f64>,
) -> Box<dyn Accumulator> {
    let value = match class {
        Some(class) => PairValue::OfClass(class, of_class),
        None => PairValue::Whole(mean),
    };
    Box::new(PairCounts::new(function, value))
}

fn of_lists(
    function: &'static str,
    class: Option<String>,
    of_class: fn(ClassCounts) -> f64,
    mean: fn(&LabelSetCounts) -> Option<f64>,
) -> Box<dyn Accumulator> {
    let value = match class {
        Some(class) => SetValue::OfClass(class, of_class),
        None => SetValue::Whole(mean),
    };
    Box::new(SetCounts::new(function, value))
}
