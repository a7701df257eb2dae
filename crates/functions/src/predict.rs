//! `predict(text [, model])`.

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
        syntax: "predict(text [, model])",
        summary: "The number that a regression model predicts for the text.",
        returns: "Float64",
        notes: "NULL gives NULL. The model comes from CREATE MODEL … FINE_TUNE ON with a float target.",
        example: "SELECT predict(review, 'stars') FROM reviews",
    },
    texts: 1,
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
