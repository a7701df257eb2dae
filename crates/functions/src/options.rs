//! The session's settings under the prefix `nightjar.`, read and written by `SET` and `SHOW`.

use std::any::Any;

use datafusion::config::{ConfigEntry, ConfigExtension, ExtensionOptions};
use datafusion::error::{DataFusionError, Result};
use nightjar_errors::nearest;
use nightjar_models::{Precision, UnknownPrecision};

/// Settings of a Nightjar session: `SET nightjar.classify_model = 'sentiment'`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NightjarOptions {
    /// The model that CREATE MODEL starts from when it has no FROM.
    pub base_model: String,
    /// The model of calls for the task 'embed' that name none; empty for the catalog's default.
    pub embed_model: String,
    /// The model of calls for the task 'classify' that name none; empty for the catalog's default.
    pub classify_model: String,
    /// The model of calls for the task 'regress' that name none; empty for the catalog's default.
    pub predict_model: String,
    /// How models are computed: the name of a [`Precision`], or `auto`.
    pub precision: String,
    /// Whether rows are dealt out by the hash of their texts before a model reads them: `on` or `off`.
    pub shuffle_texts: String,
    /// Whether what models make of texts is kept in the store, and known texts are read from there: `on` or `off`.
    pub cache: String,
    /// How much of it the store keeps: a size such as `4 GB`.
    pub cache_size: String,
    /// How much memory the loaded models of the process may take: a size such as `4 GB`, or `auto`.
    pub model_memory: String,
}

impl Default for NightjarOptions {
    fn default() -> Self {
        Self {
            base_model: "all-MiniLM-L6-v2".to_owned(),
            embed_model: String::new(),
            classify_model: String::new(),
            predict_model: String::new(),
            precision: AUTO.to_owned(),
            shuffle_texts: OFF.to_owned(),
            cache: OFF.to_owned(),
            cache_size: "4 GB".to_owned(),
            model_memory: AUTO.to_owned(),
        }
    }
}

impl NightjarOptions {
    /// Returns whether rows are dealt out by the hash of their texts before a model reads them.
    pub fn shuffles_texts(&self) -> bool {
        self.shuffle_texts == ON
    }

    /// Returns the bytes that the inference cache may have; None where the session uses none.
    pub fn cache_bytes(&self) -> Option<u64> {
        // A size that is none was refused when it was set.
        parse_bytes(&self.cache_size).filter(|_| self.cache == ON)
    }

    /// Returns the bytes that the loaded models of the process may take; None for `auto`.
    pub fn model_memory_bytes(&self) -> Option<u64> {
        parse_bytes(&self.model_memory)
    }

    /// Returns the precision that the session asks for; None for `auto`, which leaves it to the model and the machine.
    pub fn precision(&self) -> crate::Result<Option<Precision>> {
        if self.precision == AUTO {
            return Ok(None);
        }
        let unknown = |error: UnknownPrecision| crate::FunctionError::Precision { found: error.0 };
        self.precision.parse().map(Some).map_err(unknown)
    }
}

/// The precision that is left to the model and the machine.
pub(crate) const AUTO: &str = "auto";

const ON: &str = "on";
const OFF: &str = "off";

/// The values that a setting takes.
enum Values {
    Any,
    /// One of these words, in any case.
    OneOf(&'static [&'static str]),
    /// Bytes: see [`parse_bytes`].
    Size,
    /// Bytes, or [`AUTO`].
    SizeOrAuto,
}

/// A setting: its name, what it does, and where its value is.
struct Setting {
    name: &'static str,
    summary: &'static str,
    /// The values that it takes.
    values: Values,
    value: fn(&mut NightjarOptions) -> &mut String,
}

/// Every setting, once.
static SETTINGS: &[Setting] = &[
    Setting {
        name: "base_model",
        summary: "The model that CREATE MODEL starts from when it has no FROM, and that embed() uses when the catalog has \
                  no default",
        values: Values::Any,
        value: |options| &mut options.base_model,
    },
    Setting {
        name: "embed_model",
        summary: "The model of embed(), similarity(), zero-shot classify(), tokenize() and count_tokens() calls that name \
                  none. Empty: the catalog's default for the task 'embed'",
        values: Values::Any,
        value: |options| &mut options.embed_model,
    },
    Setting {
        name: "classify_model",
        summary: "The model of classify() and classify_scores() calls that name none. Empty: the catalog's default for the \
                  task 'classify'",
        values: Values::Any,
        value: |options| &mut options.classify_model,
    },
    Setting {
        name: "predict_model",
        summary: "The model of predict() calls that name none. Empty: the catalog's default for the task 'regress'",
        values: Values::Any,
        value: |options| &mut options.predict_model,
    },
    Setting {
        name: "precision",
        summary: "The numbers that models multiply: f32, bf16 (twice as fast where the CPU has bf16 products, cosine to f32 \
                  about 0.9999) or int8 (faster still, about 0.998). auto: the precision that the model was made with, \
                  else bf16 where the CPU has it and f32 elsewhere",
        values: Values::OneOf(&[AUTO, "f32", "bf16", "int8"]),
        value: |options| &mut options.precision,
    },
    Setting {
        name: "shuffle_texts",
        summary: "on: rows are dealt out to the partitions by the hash of their texts before a model reads them, so that one \
                  small file keeps a whole cluster busy and equal texts meet; they come out in another order than the \
                  files have them in, where there is no ORDER BY. off: they stay where they are. Sessions with --cluster \
                  begin with on",
        values: Values::OneOf(&[ON, OFF]),
        value: |options| &mut options.shuffle_texts,
    },
    Setting {
        name: "cache",
        summary: "on: what models make of texts is kept in the store, and texts that are known cost no encoder pass; the results \
                  have the same bits. off: every text is computed",
        values: Values::OneOf(&[ON, OFF]),
        value: |options| &mut options.cache,
    },
    Setting {
        name: "cache_size",
        summary: "How much of it the store keeps, for all models together: bytes, or a size such as '500 MB' or '4 GB'. Beyond it, \
                  what has been of no use for longest goes",
        values: Values::Size,
        value: |options| &mut options.cache_size,
    },
    Setting {
        name: "model_memory",
        summary: "How much memory the weights, tokenizers and heads of loaded models may take in a process: bytes, or a size such as \
                  '500 MB' or '4 GB'. auto: half of the machine's memory. Beyond it, models that no statement is using are \
                  dropped, least recently used first, and loaded again when they are called. The sessions of a process \
                  share one bound, that of the statement that ran last",
        values: Values::SizeOrAuto,
        value: |options| &mut options.model_memory,
    },
];

impl ConfigExtension for NightjarOptions {
    const PREFIX: &'static str = "nightjar";
}

// By hand rather than by DataFusion's macro, whose entries lack the prefix that SHOW looks for.
impl ExtensionOptions for NightjarOptions {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let Some(setting) = SETTINGS.iter().find(|setting| setting.name == key) else {
            let near = nearest(key, SETTINGS.iter().map(|setting| setting.name));
            let near = near.map(|near| format!("; did you mean nightjar.{near}?")).unwrap_or_default();
            return Err(DataFusionError::Configuration(format!("there is no setting nightjar.{key}{near}")));
        };
        let value = value.trim_matches(|c: char| c.is_whitespace() && !matches!(setting.values, Values::Any));
        let refused = |expected: String| {
            let refused = format!("nightjar.{key} is '{value}', expected {expected}");
            Err(DataFusionError::Configuration(refused))
        };
        let kept = match setting.values {
            Values::Any => value,
            Values::OneOf(choices) => {
                match choices.iter().find(|choice| choice.eq_ignore_ascii_case(value)) {
                    Some(chosen) => chosen,
                    None => return refused(format!("one of '{}'", choices.join("', '"))),
                }
            }
            Values::SizeOrAuto if value.eq_ignore_ascii_case(AUTO) => AUTO,
            Values::Size | Values::SizeOrAuto if parse_bytes(value).is_some() => value,
            Values::SizeOrAuto => {
                return refused("auto, bytes, or a size such as '500 MB' or '4 GB'".to_owned());
            }
            Values::Size => return refused("bytes, or a size such as '500 MB' or '4 GB'".to_owned()),
        };
        kept.clone_into((setting.value)(self));
        Ok(())
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        let mut options = self.clone();
        SETTINGS
            .iter()
            .map(|setting| ConfigEntry {
                key: format!("{}.{}", Self::PREFIX, setting.name),
                value: Some((setting.value)(&mut options).clone()),
                description: setting.summary,
            })
            .collect()
    }
}

/// Returns the bytes of a size: a whole number, then B, KB, MB, GB or TB, each a thousand times the one before, or KiB to TiB,
/// each 1,024 times.
fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim().to_ascii_lowercase();
    let bytes_of_unit = match unit.as_str() {
        "" | "b" => 1,
        unit => {
            let (prefix, thousand) = match unit.strip_suffix("ib") {
                Some(prefix) => (prefix, 1024_u64),
                None => (unit.strip_suffix('b').unwrap_or(unit), 1000),
            };
            thousand.pow(["k", "m", "g", "t"].iter().position(|known| *known == prefix)? as u32 + 1)
        }
    };
    number.parse::<u64>().ok()?.checked_mul(bytes_of_unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, bytes) in [
            ("0", 0),
            ("1000", 1000),
            ("12 b", 12),
            ("3KB", 3000),
            ("3 kib", 3072),
            ("500 MB", 500_000_000),
            ("4 GB", 4_000_000_000),
            ("4GiB", 4 << 30),
            ("2g", 2_000_000_000),
            ("1 TB", 1_000_000_000_000),
        ] {
            assert_eq!(parse_bytes(text), Some(bytes), "{text}");
        }
        for text in ["", "GB", "-1", "1.5 GB", "4 PB", "4 GBB", "4 G B", "99999999999 TB", "all", "4 ib"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }

    #[test]
    fn models_have_half_of_the_memory_until_a_size_is_set() {
        let mut options = NightjarOptions::default();
        assert_eq!(options.model_memory_bytes(), None);
        options.set("model_memory", "2 GiB").unwrap();
        assert_eq!(options.model_memory_bytes(), Some(2 << 30));
        let error = options.set("model_memory", "much").unwrap_err().to_string();
        assert!(error.contains("nightjar.model_memory is 'much', expected auto, bytes"), "{error}");
        options.set("model_memory", "AUTO").unwrap();
        assert_eq!(options.model_memory_bytes(), None);
    }

    #[test]
    fn the_cache_is_off_until_it_is_set_on() {
        let mut options = NightjarOptions::default();
        assert_eq!(options.cache_bytes(), None);
        options.set("cache", "ON").unwrap();
        assert_eq!(options.cache_bytes(), Some(4_000_000_000));
        options.set("cache_size", " 1 KiB ").unwrap();
        assert_eq!(options.cache_bytes(), Some(1024));
        let error = options.set("cache_size", "much").unwrap_err().to_string();
        assert!(error.contains("nightjar.cache_size is 'much'") && error.contains("4 GB"), "{error}");
        assert_eq!(options.cache_bytes(), Some(1024));
    }
}
