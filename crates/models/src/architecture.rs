//! The encoder architectures: one file and one line each.

use std::path::Path;

use candle_core::Device;
use nightjar_kernels::Precision;

use crate::bert::{Bert, Places};
use crate::config::ConfigFile;
use crate::spec::BodySizes;
use crate::weights::Weights;
use crate::{EncoderSpec, Result};

/// The known architectures. A new one is a file that implements [`Architecture`] and a line here.
pub static ARCHITECTURES: &[&dyn Architecture] = &[&Bert];

/// A family of encoders that share their layers and their tensor names.
pub trait Architecture: Send + Sync {
    /// Returns the name, `model_type` in config.json.
    fn name(&self) -> &'static str;

    /// Returns the sizes that config.json states.
    ///
    /// # Errors
    /// `ConfigInvalid` or `Unsupported`.
    fn sizes(&self, config: &ConfigFile) -> Result<BodySizes>;

    /// Returns the layers with their weights, ready to run on `backend`.
    ///
    /// # Errors
    /// `TensorMissing`, `TensorShape`, `TensorType`.
    fn load(&self, config: &ConfigFile, weights: &Weights<'_>, backend: &Backend) -> Result<Box<dyn Body>>;

    /// Returns the weights as training holds them: where they lie, all but the word table, and the word table.
    ///
    /// # Errors
    /// `TensorMissing`, `TensorShape`, `TensorType`.
    fn load_trainable(&self, config: &ConfigFile, weights: &Weights<'_>) -> Result<Trainable>;

    /// Returns whether tensor `name`, without prefix, is one that the encoder with that many layers reads.
    fn reads_tensor(&self, name: &str, layers: usize) -> bool;

    /// Returns whether tensor `name`, without prefix, is read, or may be left out: it served pretraining only, is a buffer, or
    /// belongs to layers that config.json leaves out.
    fn knows_tensor(&self, name: &str, layers: usize) -> bool;

    /// Returns a prefix that tensor names may carry, and a tensor that tells whether they do.
    fn prefix(&self) -> (&'static str, &'static str);
}

/// Weights as training holds them.
pub struct Trainable {
    /// Where the numbers lie.
    pub(crate) places: Places,
    /// All weights but the word table.
    pub(crate) numbers: Vec<f32>,
    /// The word table, `[vocab, hidden]`.
    pub(crate) words: Vec<f32>,
}

/// What runs the layers.
#[derive(Debug, Clone)]
pub enum Backend {
    /// The CPU kernels, weights packed for a precision.
    Kernels(Precision),
    /// candle's tensors in f32 on one of its devices: the reference, and slow on CPUs.
    Candle(Device),
}

/// The layers of an encoder, ready to run.
pub trait Body: Send + Sync {
    /// Writes the hidden states to `states`, `[tokens, hidden]`, whatever it held. Runs on the calling thread.
    ///
    /// A text's rows depend on that text alone, not on the other texts of the batch.
    ///
    /// # Errors
    /// `SizeMismatch` for an id that the model does not have; `Compute`.
    fn forward(&self, texts: &PackedTexts, states: &mut Vec<f32>) -> Result<()>;

    /// Returns the bytes that the weights take in memory, as they are packed.
    fn bytes(&self) -> usize;
}

/// The tokens of several texts, one after the other, without padding.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackedTexts {
    /// Token ids of all texts.
    pub ids: Vec<u32>,
    /// Segment ids, one for each token.
    pub type_ids: Vec<u32>,
    /// Tokens in each text, none of them 0; the sum is `ids.len()`.
    pub lengths: Vec<usize>,
}

/// Returns the architecture that `config` names.
pub(crate) fn architecture_of(
    config: &ConfigFile,
    known: &'static [&'static dyn Architecture],
) -> Result<&'static dyn Architecture> {
    let name = config.text("model_type")?;
    let found = known.iter().find(|architecture| architecture.name() == name);
    found.copied().ok_or_else(|| {
        let names: Vec<_> = known.iter().map(|architecture| architecture.name()).collect();
        config.unsupported("architecture", name, &names)
    })
}

/// Returns the layers of the model in `dir` with their weights, which must agree with `spec`.
pub(crate) fn load_body(dir: &Path, spec: &EncoderSpec, backend: &Backend) -> Result<Box<dyn Body>> {
    with_weights(dir, |architecture, config, weights| {
        debug_assert_eq!(architecture.name(), spec.architecture);
        architecture.load(config, weights, backend)
    })
}

/// Returns the weights of the model in `dir` as training holds them.
pub(crate) fn load_trainable(dir: &Path) -> Result<Trainable> {
    with_weights(dir, |architecture, config, weights| architecture.load_trainable(config, weights))
}

/// Calls `read` with the architecture, the configuration and the weights of the model in `dir`.
pub(crate) fn with_weights<T>(
    dir: &Path,
    read: impl FnOnce(&'static dyn Architecture, &ConfigFile, &Weights<'_>) -> Result<T>,
) -> Result<T> {
    let config = ConfigFile::read(&dir.join("config.json"))?;
    let architecture = architecture_of(&config, ARCHITECTURES)?;
    let path = dir.join("model.safetensors");
    let mapped = Weights::map(&path)?;
    let (prefix, probe) = architecture.prefix();
    let weights = Weights::parse(&path, &mapped)?.with_optional_prefix(prefix, probe);
    read(architecture, &config, &weights)
}
