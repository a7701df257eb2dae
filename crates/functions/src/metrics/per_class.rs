//! `precision`, `recall` and `f1` of (label, prediction), of one class or averaged over all.

use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::Accumulator;
use nightjar_models::ClassCounts;

use super::MetricFunction;
use super::argument::Argument::{Class, Label};
use super::argument::Forms;
use super::pair_counts::{PairCounts, PairValue, state};
use crate::FunctionDoc;

/// Of the rows predicted as a class, the share that are of it.
pub(crate) static PRECISION: MetricFunction = MetricFunction {
    doc: FunctionDoc {
        name: "precision",
        syntax: "precision(label, prediction [, 'class'])",
        summary: "Aggregate: of the rows predicted as the class, the share that are of it.",
        returns: "Float64",
        notes: "Without a class the mean over all that occur as a label or a prediction (macro). 0 for a class that is \
                never predicted. Labels and NULLs as in accuracy.",
        example: "SELECT precision(label, classify(review, 'sentiment'), 'good') FROM reviews",
    },
    forms: FORMS,
    returns: || DataType::Float64,
    state,
    accumulator: |class| {
        let mean = |counts: &nightjar_models::ConfusionMatrix| counts.macro_mean(ClassCounts::precision);
        accumulator("precision", class, ClassCounts::precision, mean)
    },
};

/// Of the rows of a class, the share predicted so.
pub(crate) static RECALL: MetricFunction = MetricFunction {
    doc: FunctionDoc {
        name: "recall",
        syntax: "recall(label, prediction [, 'class'])",
        summary: "Aggregate: of the rows of the class, the share that are predicted so.",
        returns: "Float64",
        notes: "Without a class the mean over all that occur as a label or a prediction (macro). 0 for a class without \
                rows. Labels and NULLs as in accuracy.",
        example: "SELECT recall(label, classify(review, 'sentiment'), 'good') FROM reviews",
    },
    forms: FORMS,
    returns: || DataType::Float64,
    state,
    accumulator: |class| {
        let mean = |counts: &nightjar_models::ConfusionMatrix| counts.macro_mean(ClassCounts::recall);
        accumulator("recall", class, ClassCounts::recall, mean)
    },
};

/// The harmonic mean of precision and recall.
pub(crate) static F1: MetricFunction = MetricFunction {
    doc: FunctionDoc {
        name: "f1",
        syntax: "f1(label, prediction [, 'class'])",
        summary: "Aggregate: the harmonic mean of precision and recall.",
        returns: "Float64",
        notes: "Without a class the mean of the classes' F1 (macro). 0 for a class that is never predicted rightly. \
                Labels and NULLs as in accuracy.",
        example: "SELECT f1(label, classify(review, 'sentiment')) FROM reviews",
    },
    forms: FORMS,
    returns: || DataType::Float64,
    state,
    accumulator: |class| {
        let mean = |counts: &nightjar_models::ConfusionMatrix| counts.macro_mean(ClassCounts::f1);
        accumulator("f1", class, ClassCounts::f1, mean)
    },
};

const FORMS: Forms = &[&[Label, Label], &[Label, Label, Class]];

fn accumulator(
    function: &'static str,
    class: Option<String>,
    of_class: fn(ClassCounts) -> f64,
    mean: fn(&nightjar_models::ConfusionMatrix) -> Option<f64>,
) -> Box<dyn Accumulator> {
    let value = match class {
        Some(class) => PairValue::OfClass(class, of_class),
        None => PairValue::Whole(mean),
    };
    Box::new(PairCounts::new(function, value))
}
