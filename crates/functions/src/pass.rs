//! One encoder pass for any number of calls over the same body.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use nightjar_models::{Embeddings, EncodeJob, Sequence, TextEncoder};

use crate::udf::EncodedRows;
use crate::{BoundCall, CallTexts, FunctionError, Result, Work};

/// The texts of several calls, encoded together: each distinct text, and each distinct pair that is read as one, costs once,
/// whichever calls hold it.
pub struct EncodePass {
    encoder: Arc<TextEncoder>,
    job: EncodeJob,
    /// Of the distinct texts, once they are encoded.
    embeddings: Embeddings,
    /// Per call, per text argument or once for a pair that is read as one, per row: the index into `embeddings`.
    slots: Vec<Vec<Vec<Option<usize>>>>,
}

impl EncodePass {
    /// Tokenises the texts of `calls`, on the calling thread's rayon pool.
    pub fn new(encoder: Arc<TextEncoder>, calls: &[&CallTexts]) -> Self {
        let mut sequences: Vec<Sequence<'_>> = Vec::new();
        let mut slots: Vec<Vec<Vec<Option<usize>>>> = Vec::with_capacity(calls.len());
        for (position, texts) in calls.iter().enumerate() {
            let known = calls[..position].iter().position(|known| known.is_same(texts));
            slots.push(match known {
                Some(known) => slots[known].clone(),
                None => texts.append_to(&mut sequences),
            });
        }
        let job = encoder.prepare_sequences(&sequences);
        for slot in slots.iter_mut().flatten().flatten().flatten() {
            *slot = job.text_of(*slot);
        }
        Self { encoder, job, embeddings: Embeddings::default(), slots }
    }

    /// Returns what the pass consists of: distinct texts, tokens, truncated texts.
    pub fn job(&self) -> &EncodeJob {
        &self.job
    }

    /// Encodes the micro-batches, on the calling thread's rayon pool, and calls `done` with the number of each; once it
    /// breaks, leaves out the rest and returns false.
    pub fn encode(&mut self, done: impl Fn(&EncodeJob, usize) -> ControlFlow<()> + Sync) -> Result<bool> {
        let job = &self.job;
        let Some(embeddings) = self.encoder.encode_all(job, |micro_batch| done(job, micro_batch))? else {
            return Ok(false);
        };
        self.embeddings = embeddings;
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
