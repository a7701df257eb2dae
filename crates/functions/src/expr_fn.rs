//! The functions as expressions, for dataframes: `classify(col("review"))`.
//!
//! An expression knows no store: the session's `DataFrame` binds it when the expression enters a plan.

use datafusion::logical_expr::{Expr, ScalarUDF, lit};

use crate::ModelUdf;
use crate::udf::ModelFunction;
use crate::vector_udf::{VectorFunction, VectorUdf};

fn call(function: &'static ModelFunction, args: Vec<Expr>) -> Expr {
    ScalarUDF::from(ModelUdf::new(function, false, None)).call(args)
}

fn vector_call(function: &'static VectorFunction, a: Expr, b: Expr) -> Expr {
    ScalarUDF::from(VectorUdf::new(function)).call(vec![a, b])
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

/// Returns the number that the default regression model predicts.
pub fn predict(text: Expr) -> Expr {
    call(&crate::predict::PREDICT, vec![text])
}

/// Returns the number that a named regression model predicts.
pub fn predict_with(text: Expr, model: &str) -> Expr {
    call(&crate::predict::PREDICT, vec![text, lit(model)])
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
