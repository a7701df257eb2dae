//! The session's settings under the prefix `nightjar.`, read and written by `SET` and `SHOW`.

use std::any::Any;

use datafusion::config::{ConfigEntry, ConfigExtension, ExtensionOptions};
use datafusion::error::{DataFusionError, Result};
use nightjar_models::{Precision, UnknownPrecision, nearest};

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
        }
    }
}

impl NightjarOptions {
    /// Returns whether rows are dealt out by the hash of their texts before a model reads them.
    pub fn shuffles_texts(&self) -> bool {
        self.shuffle_texts == ON
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

/// A setting: its name, what it does, and where its value is.
struct Setting {
    name: &'static str,
    summary: &'static str,
    /// The values that it takes; empty for any.
    choices: &'static [&'static str],
    value: fn(&mut NightjarOptions) -> &mut String,
}

/// Every setting, once.
static SETTINGS: &[Setting] = &[
    Setting {
        name: "base_model",
        summary: "The model that CREATE MODEL starts from when it has no FROM, and that embed() uses when the catalog has \
                  no default",
        choices: &[],
        value: |options| &mut options.base_model,
    },
    Setting {
        name: "embed_model",
        summary: "The model of embed(), similarity(), zero-shot classify(), tokenize() and count_tokens() calls that name \
                  none. Empty: the catalog's default for the task 'embed'",
        choices: &[],
        value: |options| &mut options.embed_model,
    },
    Setting {
        name: "classify_model",
        summary: "The model of classify() and classify_scores() calls that name none. Empty: the catalog's default for the \
                  task 'classify'",
        choices: &[],
        value: |options| &mut options.classify_model,
    },
    Setting {
        name: "predict_model",
        summary: "The model of predict() calls that name none. Empty: the catalog's default for the task 'regress'",
        choices: &[],
        value: |options| &mut options.predict_model,
    },
    Setting {
        name: "precision",
        summary: "The numbers that models multiply: f32, bf16 (twice as fast where the CPU has bf16 products, cosine to f32 \
                  about 0.9999) or int8 (faster still, about 0.998). auto: the precision that the model was made with, \
                  else bf16 where the CPU has it and f32 elsewhere",
        choices: &[AUTO, "f32", "bf16", "int8"],
        value: |options| &mut options.precision,
    },
    Setting {
        name: "shuffle_texts",
        summary: "on: rows are dealt out to the partitions by the hash of their texts before a model reads them, so that one \
                  small file keeps a whole cluster busy and equal texts meet; they come out in another order than the \
                  files have them in, where there is no ORDER BY. off: they stay where they are. Sessions with --cluster \
                  begin with on",
        choices: &[ON, OFF],
        value: |options| &mut options.shuffle_texts,
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
        match SETTINGS.iter().find(|setting| setting.name == key) {
            Some(setting) if setting.choices.is_empty() => {
                value.clone_into((setting.value)(self));
                Ok(())
            }
            Some(setting) => {
                let chosen = setting.choices.iter().find(|choice| choice.eq_ignore_ascii_case(value.trim()));
                let Some(chosen) = chosen else {
                    let choices = setting.choices.join("', '");
                    let refused = format!("nightjar.{key} is '{value}', expected one of '{choices}'");
                    return Err(DataFusionError::Configuration(refused));
                };
                (*chosen).clone_into((setting.value)(self));
                Ok(())
            }
            None => {
                let near = nearest(key, SETTINGS.iter().map(|setting| setting.name));
                let near = near.map(|near| format!("; did you mean nightjar.{near}?")).unwrap_or_default();
                Err(DataFusionError::Configuration(format!("there is no setting nightjar.{key}{near}")))
            }
        }
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
