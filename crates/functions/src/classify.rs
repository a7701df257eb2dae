//! `classify(text [, model])`, `classify(first, second [, model])` and, zero-shot, `classify(text, ['a', 'b', …] [, model])`.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, ListBuilder, StringArray, StringBuilder};
use datafusion::arrow::datatypes::DataType;
use nightjar_catalog::Task;

use crate::classify_scores::Scorer;
use crate::udf::EncodedRows;
use crate::{BoundCall, FunctionDoc, ModelFunction, Result, Work};

/// The label of a text.
pub(crate) static CLASSIFY: ModelFunction = ModelFunction {
    doc: FunctionDoc {
        name: "classify",
        syntax: "classify(text [, model]) or classify(first, second [, model]) or classify(text, ['label', …] [, model])",
        summary: "The label of the text, or of a pair of texts: by a tuned model, or, given labels, the one whose own embedding is \
                  closest (zero-shot).",
        returns: "Utf8; List<Utf8> by a model that learned lists of labels",
        notes: "NULL gives NULL, in either text. Two texts are read as one, by a model that was tuned on pairs; of two arguments \
                a literal at the end is always a model's name, so name the model behind a literal text. By a model that learned lists \
                of labels, those whose probability reaches the label's threshold, in sorted order: none gives an empty list. Thresholds are chosen \
                in training (option threshold) and shown by DESCRIBE MODEL; a model without any has one half for all. Ties go to the \
                label that comes first: in sorted order for a tuned model, in the order given for zero-shot.",
        example: "SELECT classify('the battery died', ['praise', 'complaint'])",
    },
    texts: 1,
    pairs: true,
    labels: true,
    task: Task::Classify,
    needs_task: true,
    returns: |card, zero_shot| match card.multi_label && !zero_shot {
        true => DataType::new_list(DataType::Utf8, true),
        false => DataType::Utf8,
    },
    of_embeddings: None,
    work: Work::Encode(finish),
};

fn finish(call: &BoundCall, rows: &EncodedRows<'_>) -> Result<ArrayRef> {
    let scorer = Scorer::new(call)?;
    if scorer.is_multi_label() {
        return Ok(label_lists(&scorer, call, rows));
    }
    let labels: StringArray = rows
        .column(0)
        .map(|embedding| embedding.map(|embedding| scorer.labels()[best(&scorer.scores(embedding))].as_str()))
        .collect();
    Ok(Arc::new(labels))
}

/// Returns the labels of each row whose probability reaches their threshold.
fn label_lists(scorer: &Scorer<'_>, call: &BoundCall, rows: &EncodedRows<'_>) -> ArrayRef {
    let card = &call.model().card;
    let thresholds: Vec<f32> = (0..scorer.labels().len()).map(|label| card.threshold(label)).collect();
    let mut lists = ListBuilder::new(StringBuilder::new());
    for embedding in rows.column(0) {
        if let Some(embedding) = embedding {
            let scored = scorer.labels().iter().zip(scorer.scores(embedding)).zip(&thresholds);
            scored
                .filter(|((_, score), threshold)| score >= threshold)
                .for_each(|((label, _), _)| lists.values().append_value(label));
        }
        lists.append(embedding.is_some());
    }
    Arc::new(lists.finish())
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
