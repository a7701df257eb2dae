//! The encoder: from texts to embeddings.

use std::path::Path;

use crate::architecture::{Body, load_body};
use crate::job::{EncodeJob, TOKEN_BUDGET};
use crate::pooling::normalize;
use crate::tokenizer::TextTokenizer;
use crate::{Embeddings, EncoderSpec, ModelError, Result};

/// A loaded encoder, shared by all threads.
///
/// Each row's embedding has the same bits whatever rows stand beside it and however many threads compute it,
/// on one instruction set. Arithmetic runs on the rayon pool of the calling thread.
pub struct TextEncoder {
    spec: EncoderSpec,
    tokenizer: TextTokenizer,
    body: Box<dyn Body>,
}

impl TextEncoder {
    /// Returns the encoder in `dir`, a Hugging Face sentence-transformers model.
    ///
    /// # Errors
    /// Those of [`EncoderSpec::read`] and [`TextTokenizer::load`]; `WeightsInvalid`, `TensorMissing`,
    /// `TensorShape` or `TensorType` for model.safetensors; `TokenizerInvalid` where the tokenizer has more
    /// ids than the model has rows.
    ///
    /// Cost: reads all weights once (about 0.2 s for 90 MB).
    pub fn load(dir: &Path) -> Result<Self> {
        Self::load_spec(dir, EncoderSpec::read(dir)?)
    }

    /// Returns the encoder in `dir` with a window of at most `window` tokens, special tokens included.
    ///
    /// # Errors
    /// Those of [`TextEncoder::load`].
    pub fn load_with_window(dir: &Path, window: usize) -> Result<Self> {
        let spec = EncoderSpec::read(dir)?;
        let window = spec.window.min(window);
        Self::load_spec(dir, EncoderSpec { window, ..spec })
    }

    fn load_spec(dir: &Path, spec: EncoderSpec) -> Result<Self> {
        let tokenizer = TextTokenizer::load(dir, spec.window)?.with_lowercase(spec.lowercase);
        if tokenizer.vocab() > spec.vocab {
            return Err(ModelError::TokenizerInvalid {
                path: dir.join("tokenizer.json"),
                reason: format!("it has {} token ids, but the model has {}", tokenizer.vocab(), spec.vocab),
            });
        }
        let body = load_body(dir, &spec)?;
        Ok(TextEncoder { spec, tokenizer, body })
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
    /// # Errors
    /// None today.
    pub fn prepare(&self, texts: &[&str]) -> Result<EncodeJob> {
        Ok(EncodeJob::new(&self.tokenizer, texts, TOKEN_BUDGET))
    }

    /// Computes one micro-batch and writes its rows of `out`. Micro-batches may be computed in any order.
    ///
    /// An empty `out` is first made as large as the job.
    ///
    /// # Errors
    /// `SizeMismatch` where the job has no such micro-batch or `out` has another size than the job;
    /// `Compute`.
    pub fn encode(&self, job: &EncodeJob, micro_batch: usize, out: &mut Embeddings) -> Result<()> {
        let dim = self.spec.dim;
        if micro_batch >= job.micro_batches() {
            let (expected, found) = (job.micro_batches(), micro_batch);
            return Err(ModelError::SizeMismatch { what: "the micro-batch number", expected, found });
        }
        if out.data.is_empty() {
            *out = Embeddings::zeros(job.input_rows(), dim);
        }
        let expected = job.input_rows() * dim;
        if out.dim != dim || out.data.len() != expected {
            return Err(ModelError::SizeMismatch {
                what: "the output's size",
                expected,
                found: out.data.len(),
            });
        }
        let texts = job.packed(micro_batch);
        let hidden = self.body.forward(&texts)?;
        let mut pooled = vec![0.0; dim];
        let mut start = 0;
        for (text, tokens) in job.batch(micro_batch).zip(texts.lengths) {
            self.spec.pooling.pool(&hidden[start * dim..(start + tokens) * dim], &mut pooled);
            if self.spec.normalize {
                normalize(&mut pooled);
            }
            for &row in job.rows_of(text) {
                out.data[row as usize * dim..][..dim].copy_from_slice(&pooled);
            }
            start += tokens;
        }
        Ok(())
    }

    /// Returns the embeddings of `texts` in their order: [`prepare`](Self::prepare) and all micro-batches.
    ///
    /// # Errors
    /// Those of the two.
    pub fn embed(&self, texts: &[&str]) -> Result<Embeddings> {
        let job = self.prepare(texts)?;
        let mut out = Embeddings::zeros(texts.len(), self.spec.dim);
        for micro_batch in 0..job.micro_batches() {
            self.encode(&job, micro_batch, &mut out)?;
        }
        Ok(out)
    }
}

impl std::fmt::Debug for TextEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextEncoder").field("spec", &self.spec).finish_non_exhaustive()
    }
}
