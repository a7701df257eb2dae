//! `predict(text [, model])` and `predict(first, second [, model])`.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array};
use datafusion::arrow::datatypes::DataType;
use nightjar_catalog::Task;

use crate::udf::EncodedRows;
use crate::{BoundCall, FunctionDoc, ModelFunction, Result, Work};

/// The number that a regression model predicts for a text.
pub(crate) static PREDICT: ModelFunction = ModelFunction {
    doc: FunctionDoc {
        name: "predict",
        syntax: "predict(text [, model]) or predict(first, second [, model])",
        summary: "The number that a regression model predicts for the text, or for a pair of texts.",
        returns: "Float64",
        notes: "NULL gives NULL, and two texts are read, as in classify. The model comes from CREATE MODEL … FINE_TUNE ON with a float target.",
        example: "SELECT predict(review, 'stars') FROM reviews",
    },
    texts: 1,
    pairs: true,
    labels: false,
    task: Task::Regress,
    needs_task: true,
    returns: |_, _| DataType::Float64,
    of_embeddings: None,
    work: Work::Encode(finish),
};

fn finish(call: &BoundCall, rows: &EncodedRows<'_>) -> Result<ArrayRef> {
    let head = call.regression()?;
    let predicted: Float64Array =
        rows.column(0).map(|embedding| embedding.map(|embedding| head.predict_of(embedding))).collect();
    Ok(Arc::new(predicted))
}
