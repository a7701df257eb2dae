//! The functions as expressions, for dataframes: `classify(col("review"))`.
//!
//! An expression knows no store: the session's `DataFrame` binds it when the expression enters a plan.

use datafusion::logical_expr::{AggregateUDF, Expr, ScalarUDF, lit};

use crate::ModelUdf;
use crate::metrics::{MetricFunction, MetricUdaf};
use crate::udf::ModelFunction;
use crate::vector_udf::{VectorFunction, VectorUdf};

fn call(function: &'static ModelFunction, args: Vec<Expr>) -> Expr {
    ScalarUDF::from(ModelUdf::new(function, false, None)).call(args)
}

fn vector_call(function: &'static VectorFunction, a: Expr, b: Expr) -> Expr {
    ScalarUDF::from(VectorUdf::new(function)).call(vec![a, b])
}

fn metric(function: &'static MetricFunction, args: Vec<Expr>) -> Expr {
    AggregateUDF::from(MetricUdaf::new(function)).call(args)
}

fn labels_list(labels: &[&str]) -> Expr {
    datafusion::functions_nested::expr_fn::make_array(labels.iter().map(|label| lit(*label)).collect())
}

/// Returns the embedding of a text by the default model.
pub fn embed(text: Expr) -> Expr {
    call(&crate::embed::EMBED, vec![text])
}

/// Returns the embedding of a text by a named model.
pub fn embed_with(text: Expr, model: &str) -> Expr {
    call(&crate::embed::EMBED, vec![text, lit(model)])
}

/// Returns the label of a text by the default classifier.
pub fn classify(text: Expr) -> Expr {
    call(&crate::classify::CLASSIFY, vec![text])
}

/// Returns the label of a text by a named classifier.
pub fn classify_with(text: Expr, model: &str) -> Expr {
    call(&crate::classify::CLASSIFY, vec![text, lit(model)])
}

/// Returns the label of a pair of texts by the default classifier. A literal `second` would be a model's name: name the model, too.
pub fn classify_pair(first: Expr, second: Expr) -> Expr {
    call(&crate::classify::CLASSIFY, vec![first, second])
}

/// Returns the label of a pair of texts by a named classifier.
pub fn classify_pair_with(first: Expr, second: Expr, model: &str) -> Expr {
    call(&crate::classify::CLASSIFY, vec![first, second, lit(model)])
}

/// Returns the closest of these labels, by the default embedding model.
pub fn classify_into(text: Expr, labels: &[&str]) -> Expr {
    call(&crate::classify::CLASSIFY, vec![text, labels_list(labels)])
}

/// Returns every label with its probability by the default classifier.
pub fn classify_scores(text: Expr) -> Expr {
    call(&crate::classify_scores::CLASSIFY_SCORES, vec![text])
}

/// Returns every label with its probability by a named classifier.
pub fn classify_scores_with(text: Expr, model: &str) -> Expr {
    call(&crate::classify_scores::CLASSIFY_SCORES, vec![text, lit(model)])
}

/// Returns every label of a pair of texts with its probability by a named classifier.
pub fn classify_scores_pair_with(first: Expr, second: Expr, model: &str) -> Expr {
    call(&crate::classify_scores::CLASSIFY_SCORES, vec![first, second, lit(model)])
}

/// Returns the number that the default regression model predicts.
pub fn predict(text: Expr) -> Expr {
    call(&crate::predict::PREDICT, vec![text])
}

/// Returns the number that a named regression model predicts.
pub fn predict_with(text: Expr, model: &str) -> Expr {
    call(&crate::predict::PREDICT, vec![text, lit(model)])
}

/// Returns the number that a named regression model predicts for a pair of texts.
pub fn predict_pair_with(first: Expr, second: Expr, model: &str) -> Expr {
    call(&crate::predict::PREDICT, vec![first, second, lit(model)])
}

/// Returns the cosine of two texts' embeddings by the default model.
pub fn similarity(a: Expr, b: Expr) -> Expr {
    call(&crate::similarity::SIMILARITY, vec![a, b])
}

/// Returns the tokens of a text.
pub fn tokenize(text: Expr) -> Expr {
    call(&crate::tokenize::TOKENIZE, vec![text])
}

/// Returns the number of tokens of a text.
pub fn count_tokens(text: Expr) -> Expr {
    call(&crate::count_tokens::COUNT_TOKENS, vec![text])
}

/// Returns the cosine of two vectors.
pub fn cosine_similarity(a: Expr, b: Expr) -> Expr {
    vector_call(&crate::cosine_similarity::COSINE_SIMILARITY, a, b)
}

/// Returns the dot product of two vectors.
pub fn dot_product(a: Expr, b: Expr) -> Expr {
    vector_call(&crate::dot_product::DOT_PRODUCT, a, b)
}

/// Returns the Euclidean distance of two vectors.
pub fn l2_distance(a: Expr, b: Expr) -> Expr {
    vector_call(&crate::l2_distance::L2_DISTANCE, a, b)
}

/// Returns the share of rows whose prediction is their label.
pub fn accuracy(label: Expr, prediction: Expr) -> Expr {
    metric(&crate::metrics::accuracy::ACCURACY, vec![label, prediction])
}

/// Returns the mean of the classes' precision.
pub fn precision(label: Expr, prediction: Expr) -> Expr {
    metric(&crate::metrics::per_class::PRECISION, vec![label, prediction])
}

/// Returns the precision of one class.
pub fn precision_of(label: Expr, prediction: Expr, class: &str) -> Expr {
    metric(&crate::metrics::per_class::PRECISION, vec![label, prediction, lit(class)])
}

/// Returns the mean of the classes' recall.
pub fn recall(label: Expr, prediction: Expr) -> Expr {
    metric(&crate::metrics::per_class::RECALL, vec![label, prediction])
}

/// Returns the recall of one class.
pub fn recall_of(label: Expr, prediction: Expr, class: &str) -> Expr {
    metric(&crate::metrics::per_class::RECALL, vec![label, prediction, lit(class)])
}

/// Returns the mean of the classes' F1.
pub fn f1(label: Expr, prediction: Expr) -> Expr {
    metric(&crate::metrics::per_class::F1, vec![label, prediction])
}

/// Returns the F1 of one class.
pub fn f1_of(label: Expr, prediction: Expr, class: &str) -> Expr {
    metric(&crate::metrics::per_class::F1, vec![label, prediction, lit(class)])
}

/// Returns, of all the labels that are predicted, the share that are right.
pub fn micro_precision(label: Expr, prediction: Expr) -> Expr {
    metric(&crate::metrics::micro::MICRO_PRECISION, vec![label, prediction])
}

/// Returns, of all the labels that rows bear, the share that are predicted.
pub fn micro_recall(label: Expr, prediction: Expr) -> Expr {
    metric(&crate::metrics::micro::MICRO_RECALL, vec![label, prediction])
}

/// Returns the harmonic mean of those two.
pub fn micro_f1(label: Expr, prediction: Expr) -> Expr {
    metric(&crate::metrics::micro::MICRO_F1, vec![label, prediction])
}

/// Returns how many rows bear each label, are predicted to, and both.
pub fn label_counts(label: Expr, prediction: Expr) -> Expr {
    metric(&crate::metrics::label_counts::LABEL_COUNTS, vec![label, prediction])
}

/// Returns how many rows have each pair of label and prediction.
pub fn confusion_matrix(label: Expr, prediction: Expr) -> Expr {
    metric(&crate::metrics::confusion_matrix::CONFUSION_MATRIX, vec![label, prediction])
}

/// Returns the mean of -ln of the probability that `scores`, the result of `classify_scores` or a probability of true, gives to
/// the label.
pub fn log_loss(label: Expr, scores: Expr) -> Expr {
    metric(&crate::metrics::log_loss::LOG_LOSS, vec![label, scores])
}

/// Returns the area under the ROC curve of a score, for labels that are true or false.
pub fn roc_auc(label: Expr, score: Expr) -> Expr {
    metric(&crate::metrics::roc_auc::ROC_AUC, vec![label, score])
}

/// Returns the area under the ROC curve of one class, of what `classify_scores` returns.
pub fn roc_auc_of(label: Expr, scores: Expr, class: &str) -> Expr {
    metric(&crate::metrics::roc_auc::ROC_AUC, vec![label, scores, lit(class)])
}

/// Returns the root of the mean squared error.
pub fn rmse(truth: Expr, prediction: Expr) -> Expr {
    metric(&crate::metrics::regression::RMSE, vec![truth, prediction])
}

/// Returns the mean absolute error.
pub fn mae(truth: Expr, prediction: Expr) -> Expr {
    metric(&crate::metrics::regression::MAE, vec![truth, prediction])
}

/// Returns the share of the truth's variance that is explained.
pub fn r2(truth: Expr, prediction: Expr) -> Expr {
    metric(&crate::metrics::regression::R2, vec![truth, prediction])
}

/// Returns the linear correlation.
pub fn pearson(truth: Expr, prediction: Expr) -> Expr {
    metric(&crate::metrics::regression::PEARSON, vec![truth, prediction])
}

/// Returns the correlation of ranks.
pub fn spearman(truth: Expr, prediction: Expr) -> Expr {
    metric(&crate::metrics::spearman::SPEARMAN, vec![truth, prediction])
}
