//! Model cards: everything that planning needs to know of a model version, without its weights.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use nightjar_models::{DEFAULT_THRESHOLD, EncoderSpec};
use serde::{Deserialize, Serialize};

use crate::error::{CatalogError, Result};
use crate::ids::Digest;

/// What a model does; prints and parses as the word of SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Text to vector.
    Embed,
    /// Text to label.
    Classify,
    /// Text to number.
    Regress,
}

impl Task {
    /// Every task.
    pub const ALL: [Task; 3] = [Task::Embed, Task::Classify, Task::Regress];

    /// The task's word: `embed`, `classify` or `regress`.
    pub fn as_str(self) -> &'static str {
        match self {
            Task::Embed => "embed",
            Task::Classify => "classify",
            Task::Regress => "regress",
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Task {
    type Err = CatalogError;

    fn from_str(text: &str) -> Result<Task> {
        let task = Task::ALL.into_iter().find(|task| task.as_str() == text);
        task.ok_or_else(|| CatalogError::TaskUnknown { task: text.to_string() })
    }
}

/// The card of one model version, stored as JSON. Fields that this program does not know are
/// ignored and fields that an older program did not write are empty, so cards travel both ways.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// What the model does.
    pub task: Task,
    /// What it was made from: a catalog model with its version (`all-MiniLM-L6-v2@1`) or a source.
    /// For reading only: `body` is what pins the content, and stays valid when the base is dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The artifact that holds the encoder's files.
    pub body: Digest,
    /// The encoder's shape.
    pub encoder: EncoderSpec,
    /// Class labels, in the order of the head's rows; empty unless the task is `classify`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Whether a text may have any number of the labels, none included, rather than one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub multi_label: bool,
    /// From which probability on each label is predicted, in the order of the labels, where a text may have any number of them;
    /// empty for one half each, as in cards from before there were thresholds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<f32>,
    /// The columns it was trained on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<String>,
    /// The column it learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// How it was trained: `head`, `lora`, `full`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Every training option with its value, defaults included.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// Metrics of the finished model on its validation rows. NaN and infinities are not kept.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", serialize_with = "finite")]
    pub metrics: BTreeMap<String, f64>,
    /// Labelled rows it was trained on, validation rows included.
    #[serde(default)]
    pub rows: u64,
    /// Digest of the training rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_digest: Option<String>,
    /// The query that gave the training rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Where the files of a base model came from, e.g. `hf://org/repo@commit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl ModelCard {
    /// Returns whether the model reads two texts of a row as one: it learned labels or numbers of pairs. A model that embeds reads
    /// single texts, whatever it learned from.
    pub fn reads_pairs(&self) -> bool {
        self.task != Task::Embed && self.inputs.len() == 2
    }

    /// Returns from which probability on the label at this position is predicted, where a text may have any number of them.
    pub fn threshold(&self, label: usize) -> f32 {
        self.thresholds.get(label).copied().unwrap_or(DEFAULT_THRESHOLD)
    }

    /// The card of an untuned base model: it embeds, and its artifact is its body.
    pub fn base_model(body: Digest, encoder: EncoderSpec, source: impl Into<String>) -> ModelCard {
        ModelCard {
            task: Task::Embed,
            base: None,
            body,
            encoder,
            labels: Vec::new(),
            multi_label: false,
            thresholds: Vec::new(),
            inputs: Vec::new(),
            target: None,
            method: None,
            options: BTreeMap::new(),
            metrics: BTreeMap::new(),
            rows: 0,
            data_digest: None,
            query: None,
            source: Some(source.into()),
        }
    }
}

/// JSON has no NaN: serde_json would write `null`, which would not read back as a number.
fn finite<S: serde::Serializer>(
    metrics: &BTreeMap<String, f64>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_map(metrics.iter().filter(|(_, value)| value.is_finite()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_card_says_that_its_model_reads() {
        let card = |task: &str, inputs: &str| -> ModelCard {
            let body = Digest::of(b"body");
            let json = format!(r#"{{"task": "{task}", "body": "{body}", "encoder": {{}}{inputs}}}"#);
            serde_json::from_str(&json).unwrap()
        };
        let pair = r#", "inputs": ["question", "answer"]"#;
        assert!(card("classify", pair).reads_pairs() && card("regress", pair).reads_pairs());
        // A card from before there were pairs, or that never trained; an encoder that learned from pairs.
        assert!(!card("classify", r#", "inputs": ["review"]"#).reads_pairs());
        assert!(!card("classify", "").reads_pairs() && !card("embed", pair).reads_pairs());
    }

    #[test]
    fn cards_from_before_multi_label_read_back_as_they_were() {
        let card = ModelCard::base_model(Digest::of(b"body"), EncoderSpec::default(), "hf://org/repo@1");
        let json = serde_json::to_string(&card).unwrap();
        assert!(!json.contains("multi_label"), "{json}");
        assert_eq!(serde_json::from_str::<ModelCard>(&json).unwrap(), card);
        assert!(!json.contains("thresholds") && card.threshold(3) == 0.5, "{json}");
        let card = ModelCard { multi_label: true, thresholds: vec![0.1, 0.33333334], ..card };
        let json = serde_json::to_string(&card).unwrap();
        assert_eq!(serde_json::from_str::<ModelCard>(&json).unwrap(), card);
    }
}
