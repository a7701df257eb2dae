//! The trained encoder as a model's directory.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde_json::Value;

use super::trainer::Trainer;
use crate::architecture::with_weights;
use crate::config::ConfigFile;
use crate::tensor_file::{NamedTensor, write_tensors};
use crate::weights::present_name;
use crate::{ModelError, Result};
use nightjar_kernels::gradient::unpack_weight;

/// A model's files that the trained encoder takes over as they are, where they are there.
const KEPT_FILES: &[&str] = &[
    "config.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
];

/// The parameters of a linear head.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadWeights {
    /// `[outputs, dim]`, row-major.
    pub weight: Vec<f32>,
    /// `[outputs]`.
    pub bias: Vec<f32>,
}

impl Trainer {
    /// Returns the head, which reads pooled states that are not scaled to unit length.
    pub fn head(&self) -> HeadWeights {
        let mut weight = vec![0.0; self.head.outputs * self.head.inputs];
        unpack_weight(&self.weights[self.head.weight.clone()], self.head.inputs, &mut weight);
        HeadWeights { weight, bias: self.weights[self.head.bias.clone()].to_vec() }
    }

    #[cfg(test)]
    pub(crate) fn head_gradient(&self) -> HeadWeights {
        let mut weight = vec![0.0; self.head.outputs * self.head.inputs];
        let at = |place: &std::ops::Range<usize>| place.start - self.trained..place.end - self.trained;
        unpack_weight(&self.gradients()[at(&self.head.weight)], self.head.inputs, &mut weight);
        HeadWeights { weight, bias: self.gradients()[at(&self.head.bias)].to_vec() }
    }

    /// Writes the encoder to `out`, a directory that is there, as a model made from that in `base`. Its embeddings are scaled to unit
    /// length only if `normalize`.
    ///
    /// Tensors that the encoder does not have are the base's. Equal weights give equal files.
    ///
    /// # Errors
    /// `FileMissing`, `FileAccess`, `ConfigInvalid`, those of reading the base's weights.
    pub fn save_encoder(&self, base: &Path, out: &Path, normalize: bool) -> Result<()> {
        for file in KEPT_FILES.iter().filter(|file| base.join(file).exists()) {
            copy(&base.join(file), &out.join(file))?;
        }
        save_modules(base, out, normalize)?;
        let mut trained: HashMap<String, NamedTensor> = self
            .places
            .tensors(&self.weights)
            .into_iter()
            .map(|tensor| (tensor.name.clone(), tensor))
            .collect();
        let (words, width) = (self.words.words() as u32, self.places.sizes.hidden);
        let values = (0..words).flat_map(|word| self.words.row(word)).copied().collect();
        let name = "embeddings.word_embeddings.weight".to_owned();
        trained.insert(name.clone(), NamedTensor { name, shape: vec![words as usize, width], values });
        let tensors = with_weights(base, |_, _, weights| {
            let prefix = weights.prefix();
            let tensor = |full: String| {
                let name = full.strip_prefix(prefix).unwrap_or(&full);
                if let Some(tensor) = trained.remove(&present_name(name)) {
                    return Ok(Some(NamedTensor { name: full, ..tensor }));
                }
                // Buffers such as position_ids are no floats, and nothing reads them.
                let shape = weights.shape(name)?;
                match weights.values(name, &shape) {
                    Ok(values) => Ok(Some(NamedTensor { name: full, shape, values })),
                    Err(ModelError::TensorType { .. }) => Ok(None),
                    Err(error) => Err(error),
                }
            };
            weights.names().into_iter().map(tensor).collect::<Result<Vec<_>>>()
        })?;
        let tensors: Vec<NamedTensor> = tensors.into_iter().flatten().collect();
        let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
        write_tensors(&out.join("model.safetensors"), &metadata, &tensors)
    }
}

/// Writes modules.json and the pooling's configuration.
fn save_modules(base: &Path, out: &Path, normalize: bool) -> Result<()> {
    let Some(file) = ConfigFile::read_if_there(&base.join("modules.json"))? else {
        return Ok(());
    };
    let kind = |module: &Value| module.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let modules: Vec<Value> = file.root().as_array().cloned().unwrap_or_default();
    for pooling in modules.iter().filter(|module| kind(module).ends_with("Pooling")) {
        let folder = pooling.get("path").and_then(Value::as_str).unwrap_or("1_Pooling");
        let made = out.join(folder);
        std::fs::create_dir_all(&made).map_err(|source| ModelError::access(&made, "written", source))?;
        copy(&base.join(folder).join("config.json"), &made.join("config.json"))?;
    }
    let kept: Vec<Value> =
        modules.into_iter().filter(|module| normalize || !kind(module).ends_with("Normalize")).collect();
    let path = out.join("modules.json");
    std::fs::write(&path, Value::from(kept).to_string())
        .map_err(|source| ModelError::access(&path, "written", source))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    // Read and write rather than copy: an artifact's files are read-only, and their copies must not be.
    let bytes = std::fs::read(from).map_err(|source| ModelError::access(from, "read", source))?;
    std::fs::write(to, bytes).map_err(|source| ModelError::access(to, "written", source))
}

#[cfg(test)]
mod tests {
    use crate::testing::write_tiny_model;
    use crate::training::{LoraOptions, Objective, OptimizerOptions, Target, TrainerOptions, TrainingRow};
    use crate::{TextEncoder, Trainer};

    #[test]
    fn the_saved_encoder_says_what_the_trainer_says() {
        let lora = LoraOptions { rank: 4, alpha: 8.0, attention_only: false };
        for lora in [None, Some(lora)] {
            let [base, out] = [(); 2].map(|()| tempfile::tempdir().unwrap());
            write_tiny_model(base.path(), 1).unwrap();
            let texts = ["good coffee, great hotel", "bad", "a very long and boring movie about the weather"];
            let tokenizer = TextEncoder::load(base.path()).unwrap();
            let rows: Vec<TrainingRow> = texts
                .iter()
                .zip(0..)
                .map(|(text, class)| {
                    let ids = tokenizer.tokenizer().encode(text).ids;
                    TrainingRow { first_tokens: ids.len(), ids, target: Target::Class(class) }
                })
                .collect();
            let optimizer =
                OptimizerOptions { total_steps: 20, learning_rate: 1e-2, ..OptimizerOptions::default() };
            let objective = Objective::Classify { classes: 3, class_weights: vec![], label_smoothing: 0.0 };
            let options =
                TrainerOptions { objective, dropout: 0.1, freeze_layers: 0, lora, seed: 1, optimizer };
            let mut trainer = Trainer::load(base.path(), options).unwrap();
            let before = trainer.outputs(&rows).unwrap();
            for _ in 0..5 {
                trainer.step(&rows).unwrap();
            }
            trainer.save_encoder(base.path(), out.path(), false).unwrap();
            let embeddings = TextEncoder::load(out.path()).unwrap().embed(&texts).unwrap();
            let (head, expected) = (trainer.head(), trainer.outputs(&rows).unwrap());
            for (text, embedding) in embeddings.iter().enumerate() {
                for class in 0..3 {
                    let weight = &head.weight[class * 32..][..32];
                    let found: f32 =
                        head.bias[class] + weight.iter().zip(embedding).map(|(w, x)| w * x).sum::<f32>();
                    let expected = expected[3 * text + class];
                    assert!((found - expected).abs() < 1e-4, "{found} {expected}");
                }
            }
            let moved = before.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(moved > 0.1, "{moved}");
        }
    }
}
