//! `similarity(a, b [, model])`.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float32Array};
use datafusion::arrow::datatypes::DataType;
use nightjar_catalog::Task;

use crate::cosine_similarity::{COSINE_SIMILARITY, cosine};
use crate::udf::EncodedRows;
use crate::{BoundCall, FunctionDoc, ModelFunction, Result, Work};

/// How close two texts are in meaning.
pub(crate) static SIMILARITY: ModelFunction = ModelFunction {
    doc: FunctionDoc {
        name: "similarity",
        syntax: "similarity(a, b [, model])",
        summary: "The cosine of the embeddings of two texts: 1 for the same meaning, near 0 for none in common.",
        returns: "Float32",
        notes: "NULL in either text gives NULL, and then neither is encoded. A constant text is encoded once.",
        example: "SELECT similarity('a cat', 'a kitten')",
    },
    texts: 2,
    pairs: false,
    labels: false,
    task: Task::Embed,
    needs_task: false,
    returns: |_, _| DataType::Float32,
    of_embeddings: Some(&COSINE_SIMILARITY),
    work: Work::Encode(finish),
};

fn finish(_: &BoundCall, rows: &EncodedRows<'_>) -> Result<ArrayRef> {
    let cosines: Float32Array = rows
        .column(0)
        .zip(rows.column(1))
        .map(|(a, b)| {
            Some(cosine(a?.iter().copied().map(f64::from), b?.iter().copied().map(f64::from)) as f32)
        })
        .collect();
    Ok(Arc::new(cosines))
}
