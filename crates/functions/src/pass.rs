//! One encoder pass for any number of calls over the same body.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use nightjar_catalog::EmbeddingCache;
use nightjar_models::{Embeddings, EncodeJob, Sequence, TextEncoder};

use crate::known_texts::KnownTexts;
use crate::udf::EncodedRows;
use crate::{BoundCall, CallTexts, FunctionError, Result, Work};

/// The texts of several calls, encoded together: each distinct text, and each distinct pair that is read as one, costs once,
/// whichever calls hold it, and nothing where the cache knows it.
pub struct EncodePass {
    /// None where all texts are known.
    encoder: Option<Arc<TextEncoder>>,
    job: EncodeJob,
    /// None where there is no cache.
    known: Option<KnownTexts>,
    /// Of the distinct texts, once they are encoded.
    embeddings: Embeddings,
    /// Per call, per text argument or once for a pair that is read as one, per row: the index into `embeddings`.
    slots: Vec<Vec<Vec<Option<usize>>>>,
}

/// What a pass consists of. A row counts once for each text that it has the encoder read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PassTexts {
    /// The rows' texts.
    pub rows: usize,
    /// Different texts.
    pub distinct: usize,
    /// Rows whose text is longer than the window.
    pub truncated: usize,
    /// Different texts that the cache knows.
    pub hits: usize,
    /// Different texts that it does not know; 0 without a cache.
    pub misses: usize,
    /// Rows that have texts which the cache knows.
    pub known_rows: usize,
}

impl EncodePass {
    /// Looks the texts of `calls` up, if there is a cache, and tokenises those that are not known, on the calling thread's
    /// rayon pool. `encoder` is asked for the calls' body only if there are such texts.
    pub fn new(
        calls: &[&CallTexts],
        cache: Option<Arc<EmbeddingCache>>,
        encoder: impl FnOnce() -> Result<Arc<TextEncoder>>,
    ) -> Result<Self> {
        let mut sequences: Vec<Sequence<'_>> = Vec::new();
        let mut slots: Vec<Vec<Vec<Option<usize>>>> = Vec::with_capacity(calls.len());
        for (position, texts) in calls.iter().enumerate() {
            let known = calls[..position].iter().position(|known| known.is_same(texts));
            slots.push(match known {
                Some(known) => slots[known].clone(),
                None => texts.append_to(&mut sequences),
            });
        }
        let (known, sequences) = match cache {
            Some(cache) => {
                let (known, missing) = KnownTexts::look_up(cache, &sequences);
                (Some(known), missing)
            }
            None => (None, sequences),
        };
        let (encoder, job) = match sequences.is_empty() {
            true => (None, EncodeJob::default()),
            false => {
                let encoder = encoder()?;
                let job = encoder.prepare_sequences(&sequences);
                (Some(encoder), job)
            }
        };
        for slot in slots.iter_mut().flatten().flatten().flatten() {
            *slot = known.as_ref().map_or_else(|| job.text_of(*slot), |known| known.text_of(*slot));
        }
        Ok(Self { encoder, job, known, embeddings: Embeddings::default(), slots })
    }

    /// Returns what the pass consists of.
    pub fn texts(&self) -> PassTexts {
        let job = &self.job;
        let (hits, (known_rows, known_truncated)) =
            self.known.as_ref().map_or((0, (0, 0)), |known| (known.hits(), known.rows()));
        PassTexts {
            rows: job.input_rows() + known_rows,
            distinct: job.distinct() + hits,
            truncated: job.truncated() + known_truncated,
            hits,
            misses: if self.known.is_some() { job.distinct() } else { 0 },
            known_rows,
        }
    }

    /// Encodes the micro-batches, on the calling thread's rayon pool, and calls `done` with the number of each; once it
    /// breaks, leaves out the rest and returns false. What is new goes into the cache when all is encoded.
    pub fn encode(&mut self, done: impl Fn(&EncodeJob, usize) -> ControlFlow<()> + Sync) -> Result<bool> {
        let job = &self.job;
        let encoded = match &self.encoder {
            Some(encoder) => encoder.encode_all(job, |micro_batch| done(job, micro_batch))?,
            None => Some(Embeddings::default()),
        };
        let Some(encoded) = encoded else {
            return Ok(false);
        };
        self.embeddings = match &mut self.known {
            Some(known) => known.complete(job, &encoded),
            None => encoded,
        };
        Ok(true)
    }

    /// Returns the result of the call that was given at this position, once all is encoded.
    pub fn finish(&self, call: &BoundCall, position: usize) -> Result<ArrayRef> {
        let Work::Encode(finish) = call.function().work else {
            return Err(FunctionError::Internal(format!("{} needs no encoder pass", call.name())));
        };
        finish(call, &EncodedRows { embeddings: &self.embeddings, slots: &self.slots[position] })
    }
}
