//! Classification heads: a linear layer and a softmax on embeddings.

use std::collections::BTreeMap;
use std::path::Path;

use crate::embeddings::dot;
use crate::head_file::HeadFile;
use crate::{Embeddings, ModelError, Result};

/// A trained classifier: `softmax(weight · embedding + bias)`.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassifierHead {
    /// The class names, in class order.
    pub labels: Vec<String>,
    /// `[classes, dim]`, row-major.
    pub weight: Vec<f32>,
    /// `[classes]`.
    pub bias: Vec<f32>,
}

impl ClassifierHead {
    /// Returns the bytes that the head takes in memory.
    pub fn bytes(&self) -> usize {
        let labels: usize = self.labels.iter().map(String::len).sum();
        size_of_val(self.weight.as_slice()) + size_of_val(self.bias.as_slice()) + labels
    }

    /// Returns the number of classes.
    pub fn classes(&self) -> usize {
        self.labels.len()
    }

    /// Returns the length of the embeddings that the head reads.
    pub fn dim(&self) -> usize {
        self.weight.len().checked_div(self.labels.len()).unwrap_or(0)
    }

    /// Returns the classes' probabilities, `[rows, classes]`, row-major; each row sums to 1.
    ///
    /// Sums run in f64 in a fixed order, so a row's result does not depend on other rows. Rows of another
    /// length than `dim` are read as far as both reach: check `dim` first.
    pub fn probabilities(&self, embeddings: &Embeddings) -> Vec<f32> {
        let mut out = Vec::with_capacity(embeddings.rows() * self.classes());
        for row in embeddings.iter() {
            out.extend(self.probabilities_of(row));
        }
        out
    }

    /// Returns the classes' probabilities of one embedding `[dim]`, as [`probabilities`](Self::probabilities)
    /// does.
    pub fn probabilities_of(&self, embedding: &[f32]) -> Vec<f32> {
        let logits = self.logits(embedding);
        let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = logits.iter().map(|logit| (logit - max).exp()).sum();
        logits.iter().map(|logit| ((logit - max).exp() / total) as f32).collect()
    }

    /// Returns the probability of each class by itself, of one embedding `[dim]`: the sigmoid of its logit. For heads that
    /// were trained on any number of labels a row; the probabilities sum to anything.
    pub fn sigmoids_of(&self, embedding: &[f32]) -> Vec<f32> {
        self.logits(embedding).iter().map(|logit| (1.0 / (1.0 + (-logit).exp())) as f32).collect()
    }

    /// Returns the most probable class of each row; the first one where several are equal.
    pub fn best(&self, embeddings: &Embeddings) -> Vec<usize> {
        let best = |row: &[f32]| {
            let logits = self.logits(row);
            let better = |best: usize, i: usize| if logits[i] > logits[best] { i } else { best };
            (0..logits.len()).fold(0, better)
        };
        embeddings.iter().map(best).collect()
    }

    fn logits(&self, row: &[f32]) -> Vec<f64> {
        let weights = self.weight.chunks_exact(self.dim().max(1));
        weights.zip(&self.bias).map(|(weight, &bias)| dot(weight, row) + f64::from(bias)).collect()
    }

    /// Writes the head as safetensors: `weight`, `bias` and the labels as JSON in the metadata.
    ///
    /// Equal heads give equal bytes.
    ///
    /// # Errors
    /// `SizeMismatch` where the parts disagree, `FileAccess`.
    pub fn save(&self, path: &Path) -> Result<()> {
        if self.bias.len() != self.classes() {
            let (expected, found) = (self.classes(), self.bias.len());
            return Err(ModelError::SizeMismatch { what: "the number of biases", expected, found });
        }
        let labels = serde_json::Value::from(self.labels.clone()).to_string();
        let metadata =
            BTreeMap::from([("format".to_owned(), FORMAT.to_owned()), ("labels".to_owned(), labels)]);
        HeadFile { metadata, weight: self.weight.clone(), bias: self.bias.clone() }.write(path)
    }

    /// Returns the head in the file at `path`.
    ///
    /// # Errors
    /// `FileMissing`, `FileAccess`, `WeightsInvalid`, `TensorMissing`, `TensorShape`, `TensorType`.
    pub fn load(path: &Path) -> Result<Self> {
        let HeadFile { metadata, weight, bias } = HeadFile::read(path)?;
        let invalid = |reason: String| HeadFile::invalid(path, reason);
        if metadata.get("format").map(String::as_str) != Some(FORMAT) {
            return Err(invalid(format!("the metadata's format is not {FORMAT}")));
        }
        let labels =
            metadata.get("labels").ok_or_else(|| invalid("the metadata hold no labels".to_owned()))?;
        let labels: Vec<String> = serde_json::from_str(labels)
            .map_err(|error| invalid(format!("the labels are no list of strings: {error}")))?;
        if labels.len() != bias.len() {
            return Err(invalid(format!("{} labels for {} classes", labels.len(), bias.len())));
        }
        Ok(ClassifierHead { labels, weight, bias })
    }
}

/// The value of `format` in the metadata.
const FORMAT: &str = "nightjar-classifier-1";
