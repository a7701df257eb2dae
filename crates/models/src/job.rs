//! Texts made ready for the encoder: distinct, tokenised, sorted by length, cut into micro-batches.

use std::collections::HashMap;
use std::ops::Range;

use rayon::prelude::*;

use crate::Sequence;
use crate::architecture::PackedTexts;
use crate::tokenizer::{TextTokenizer, TokenizedText};

/// Tokens in a micro-batch, the work of one thread between two checks for cancellation: enough that a panel of weights
/// serves many rows while it is in cache, few enough that activations stay there too and that threads finish together.
pub(crate) const TOKEN_BUDGET: usize = 512;

/// The work of embedding some rows. What it calls a text may also be a pair that is read as one.
#[derive(Debug, Clone, Default)]
pub struct EncodeJob {
    /// Distinct texts, shortest first.
    texts: Vec<TokenizedText>,
    /// The text of each input row.
    text_of: Vec<u32>,
    /// How many input rows each text has.
    rows_of: Vec<u32>,
    /// Ranges of `texts`.
    batches: Vec<Range<usize>>,
}

impl EncodeJob {
    /// Returns the job for `sequences`, one row each. Tokenises on the rayon pool.
    pub(crate) fn new(tokenizer: &TextTokenizer, sequences: &[Sequence<'_>], token_budget: usize) -> Self {
        let mut known: HashMap<Sequence<'_>, u32> = HashMap::with_capacity(sequences.len());
        let mut distinct: Vec<Sequence<'_>> = Vec::new();
        let mut text_of = Vec::with_capacity(sequences.len());
        for &sequence in sequences {
            text_of.push(*known.entry(sequence).or_insert_with(|| {
                distinct.push(sequence);
                distinct.len() as u32 - 1
            }));
        }
        let tokenized: Vec<_> =
            distinct.into_par_iter().map(|sequence| tokenizer.encode_sequence(sequence)).collect();
        // Like lengths together make micro-batches of like size; the sort is stable, so equal input gives
        // equal jobs.
        let mut sorted: Vec<(usize, TokenizedText)> = tokenized.into_iter().enumerate().collect();
        sorted.sort_by_key(|(_, text)| text.ids.len());
        let mut places = vec![0; sorted.len()];
        for (place, (found, _)) in sorted.iter().enumerate() {
            places[*found] = place as u32;
        }
        let mut rows_of = vec![0; sorted.len()];
        for text in &mut text_of {
            *text = places[*text as usize];
            rows_of[*text as usize] += 1;
        }
        let texts: Vec<_> = sorted.into_iter().map(|(_, text)| text).collect();
        let batches = cut(&texts, token_budget);
        EncodeJob { texts, text_of, rows_of, batches }
    }

    /// Returns how many micro-batches the job has; 0 for no rows.
    pub fn micro_batches(&self) -> usize {
        self.batches.len()
    }

    /// Returns how many input rows micro-batch `i` fills; 0 where there is no such micro-batch.
    pub fn rows(&self, i: usize) -> usize {
        self.batch(i).map(|text| self.rows_of[text] as usize).sum()
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
        let rows = self.texts.iter().zip(&self.rows_of);
        rows.filter(|(text, _)| text.truncated).map(|(_, &rows)| rows as usize).sum()
    }

    /// Returns whether a distinct text was longer than the window; false where there is no such text.
    pub fn is_truncated(&self, text: usize) -> bool {
        self.texts.get(text).is_some_and(|text| text.truncated)
    }

    /// Returns how many input rows the job has.
    pub fn input_rows(&self) -> usize {
        self.text_of.len()
    }

    /// Returns how many tokens the job computes in all.
    pub fn total_tokens(&self) -> usize {
        self.texts.iter().map(|text| text.ids.len()).sum()
    }

    /// Returns the distinct text of an input row: its row in the embeddings of the job.
    ///
    /// # Panics
    /// Where there is no such row.
    pub fn text_of(&self, row: usize) -> usize {
        self.text_of[row] as usize
    }

    /// Returns the micro-batch that computes a distinct text; the number of micro-batches where there is no such text.
    pub fn micro_batch_of(&self, text: usize) -> usize {
        self.batches.partition_point(|batch| batch.end <= text)
    }

    /// Returns the texts of micro-batch `i`; micro-batches follow one another.
    pub(crate) fn batch(&self, i: usize) -> Range<usize> {
        self.batches.get(i).cloned().unwrap_or(0..0)
    }

    /// Writes the tokens of micro-batch `i` to `packed`, whatever it held; none where there is no such micro-batch.
    pub fn pack(&self, i: usize, packed: &mut PackedTexts) {
        packed.ids.clear();
        packed.type_ids.clear();
        packed.lengths.clear();
        for text in &self.texts[self.batch(i)] {
            packed.ids.extend_from_slice(&text.ids);
            packed.type_ids.extend_from_slice(&text.type_ids);
            packed.lengths.push(text.ids.len());
        }
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
