//! The encoder: from texts to embeddings.

use std::ops::ControlFlow;
use std::path::Path;

use nightjar_kernels::Precision;
use parking_lot::Mutex;
use rayon::prelude::*;

use crate::architecture::{Backend, Body, PackedTexts, load_body};
use crate::job::{EncodeJob, TOKEN_BUDGET};
use crate::pooling::normalize;
use crate::tokenizer::TextTokenizer;
use crate::{Embeddings, EncoderSpec, ModelError, Result, Sequence};

/// How an encoder is loaded.
#[derive(Debug, Clone)]
pub struct EncoderOptions {
    /// The most tokens that are read of a text, special tokens included; the model's own window at most.
    pub window: usize,
    /// What runs the layers.
    pub backend: Backend,
    /// Tokens in a micro-batch, unless one text alone has more. Changes the speed and no bit of the results.
    pub token_budget: usize,
}

impl Default for EncoderOptions {
    /// Returns the model's window, and the CPU kernels in f32.
    fn default() -> Self {
        let backend = Backend::Kernels(Precision::F32);
        EncoderOptions { window: usize::MAX, backend, token_budget: TOKEN_BUDGET }
    }
}

impl From<Precision> for EncoderOptions {
    /// Returns the model's window, and the CPU kernels in `precision`.
    fn from(precision: Precision) -> Self {
        EncoderOptions { backend: Backend::Kernels(precision), ..EncoderOptions::default() }
    }
}

/// A loaded encoder, shared by all threads.
///
/// Each row's embedding has the same bits whatever rows stand beside it and however many threads compute it,
/// on one instruction set.
pub struct TextEncoder {
    spec: EncoderSpec,
    tokenizer: TextTokenizer,
    body: Box<dyn Body>,
    token_budget: usize,
    /// Memory of threads that have run before, so that a micro-batch allocates nothing.
    scratch: Mutex<Vec<Scratch>>,
}

#[derive(Default)]
struct Scratch {
    texts: PackedTexts,
    states: Vec<f32>,
}

impl TextEncoder {
    /// Returns the encoder in `dir`, a Hugging Face sentence-transformers model, in f32.
    ///
    /// # Errors
    /// Those of [`EncoderSpec::read`] and [`TextTokenizer::load`]; `WeightsInvalid`, `TensorMissing`,
    /// `TensorShape` or `TensorType` for model.safetensors; `TokenizerInvalid` where the tokenizer has more
    /// ids than the model has rows.
    ///
    /// Cost: reads all weights once and packs them (about 0.2 s for 90 MB, 0.5 s for int8).
    pub fn load(dir: &Path) -> Result<Self> {
        Self::load_with(dir, &EncoderOptions::default())
    }

    /// Returns the encoder in `dir`, loaded as `options` say.
    ///
    /// # Errors
    /// Those of [`TextEncoder::load`].
    pub fn load_with(dir: &Path, options: &EncoderOptions) -> Result<Self> {
        let spec = EncoderSpec::read(dir)?;
        let spec = EncoderSpec { window: spec.window.min(options.window), ..spec };
        let tokenizer = TextTokenizer::load(dir, spec.window)?.with_lowercase(spec.lowercase);
        if tokenizer.vocab() > spec.vocab {
            return Err(ModelError::TokenizerInvalid {
                path: dir.join("tokenizer.json"),
                reason: format!("it has {} token ids, but the model has {}", tokenizer.vocab(), spec.vocab),
            });
        }
        let body = load_body(dir, &spec, &options.backend)?;
        let token_budget = options.token_budget;
        Ok(TextEncoder { spec, tokenizer, body, token_budget, scratch: Mutex::default() })
    }

    /// Returns what the model directory says about the encoder.
    pub fn spec(&self) -> &EncoderSpec {
        &self.spec
    }

    /// Returns the tokenizer.
    pub fn tokenizer(&self) -> &TextTokenizer {
        &self.tokenizer
    }

    /// Returns the work of embedding `texts`, one row each: distinct texts tokenised and cut into
    /// micro-batches.
    ///
    /// Tokenises on the rayon pool of the calling thread.
    pub fn prepare(&self, texts: &[&str]) -> EncodeJob {
        let sequences: Vec<_> = texts.iter().copied().map(Sequence::Text).collect();
        self.prepare_sequences(&sequences)
    }

    /// Returns the work of embedding texts and pairs of texts, one row each, as [`prepare`](Self::prepare) does.
    pub fn prepare_sequences(&self, sequences: &[Sequence<'_>]) -> EncodeJob {
        EncodeJob::new(&self.tokenizer, sequences, self.token_budget)
    }

    /// Writes the embeddings of one micro-batch's distinct texts to `out`, `[texts, dim]`, on the calling thread.
    ///
    /// Micro-batches may be computed in any order, and at the same time.
    ///
    /// # Errors
    /// `SizeMismatch` where the job has no such micro-batch or `out` has another size; `Compute`.
    pub fn encode(&self, job: &EncodeJob, micro_batch: usize, out: &mut [f32]) -> Result<()> {
        let dim = self.spec.dim;
        let mismatch = |what, expected, found| Err(ModelError::SizeMismatch { what, expected, found });
        if micro_batch >= job.micro_batches() {
            return mismatch("the micro-batch number", job.micro_batches(), micro_batch);
        }
        let expected = job.batch(micro_batch).len() * dim;
        if out.len() != expected {
            return mismatch("the output's size", expected, out.len());
        }
        let mut scratch = self.scratch.lock().pop().unwrap_or_default();
        let Scratch { texts, states } = &mut scratch;
        job.pack(micro_batch, texts);
        self.body.forward(texts, states)?;
        let mut start = 0;
        for (tokens, out) in texts.lengths.iter().zip(out.chunks_exact_mut(dim)) {
            self.spec.pooling.pool(&states[start * dim..(start + tokens) * dim], out);
            if self.spec.normalize {
                normalize(out);
            }
            start += tokens;
        }
        self.scratch.lock().push(scratch);
        Ok(())
    }

    /// Returns the embeddings of the job's distinct texts; [`EncodeJob::text_of`] tells which one a row has.
    ///
    /// Computes micro-batches on the rayon pool of the calling thread, one a thread. `done` is called after each with its
    /// number; once it breaks, the rest is left out and None returned.
    ///
    /// # Errors
    /// Those of [`TextEncoder::encode`].
    pub fn encode_all(
        &self,
        job: &EncodeJob,
        done: impl Fn(usize) -> ControlFlow<()> + Sync,
    ) -> Result<Option<Embeddings>> {
        let dim = self.spec.dim;
        let mut embeddings = Embeddings::zeros(job.distinct(), dim);
        let mut rest = embeddings.data.as_mut_slice();
        let mut parts = Vec::with_capacity(job.micro_batches());
        for micro_batch in 0..job.micro_batches() {
            let (part, after) = rest.split_at_mut(job.batch(micro_batch).len() * dim);
            rest = after;
            parts.push((micro_batch, part));
        }
        // One by one, so that threads that are done early take over from others.
        let outcome = parts.into_par_iter().with_max_len(1).try_for_each(|(micro_batch, part)| {
            self.encode(job, micro_batch, part).map_err(Some)?;
            match done(micro_batch) {
                ControlFlow::Continue(()) => Ok(()),
                ControlFlow::Break(()) => Err(None),
            }
        });
        match outcome {
            Ok(()) => Ok(Some(embeddings)),
            Err(None) => Ok(None),
            Err(Some(error)) => Err(error),
        }
    }

    /// Returns the embeddings of `texts` in their order: [`prepare`](Self::prepare) and all micro-batches.
    ///
    /// # Errors
    /// Those of [`TextEncoder::encode`].
    pub fn embed(&self, texts: &[&str]) -> Result<Embeddings> {
        let job = self.prepare(texts);
        let distinct = self.encode_all(&job, |_| ControlFlow::Continue(()))?.unwrap_or_default();
        let mut out =
            Embeddings { dim: self.spec.dim, data: Vec::with_capacity(texts.len() * self.spec.dim) };
        for row in 0..texts.len() {
            out.data.extend_from_slice(distinct.row(job.text_of(row)));
        }
        Ok(out)
    }
}

impl TextEncoder {
    /// Returns the bytes that the encoder takes in memory: its weights as they are packed, and its tokenizer. What micro-batches need
    /// while they run is not counted.
    pub fn bytes(&self) -> usize {
        self.body.bytes() + self.tokenizer.bytes()
    }
}

impl std::fmt::Debug for TextEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextEncoder").field("spec", &self.spec).finish_non_exhaustive()
    }
}
