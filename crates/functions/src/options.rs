//! The session's settings under the prefix `nightjar.`, read and written by `SET` and `SHOW`.

use std::any::Any;

use datafusion::config::{ConfigEntry, ConfigExtension, ExtensionOptions};
use datafusion::error::{DataFusionError, Result};
use nightjar_models::nearest;

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
}

impl Default for NightjarOptions {
    fn default() -> Self {
        Self {
            base_model: "all-MiniLM-L6-v2".to_owned(),
            embed_model: String::new(),
            classify_model: String::new(),
            predict_model: String::new(),
        }
    }
}

/// A setting: its name, what it does, and where its value is.
struct Setting {
    name: &'static str,
    summary: &'static str,
    value: fn(&mut NightjarOptions) -> &mut String,
}

/// Every setting, once.
static SETTINGS: &[Setting] = &[
    Setting {
        name: "base_model",
        summary: "The model that CREATE MODEL starts from when it has no FROM, and that embed() uses when the catalog has \
                  no default",
        value: |options| &mut options.base_model,
    },
    Setting {
        name: "embed_model",
        summary: "The model of embed(), similarity(), zero-shot classify(), tokenize() and count_tokens() calls that name \
                  none. Empty: the catalog's default for the task 'embed'",
        value: |options| &mut options.embed_model,
    },
    Setting {
        name: "classify_model",
        summary: "The model of classify() and classify_scores() calls that name none. Empty: the catalog's default for the \
                  task 'classify'",
        value: |options| &mut options.classify_model,
    },
    Setting {
        name: "predict_model",
        summary: "The model of predict() calls that name none. Empty: the catalog's default for the task 'regress'",
        value: |options| &mut options.predict_model,
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
            Some(setting) => {
                value.clone_into((setting.value)(self));
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
