//! BERT (Devlin et al. 2018, arXiv:1810.04805): absolute positions, post-norm layers, GELU.
//!
//! `weights.rs` reads its tensors; `packed.rs` runs it on the CPU kernels, `reference.rs` on candle's tensors.
//!
//! # How an encoder computes
//!
//! `models/src/bert/packed.rs` runs a micro-batch on one thread: its texts lie one after the other,
//! without padding or mask. Weights are packed at load into panels of 48 outputs
//! (`kernels/src/panels.rs`); a tile of 8 rows by 48 outputs stays in registers while the depth goes by
//! (`tile.rs`), and the bias, GELU or residual that follows is applied to the tile before it is stored
//! (`linear.rs`). Each output is one chain of sums along the depth, in order: that is why a row has the
//! same bits in any company, and why a band may have any number of rows. An instruction set is a
//! `Level` (`level.rs`): portable Rust, AVX2, AVX-512, with VNNI, with BF16; a kernel is written once
//! and compiled for each, and tests run all that the CPU has. bf16 sums in f32; int8 multiplies signed
//! weights (a scale per output, the one with the least squared error) by unsigned activations (scale
//! and zero point per token), sums exactly in 32 bits, and attends in bf16. Residuals, norms and
//! softmax are f32 always. `models/src/bert/reference.rs` states the same model in candle's tensors:
//! the reference of the tests, and the road to other devices.

mod backward;
mod forward;
#[cfg(test)]
mod gradient_tests;
mod lookup;
mod packed;
mod places;
mod reference;
mod tensors;
mod weights;

use crate::Result;
use crate::architecture::{Architecture, Backend, Body, Trainable};
use crate::config::ConfigFile;
use crate::spec::BodySizes;
use crate::weights::{Weights, present_name};

pub(crate) use backward::{OPERANDS, Transposes};
pub(crate) use forward::PassContext;
pub(crate) use places::{LinearPlace, Places};
pub(crate) use tensors::LinearPart;

use packed::PackedBert;
use reference::ReferenceBert;
use weights::BertWeights;

/// The BERT family: BERT, MiniLM, BGE, GTE, E5 and others with `model_type` bert.
#[derive(Debug)]
pub(crate) struct Bert;

impl Architecture for Bert {
    fn name(&self) -> &'static str {
        "bert"
    }

    fn sizes(&self, config: &ConfigFile) -> Result<BodySizes> {
        let sizes = BodySizes {
            hidden: config.count("hidden_size", 1 << 16)?,
            layers: config.count("num_hidden_layers", 1 << 10)?,
            heads: config.count("num_attention_heads", 1 << 10)?,
            feed_forward: config.count("intermediate_size", 1 << 16)?,
            vocab: config.count("vocab_size", 1 << 24)?,
            positions: config.count("max_position_embeddings", 1 << 20)?,
        };
        if !sizes.hidden.is_multiple_of(sizes.heads) {
            let BodySizes { hidden, heads, .. } = sizes;
            return Err(
                config.invalid(format!("hidden_size {hidden} is no multiple of {heads} attention heads"))
            );
        }
        if config.get("hidden_act").is_some() {
            let activation = config.text("hidden_act")?;
            // The second is the same function, written out in Python.
            if !matches!(activation, "gelu" | "gelu_python") {
                return Err(config.unsupported("hidden_act", activation, &["gelu"]));
            }
        }
        if config.get("position_embedding_type").is_some() {
            let positions = config.text("position_embedding_type")?;
            if positions != "absolute" {
                return Err(config.unsupported("position_embedding_type", positions, &["absolute"]));
            }
        }
        Ok(sizes)
    }

    fn load(&self, config: &ConfigFile, weights: &Weights<'_>, backend: &Backend) -> Result<Box<dyn Body>> {
        let weights = BertWeights::new(self.sizes(config)?, config, weights)?;
        Ok(match backend {
            Backend::Kernels(precision) => PackedBert::load(&weights, *precision)?,
            Backend::Candle(device) => Box::new(ReferenceBert::load(&weights, device)?),
        })
    }

    fn load_trainable(&self, config: &ConfigFile, weights: &Weights<'_>) -> Result<Trainable> {
        Places::load(&BertWeights::new(self.sizes(config)?, config, weights)?)
    }

    fn reads_tensor(&self, name: &str, layers: usize) -> bool {
        weights::is_read(&present_name(name), layers)
    }

    fn knows_tensor(&self, name: &str, layers: usize) -> bool {
        weights::is_known(&present_name(name), layers)
    }

    fn prefix(&self) -> (&'static str, &'static str) {
        ("bert.", "embeddings.word_embeddings.weight")
    }
}
