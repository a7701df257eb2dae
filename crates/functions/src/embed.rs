//! `embed(text [, model])`.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, FixedSizeListBuilder, Float32Builder};
use datafusion::arrow::datatypes::{DataType, Field};
use nightjar_catalog::{ModelCard, Task};

use crate::udf::EncodedRows;
use crate::{BoundCall, FunctionDoc, ModelFunction, Result, Work};

/// The embedding of a text.
pub(crate) static EMBED: ModelFunction = ModelFunction {
    doc: FunctionDoc {
        name: "embed",
        syntax: "embed(text [, model])",
        summary: "The embedding of the text: a vector whose direction is its meaning.",
        returns: "FixedSizeList<Float32, dim>",
        notes: "Of unit length where the model's card says so. NULL gives NULL; an empty text has an embedding. \
                Any model will do: a tuned one lends its encoder, and one that was tuned on pairs reads the text alone.",
        example: "SELECT embed('a fine day')",
    },
    texts: 1,
    pairs: false,
    labels: false,
    task: Task::Embed,
    needs_task: false,
    returns,
    of_embeddings: None,
    work: Work::Encode(finish),
};

fn returns(card: &ModelCard, _: bool) -> DataType {
    DataType::FixedSizeList(Arc::new(Field::new_list_field(DataType::Float32, true)), card.encoder.dim as i32)
}

fn finish(call: &BoundCall, rows: &EncodedRows<'_>) -> Result<ArrayRef> {
    let dim = call.model().card.encoder.dim;
    let capacity = rows.slots[0].len();
    let mut list = FixedSizeListBuilder::with_capacity(
        Float32Builder::with_capacity(capacity * dim),
        dim as i32,
        capacity,
    );
    for embedding in rows.column(0) {
        match embedding {
            Some(values) => list.values().append_slice(values),
            None => list.values().append_nulls(dim),
        }
        list.append(embedding.is_some());
    }
    Ok(Arc::new(list.finish()))
}
