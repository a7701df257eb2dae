//! One encoder pass for any number of calls over the same body.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use nightjar_models::{Embeddings, EncodeJob, TextEncoder};

use crate::udf::EncodedRows;
use crate::{BoundCall, FunctionError, Result, TextColumn, Work};

/// The texts of several calls, encoded together: each distinct text costs once, whichever calls hold it.
pub struct EncodePass {
    encoder: Arc<TextEncoder>,
    job: EncodeJob,
    /// Of the distinct texts, once they are encoded.
    embeddings: Embeddings,
    /// Per call, per text argument, per row: the index into `embeddings`.
    slots: Vec<Vec<Vec<Option<usize>>>>,
}

impl EncodePass {
    /// Tokenises the texts of `calls` (for each call its text columns), on the calling thread's rayon pool.
    pub fn new(encoder: Arc<TextEncoder>, calls: &[&[TextColumn]]) -> Self {
        let mut texts: Vec<&str> = Vec::new();
        let mut slots: Vec<Vec<Vec<Option<usize>>>> = Vec::with_capacity(calls.len());
        for (position, &columns) in calls.iter().enumerate() {
            // Two calls that read one column share its texts.
            let same = |other: &&[TextColumn]| matches!((columns, other), ([a], [b]) if a.is_same(b));
            if let Some(known) = calls[..position].iter().position(same) {
                slots.push(slots[known].clone());
                continue;
            }
            let strict = columns.len() > 1;
            let mut of_call: Vec<Vec<Option<usize>>> =
                columns.iter().map(|column| Vec::with_capacity(column.len())).collect();
            for row in 0..columns.first().map_or(0, TextColumn::len) {
                // A row with a NULL in any argument is NULL: its other texts are not worth encoding.
                let null = strict && columns.iter().any(|column| column.get(row).is_none());
                for (column, indices) in columns.iter().zip(&mut of_call) {
                    indices.push(column.get(row).filter(|_| !null).map(|text| {
                        texts.push(text);
                        texts.len() - 1
                    }));
                }
            }
            slots.push(of_call);
        }
        let job = encoder.prepare(&texts);
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
