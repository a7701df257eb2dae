//! `tokenize(text [, model])`.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, ListBuilder, StringBuilder};
use datafusion::arrow::datatypes::DataType;
use nightjar_catalog::Task;
use nightjar_models::TextTokenizer;

use crate::{FunctionDoc, ModelFunction, Result, TextColumn, Work};

/// The tokens of a text.
pub(crate) static TOKENIZE: ModelFunction = ModelFunction {
    doc: FunctionDoc {
        name: "tokenize",
        syntax: "tokenize(text [, model])",
        summary: "The pieces that the model reads the text as, without its special tokens and not truncated.",
        returns: "List<Utf8>",
        notes: "NULL gives NULL, an empty text an empty list. Loads no weights.",
        example: "SELECT tokenize('unbelievable')",
    },
    texts: 1,
    pairs: false,
    labels: false,
    task: Task::Embed,
    needs_task: false,
    returns: |_, _| DataType::new_list(DataType::Utf8, true),
    of_embeddings: None,
    work: Work::Tokenize(tokenize),
};

fn tokenize(tokenizer: &TextTokenizer, texts: &TextColumn) -> Result<ArrayRef> {
    let mut list = ListBuilder::new(StringBuilder::new());
    for text in texts.iter() {
        if let Some(text) = text {
            for token in tokenizer.tokens(text) {
                list.values().append_value(token);
            }
        }
        list.append(text.is_some());
    }
    Ok(Arc::new(list.finish()))
}
