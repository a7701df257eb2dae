//! `classify_scores(text [, model | labels])`, `classify_scores(first, second [, model])`, and the scoring that `classify` shares.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float32Builder, ListBuilder, StringBuilder, StructBuilder};
use datafusion::arrow::datatypes::{DataType, Field, Fields};
use nightjar_catalog::Task;
use nightjar_models::{ClassifierHead, Embeddings};

use crate::cosine_similarity::cosine;
use crate::udf::EncodedRows;
use crate::{BoundCall, FunctionDoc, FunctionError, ModelFunction, Result, Work};

/// The scores of every label of a text.
pub(crate) static CLASSIFY_SCORES: ModelFunction = ModelFunction {
    doc: FunctionDoc {
        name: "classify_scores",
        syntax: "classify_scores(text [, model]) or classify_scores(first, second [, model]) or \
                 classify_scores(text, ['label', …] [, model])",
        summary: "Every label with its probability, best first; they sum to 1, but for a model that learned lists of labels, \
                  where each is by itself.",
        returns: "List<Struct<label Utf8, score Float32>>",
        notes: "NULL gives NULL, and two texts are read, as in classify. Probabilities are what the model computes, whatever thresholds classify compares them with. Zero-shot scores are the softmax of 20 times the cosines, the scale with which \
                sentence encoders are trained.",
        example: "SELECT classify_scores('the battery died', ['praise', 'complaint'])[1]['label']",
    },
    texts: 1,
    pairs: true,
    labels: true,
    task: Task::Classify,
    needs_task: true,
    returns: |_, _| DataType::List(Arc::new(Field::new_list_field(DataType::Struct(fields()), true))),
    of_embeddings: None,
    work: Work::Encode(finish),
};

fn fields() -> Fields {
    Fields::from(vec![
        Field::new("label", DataType::Utf8, true),
        Field::new("score", DataType::Float32, true),
    ])
}

/// The inverse temperature of zero-shot scores: the `scale` of sentence-transformers'
/// MultipleNegativesRankingLoss, with which such encoders learn their cosines.
const ZERO_SHOT_SCALE: f32 = 20.0;

/// Turns one embedding into the probabilities of the labels.
pub(crate) enum Scorer<'a> {
    /// By a tuned head.
    Head(Arc<ClassifierHead>),
    /// By a tuned head whose labels don't exclude each other.
    MultiLabel(Arc<ClassifierHead>),
    /// By the cosine to each label's own embedding.
    ZeroShot {
        /// The labels as given.
        labels: &'a [String],
        /// Their embeddings.
        embeddings: &'a Embeddings,
    },
}

impl<'a> Scorer<'a> {
    /// Returns the scorer of a call.
    pub(crate) fn new(call: &'a BoundCall) -> Result<Self> {
        match call.labels() {
            None if call.model().card.multi_label => Ok(Self::MultiLabel(call.head()?)),
            None => Ok(Self::Head(call.head()?)),
            Some(labels) => Ok(Self::ZeroShot { labels, embeddings: call.label_embeddings()? }),
        }
    }

    /// Returns the labels, in the order of the scores.
    pub(crate) fn labels(&self) -> &[String] {
        match self {
            Self::Head(head) | Self::MultiLabel(head) => &head.labels,
            Self::ZeroShot { labels, .. } => labels,
        }
    }

    /// Returns whether a text may have any number of the labels.
    pub(crate) fn is_multi_label(&self) -> bool {
        matches!(self, Self::MultiLabel(_))
    }

    /// Returns the probabilities `[labels]` of one embedding `[dim]`; they sum to 1 where labels exclude each other.
    pub(crate) fn scores(&self, embedding: &[f32]) -> Vec<f32> {
        match self {
            Self::Head(head) => head.probabilities_of(embedding),
            Self::MultiLabel(head) => head.sigmoids_of(embedding),
            Self::ZeroShot { labels, embeddings } => {
                let wide = |vector: &'_ [f32]| vector.iter().copied().map(f64::from).collect::<Vec<_>>();
                let embedding = wide(embedding);
                let mut logits: Vec<f32> = (0..labels.len())
                    .map(|label| cosine(embedding.iter().copied(), wide(embeddings.row(label)).into_iter()))
                    .map(|cosine| ZERO_SHOT_SCALE * cosine as f32)
                    .collect();
                softmax(&mut logits);
                logits
            }
        }
    }
}

fn softmax(logits: &mut [f32]) {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for logit in logits.iter_mut() {
        *logit = (*logit - max).exp();
        sum += *logit;
    }
    for logit in logits.iter_mut() {
        *logit /= sum;
    }
}

fn finish(call: &BoundCall, rows: &EncodedRows<'_>) -> Result<ArrayRef> {
    let scorer = Scorer::new(call)?;
    let entries = StructBuilder::from_fields(fields(), rows.slots[0].len() * scorer.labels().len());
    let mut list = ListBuilder::new(entries);
    for embedding in rows.column(0) {
        if let Some(embedding) = embedding {
            let scores = scorer.scores(embedding);
            let mut order: Vec<usize> = (0..scores.len()).collect();
            // A stable sort: equal scores keep the labels' order, as classify() does.
            order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
            for label in order {
                append(list.values(), &scorer.labels()[label], scores[label])?;
            }
        }
        list.append(embedding.is_some());
    }
    Ok(Arc::new(list.finish()))
}

fn append(entries: &mut StructBuilder, label: &str, score: f32) -> Result<()> {
    let missing = || FunctionError::Internal("a score without its fields".to_owned());
    entries.field_builder::<StringBuilder>(0).ok_or_else(missing)?.append_value(label);
    entries.field_builder::<Float32Builder>(1).ok_or_else(missing)?.append_value(score);
    entries.append(true);
    Ok(())
}
