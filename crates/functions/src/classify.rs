//! `classify(text [, model])`, `classify(first, second [, model])` and, zero-shot, `classify(text, ['a', 'b', …] [, model])`.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StringArray};
use datafusion::arrow::datatypes::DataType;
use nightjar_catalog::Task;

use crate::udf::EncodedRows;
use crate::{BoundCall, FunctionDoc, ModelFunction, Result, Work};

/// The label of a text.
pub(crate) static CLASSIFY: ModelFunction = ModelFunction {
    doc: FunctionDoc {
        name: "classify",
        syntax: "classify(text [, model]) or classify(first, second [, model]) or classify(text, ['label', …] [, model])",
        summary: "The label of the text, or of a pair of texts: by a tuned model, or, given labels, the one whose own embedding is \
                  closest (zero-shot).",
        returns: "Utf8",
        notes: "NULL gives NULL, in either text. Two texts are read as one, by a model that was tuned on pairs; of two arguments \
                a literal at the end is always a model's name, so name the model behind a literal text. Ties go to the label that \
                comes first: in sorted order for a tuned model, in the order given for zero-shot.",
        example: "SELECT classify('the battery died', ['praise', 'complaint'])",
    },
    texts: 1,
    pairs: true,
    labels: true,
    task: Task::Classify,
    needs_task: true,
    returns: |_| DataType::Utf8,
    of_embeddings: None,
    work: Work::Encode(finish),
};

fn finish(call: &BoundCall, rows: &EncodedRows<'_>) -> Result<ArrayRef> {
    let scorer = super::classify_scores::Scorer::new(call)?;
    let labels: StringArray = rows
        .column(0)
        .map(|embedding| embedding.map(|embedding| scorer.labels()[best(&scorer.scores(embedding))].as_str()))
        .collect();
    Ok(Arc::new(labels))
}

/// Returns the index of the largest score, the first one among equals.
fn best(scores: &[f32]) -> usize {
    let mut best = 0;
    for (index, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = index;
        }
    }
    best
}
