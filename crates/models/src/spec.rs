//! What a model directory says about its encoder, read without opening the weights.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::architecture::{ARCHITECTURES, architecture_of};
use crate::config::ConfigFile;
use crate::{Pooling, Result};

/// The facts of an encoder that planning needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct EncoderSpec {
    /// The architecture's name, `model_type` in config.json.
    pub architecture: String,
    /// Values in an embedding.
    pub dim: usize,
    /// Transformer layers.
    pub layers: usize,
    /// Attention heads in a layer.
    pub heads: usize,
    /// Width of the feed-forward layer.
    pub feed_forward: usize,
    /// Rows of the word embedding table.
    pub vocab: usize,
    /// Tokens of a text that are read, special tokens included; the rest is cut off.
    pub window: usize,
    /// How token vectors become one.
    pub pooling: Pooling,
    /// Whether embeddings are scaled to unit length.
    pub normalize: bool,
    /// Whether text is lowercased before the tokenizer sees it.
    pub lowercase: bool,
}

/// The sizes that an architecture reads from config.json.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodySizes {
    /// Values in a token's vector.
    pub hidden: usize,
    /// Transformer layers.
    pub layers: usize,
    /// Attention heads in a layer; divides `hidden`.
    pub heads: usize,
    /// Width of the feed-forward layer.
    pub feed_forward: usize,
    /// Rows of the word embedding table.
    pub vocab: usize,
    /// Tokens that a text may have, special tokens included.
    pub positions: usize,
}

impl EncoderSpec {
    /// Returns what `dir` (a Hugging Face sentence-transformers model) says about its encoder.
    ///
    /// Reads config.json, modules.json, the pooling module's config.json, sentence_bert_config.json and
    /// tokenizer_config.json; all but config.json may be absent. Without modules.json the pooling is the
    /// mean, and nothing is normalised, as sentence-transformers does. The window is `max_seq_length` of
    /// sentence_bert_config.json, else the least of `max_position_embeddings` and the tokenizer's
    /// `model_max_length`.
    ///
    /// # Errors
    /// `FileMissing` without config.json, `ConfigInvalid`, or `Unsupported` for an unknown architecture,
    /// module or pooling. Never opens the weights.
    pub fn read(dir: &Path) -> Result<EncoderSpec> {
        let config = ConfigFile::read(&dir.join("config.json"))?;
        let architecture = architecture_of(&config, ARCHITECTURES)?;
        let sizes = architecture.sizes(&config)?;
        let modules = Modules::read(dir)?;
        let (window, lowercase) = window(dir, &sizes)?;
        Ok(EncoderSpec {
            architecture: architecture.name().to_owned(),
            dim: sizes.hidden,
            layers: sizes.layers,
            heads: sizes.heads,
            feed_forward: sizes.feed_forward,
            vocab: sizes.vocab,
            window,
            pooling: modules.pooling,
            normalize: modules.normalize,
            lowercase,
        })
    }
}

/// What follows the transformer, by modules.json.
struct Modules {
    pooling: Pooling,
    normalize: bool,
}

impl Modules {
    fn read(dir: &Path) -> Result<Modules> {
        let mut modules = Modules { pooling: Pooling::Mean, normalize: false };
        let Some(file) = ConfigFile::read_if_there(&dir.join("modules.json"))? else {
            return Ok(modules);
        };
        let list = file.root().as_array().ok_or_else(|| file.invalid("not a list of modules"))?;
        for module in list {
            let kind = module.get("type").and_then(|kind| kind.as_str());
            let kind = kind.ok_or_else(|| file.invalid("a module has no type"))?;
            match kind.rsplit('.').next().unwrap_or(kind) {
                // Dropout is for training alone.
                "Transformer" | "Dropout" => {}
                "Normalize" => modules.normalize = true,
                "Pooling" => {
                    let path = module.get("path").and_then(|path| path.as_str()).unwrap_or("1_Pooling");
                    // A path out of the model's directory is refused: the files come from strangers.
                    if path.is_empty() || path.contains(['/', '\\']) || path.contains("..") {
                        return Err(file.invalid(format!("the pooling module's path is '{path}'")));
                    }
                    modules.pooling = read_pooling(&ConfigFile::read(&dir.join(path).join("config.json"))?)?;
                }
                _ => return Err(file.unsupported("module", kind, &["Transformer", "Pooling", "Normalize"])),
            }
        }
        Ok(modules)
    }
}

fn read_pooling(file: &ConfigFile) -> Result<Pooling> {
    let known: Vec<_> = Pooling::ALL.iter().map(|(_, name)| *name).collect();
    // Several modes mean their concatenation, which changes the dimension.
    let named = |key: &'static str, modes: &[&str]| match modes {
        [] => Ok(Pooling::Mean),
        [mode] => Pooling::ALL
            .iter()
            .find_map(|(pooling, name)| (name == mode).then_some(*pooling))
            .ok_or_else(|| file.unsupported(key, mode, &known)),
        several => Err(file.unsupported(key, &several.join(" + "), &known)),
    };
    // Newer files name the mode, or several; older ones hold one flag a mode.
    match file.get("pooling_mode") {
        Some(Value::Array(modes)) => {
            let modes: Vec<_> = modes.iter().filter_map(Value::as_str).collect();
            return named("pooling_mode", &modes);
        }
        Some(_) => return named("pooling_mode", &[file.text("pooling_mode")?]),
        None => {}
    }
    let flags = [
        ("pooling_mode_mean_tokens", "mean"),
        ("pooling_mode_cls_token", "cls"),
        ("pooling_mode_max_tokens", "max"),
        ("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"),
        ("pooling_mode_weightedmean_tokens", "weightedmean"),
        ("pooling_mode_lasttoken", "lasttoken"),
    ];
    let mut modes = Vec::new();
    for (flag, mode) in flags {
        if file.flag(flag)? {
            modes.push(mode);
        }
    }
    named("pooling mode", &modes)
}

fn window(dir: &Path, sizes: &BodySizes) -> Result<(usize, bool)> {
    // [CLS], [SEP] and one token between them.
    const LEAST: usize = 3;
    let mut window = sizes.positions;
    let mut lowercase = false;
    let mut stated = false;
    if let Some(file) = ConfigFile::read_if_there(&dir.join("sentence_bert_config.json"))? {
        lowercase = file.flag("do_lower_case")?;
        if file.get("max_seq_length").is_some() {
            window = file.count("max_seq_length", usize::MAX)?.min(sizes.positions);
            stated = true;
        }
    }
    if !stated && let Some(file) = ConfigFile::read_if_there(&dir.join("tokenizer_config.json"))? {
        // transformers writes 1e30 for "no limit".
        if let Some(limit) = file.get("model_max_length").and_then(|limit| limit.as_f64())
            && (1.0..window as f64).contains(&limit)
        {
            window = limit as usize;
        }
    }
    if window < LEAST {
        let file = ConfigFile::read(&dir.join("config.json"))?;
        return Err(file.invalid(format!("the window is {window} tokens, expected at least {LEAST}")));
    }
    Ok((window, lowercase))
}
