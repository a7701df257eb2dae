//! Every function, once. SQL registration, the executor's registry, SHOW FUNCTIONS and the reference page
//! come from these lists: adding a function is one file and one line here.

use datafusion::logical_expr::{AggregateUDF, ScalarUDF};

use crate::metrics::{MetricFunction, MetricUdaf};
use crate::rounds::{RoundOutcome, TrainRound};
use crate::udf::ModelFunction;
use crate::vector_udf::{VectorFunction, VectorUdf};
use crate::{FunctionDoc, ModelUdf, Models};

/// The functions that call a model; each has a `try_` form.
pub static MODEL_FUNCTIONS: &[&ModelFunction] = &[
    &crate::embed::EMBED,
    &crate::classify::CLASSIFY,
    &crate::classify_scores::CLASSIFY_SCORES,
    &crate::predict::PREDICT,
    &crate::similarity::SIMILARITY,
    &crate::tokenize::TOKENIZE,
    &crate::count_tokens::COUNT_TOKENS,
];

/// The functions of vectors.
pub static VECTOR_FUNCTIONS: &[&VectorFunction] = &[
    &crate::cosine_similarity::COSINE_SIMILARITY,
    &crate::dot_product::DOT_PRODUCT,
    &crate::l2_distance::L2_DISTANCE,
];

/// The aggregates over labels and predictions.
pub static METRIC_FUNCTIONS: &[&MetricFunction] = &[
    &crate::metrics::accuracy::ACCURACY,
    &crate::metrics::per_class::PRECISION,
    &crate::metrics::per_class::RECALL,
    &crate::metrics::per_class::F1,
    &crate::metrics::micro::MICRO_PRECISION,
    &crate::metrics::micro::MICRO_RECALL,
    &crate::metrics::micro::MICRO_F1,
    &crate::metrics::confusion_matrix::CONFUSION_MATRIX,
    &crate::metrics::label_counts::LABEL_COUNTS,
    &crate::metrics::log_loss::LOG_LOSS,
    &crate::metrics::roc_auc::ROC_AUC,
    &crate::metrics::regression::RMSE,
    &crate::metrics::regression::MAE,
    &crate::metrics::regression::R2,
    &crate::metrics::regression::PEARSON,
    &crate::metrics::spearman::SPEARMAN,
];

/// Returns the documentation of every function: model functions, vector functions, metrics.
pub fn docs() -> impl Iterator<Item = &'static FunctionDoc> {
    let models = MODEL_FUNCTIONS.iter().map(|function| &function.doc);
    let vectors = VECTOR_FUNCTIONS.iter().map(|function| &function.doc);
    models.chain(vectors).chain(METRIC_FUNCTIONS.iter().map(|function| &function.doc))
}

/// Returns the metrics, for a session or an executor to register.
pub fn aggregates() -> impl Iterator<Item = AggregateUDF> {
    METRIC_FUNCTIONS.iter().map(|function| AggregateUDF::from(MetricUdaf::new(function)))
}

/// Returns every scalar function bound to a store's models, for a session or an executor to register.
pub fn all(models: &Models) -> Vec<ScalarUDF> {
    let mut functions = Vec::new();
    for function in MODEL_FUNCTIONS {
        for tolerant in [false, true] {
            functions.push(ScalarUDF::from(ModelUdf::new(function, tolerant, Some(models.clone()))));
        }
    }
    functions.extend(VECTOR_FUNCTIONS.iter().map(|function| ScalarUDF::from(VectorUdf::new(function))));
    functions.push(ScalarUDF::from(RoundOutcome::new(models.clone())));
    functions
}

/// Returns the aggregate that trains, bound to a store's models.
pub fn train_round(models: &Models) -> AggregateUDF {
    AggregateUDF::from(TrainRound::new(models.clone()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_every_doc_says_something() {
        let mut names = HashSet::new();
        for doc in super::docs() {
            assert!(names.insert(doc.name), "{} twice", doc.name);
            assert!(doc.syntax.starts_with(doc.name) && doc.example.contains(doc.name), "{}", doc.name);
            for text in [doc.summary, doc.notes] {
                assert!(text.ends_with('.'), "{}: {text}", doc.name);
            }
        }
    }
}
