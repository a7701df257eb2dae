//! `count_tokens(text [, model])`.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int32Array};
use datafusion::arrow::datatypes::DataType;
use nightjar_catalog::Task;
use nightjar_models::TextTokenizer;

use crate::{FunctionDoc, ModelFunction, Result, TextColumn, Work};

/// The number of tokens of a text.
pub(crate) static COUNT_TOKENS: ModelFunction = ModelFunction {
    doc: FunctionDoc {
        name: "count_tokens",
        syntax: "count_tokens(text [, model])",
        summary: "How many tokens the whole text has for the model, its special tokens included: what is above \
                  the model's window is truncated by embed() and classify().",
        returns: "Int32",
        notes: "NULL gives NULL, an empty text 2 (its special tokens). Loads no weights.",
        example: "SELECT count_tokens('unbelievable')",
    },
    texts: 1,
    pairs: false,
    labels: false,
    task: Task::Embed,
    needs_task: false,
    returns: |_, _| DataType::Int32,
    of_embeddings: None,
    work: Work::Tokenize(count),
};

fn count(tokenizer: &TextTokenizer, texts: &TextColumn) -> Result<ArrayRef> {
    let counts: Int32Array = texts
        .iter()
        .map(|text| text.map(|text| i32::try_from(tokenizer.count(text)).unwrap_or(i32::MAX)))
        .collect();
    Ok(Arc::new(counts))
}
