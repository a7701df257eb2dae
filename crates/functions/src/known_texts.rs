//! What the inference cache knows of a pass's texts, and what it learns from the pass.

use std::collections::HashMap;
use std::sync::Arc;

use nightjar_catalog::{EmbeddingCache, TextDigest};
use nightjar_models::{Embeddings, EncodeJob, Sequence};

/// The distinct texts of a pass, looked up in a cache.
#[derive(Debug)]
pub(crate) struct KnownTexts {
    cache: Arc<EmbeddingCache>,
    texts: Vec<DistinctText>,
    /// Of the distinct texts; those that are not known are filled in once they are encoded.
    embeddings: Embeddings,
    /// The distinct text of each row.
    text_of: Vec<u32>,
}

#[derive(Debug)]
struct DistinctText {
    digest: TextDigest,
    /// Whether the text was cut, if it is known.
    known: Option<bool>,
    /// A row of the job that has it, if it is not known.
    job_row: usize,
}

impl KnownTexts {
    /// Looks the texts of rows up, and returns what is known and the rows that have to be encoded, in their order.
    ///
    /// Runs on the calling thread's rayon pool; reads the store.
    pub(crate) fn look_up<'a>(
        cache: Arc<EmbeddingCache>,
        rows: &[Sequence<'a>],
    ) -> (Self, Vec<Sequence<'a>>) {
        let mut places: HashMap<Sequence<'a>, u32> = HashMap::with_capacity(rows.len());
        let mut distinct = Vec::new();
        let mut text_of = Vec::with_capacity(rows.len());
        for &row in rows {
            text_of.push(*places.entry(row).or_insert_with(|| {
                distinct.push(row);
                distinct.len() as u32 - 1
            }));
        }
        let mut embeddings = Embeddings::zeros(distinct.len(), cache.dim());
        let found = cache.look_up(&distinct, &mut embeddings.data);
        let text = |(digest, known)| DistinctText { digest, known, job_row: 0 };
        let mut texts: Vec<DistinctText> = found.into_iter().map(text).collect();
        let mut missing = Vec::new();
        for (&row, &text) in rows.iter().zip(&text_of) {
            let text = &mut texts[text as usize];
            if text.known.is_none() {
                text.job_row = missing.len();
                missing.push(row);
            }
        }
        (Self { cache, texts, embeddings, text_of }, missing)
    }

    /// Returns the distinct text of a row: its row in the embeddings that [`KnownTexts::complete`] returns.
    pub(crate) fn text_of(&self, row: usize) -> usize {
        self.text_of[row] as usize
    }

    /// Returns how many distinct texts are known.
    pub(crate) fn hits(&self) -> usize {
        self.texts.iter().filter(|text| text.known.is_some()).count()
    }

    /// Returns how many rows have texts that are known, and of how many of them the text was cut.
    pub(crate) fn rows(&self) -> (usize, usize) {
        let known = self.text_of.iter().filter_map(|&text| self.texts[text as usize].known);
        known.fold((0, 0), |(rows, cut), was_cut| (rows + 1, cut + usize::from(was_cut)))
    }

    /// Returns the embeddings of all distinct texts, and adds those of the job to the cache.
    pub(crate) fn complete(&mut self, job: &EncodeJob, encoded: &Embeddings) -> Embeddings {
        let dim = self.cache.dim();
        let mut embeddings = std::mem::take(&mut self.embeddings);
        for (text, out) in self.texts.iter().zip(embeddings.data.chunks_exact_mut(dim.max(1))) {
            if text.known.is_none() {
                let place = job.text_of(text.job_row);
                out.copy_from_slice(encoded.row(place));
                self.cache.add(text.digest, job.is_truncated(place), out);
            }
        }
        embeddings
    }
}
