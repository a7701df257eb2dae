//! Texts made ready for the encoder: distinct, tokenised, sorted by length, cut into micro-batches.

use std::collections::HashMap;
use std::ops::Range;

use rayon::prelude::*;

use crate::architecture::PackedTexts;
use crate::tokenizer::{TextTokenizer, TokenizedText};

/// Tokens in a micro-batch: enough rows to keep all threads busy, few enough that a caller can stop within a
/// fraction of a second and that activations (a few MB) stay in cache.
pub(crate) const TOKEN_BUDGET: usize = 1536;

/// The work of embedding some rows.
#[derive(Debug, Clone, Default)]
pub struct EncodeJob {
    rows: usize,
    truncated: usize,
    /// Distinct texts, shortest first.
    texts: Vec<TokenizedText>,
    /// The input rows of each text.
    rows_of: Vec<Vec<u32>>,
    /// Ranges of `texts`.
    batches: Vec<Range<usize>>,
}

impl EncodeJob {
    /// Returns the job for `texts`, one row each.
    pub(crate) fn new(tokenizer: &TextTokenizer, texts: &[&str], token_budget: usize) -> Self {
        let mut first: HashMap<&str, usize> = HashMap::with_capacity(texts.len());
        let mut distinct: Vec<(&str, Vec<u32>)> = Vec::new();
        for (row, text) in texts.iter().enumerate() {
            let at = *first.entry(text).or_insert_with(|| {
                distinct.push((text, Vec::new()));
                distinct.len() - 1
            });
            distinct[at].1.push(row as u32);
        }
        let tokenize = |(text, rows): (&str, Vec<u32>)| (tokenizer.encode(text), rows);
        let mut tokenized: Vec<_> = distinct.into_par_iter().map(tokenize).collect();
        // Like lengths together make micro-batches of like size; the sort is stable, so equal input gives
        // equal jobs.
        tokenized.sort_by_key(|(text, _)| text.ids.len());
        let truncated = tokenized.iter().filter(|(text, _)| text.truncated).map(|(_, rows)| rows.len()).sum();
        let (texts_, rows_of): (Vec<_>, Vec<_>) = tokenized.into_iter().unzip();
        let batches = cut(&texts_, token_budget);
        EncodeJob { rows: texts.len(), truncated, texts: texts_, rows_of, batches }
    }

    /// Returns how many micro-batches the job has; 0 for no rows.
    pub fn micro_batches(&self) -> usize {
        self.batches.len()
    }

    /// Returns how many input rows micro-batch `i` fills; 0 where there is no such micro-batch.
    pub fn rows(&self, i: usize) -> usize {
        self.batch(i).map(|text| self.rows_of[text].len()).sum()
    }

    /// Returns how many tokens micro-batch `i` computes; 0 where there is no such micro-batch.
    pub fn tokens(&self, i: usize) -> usize {
        self.batch(i).map(|text| self.texts[text].ids.len()).sum()
    }

    /// Returns how many different texts the job computes.
    pub fn distinct(&self) -> usize {
        self.texts.len()
    }

    /// Returns how many input rows were longer than the window.
    pub fn truncated(&self) -> usize {
        self.truncated
    }

    /// Returns how many input rows the job has.
    pub fn input_rows(&self) -> usize {
        self.rows
    }

    /// Returns how many tokens the job computes in all.
    pub fn total_tokens(&self) -> usize {
        self.texts.iter().map(|text| text.ids.len()).sum()
    }

    /// Returns the texts of micro-batch `i`, as indices for [`EncodeJob::rows_of`].
    pub(crate) fn batch(&self, i: usize) -> Range<usize> {
        self.batches.get(i).cloned().unwrap_or(0..0)
    }

    /// Returns the tokens of micro-batch `i`.
    pub(crate) fn packed(&self, i: usize) -> PackedTexts {
        let mut packed = PackedTexts::default();
        for text in &self.texts[self.batch(i)] {
            packed.ids.extend_from_slice(&text.ids);
            packed.type_ids.extend_from_slice(&text.type_ids);
            packed.lengths.push(text.ids.len());
        }
        packed
    }

    /// Returns the input rows that hold text `text`.
    pub(crate) fn rows_of(&self, text: usize) -> &[u32] {
        &self.rows_of[text]
    }
}

/// Returns ranges of at least one text and at most `token_budget` tokens, unless one text alone has more.
fn cut(texts: &[TokenizedText], token_budget: usize) -> Vec<Range<usize>> {
    let mut batches = Vec::new();
    let (mut start, mut tokens) = (0, 0);
    for (i, text) in texts.iter().enumerate() {
        if i > start && tokens + text.ids.len() > token_budget {
            batches.push(start..i);
            (start, tokens) = (i, 0);
        }
        tokens += text.ids.len();
    }
    if start < texts.len() {
        batches.push(start..texts.len());
    }
    batches
}
