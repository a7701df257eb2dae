//! The tensors of a BERT by their names, read one part at a time.

use crate::Result;
use crate::config::ConfigFile;
use crate::spec::BodySizes;
use crate::weights::Weights;

/// A BERT's weights, not read yet.
pub(super) struct BertWeights<'a> {
    pub(super) sizes: BodySizes,
    pub(super) epsilon: f32,
    segments: usize,
    weights: &'a Weights<'a>,
}

/// The rows that are added up for a token, `[rows, hidden]` each.
pub(super) struct Tables {
    pub(super) words: Vec<f32>,
    pub(super) positions: Vec<f32>,
    pub(super) segments: Vec<f32>,
}

/// The learned part of a layer norm, `[hidden]` both.
pub(super) struct NormWeights {
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

/// A linear layer: weight `[outputs, inputs]` in row-major order, bias `[outputs]`.
pub(super) struct LinearWeights {
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
    pub(super) inputs: usize,
}

/// One layer of the encoder.
pub(super) struct LayerWeights {
    pub(super) query: LinearWeights,
    pub(super) key: LinearWeights,
    pub(super) value: LinearWeights,
    pub(super) attention_output: LinearWeights,
    pub(super) attention_norm: NormWeights,
    pub(super) up: LinearWeights,
    pub(super) down: LinearWeights,
    pub(super) output_norm: NormWeights,
}

impl<'a> BertWeights<'a> {
    pub(super) fn new(sizes: BodySizes, config: &ConfigFile, weights: &'a Weights<'a>) -> Result<Self> {
        let segments = config.count("type_vocab_size", 1 << 10)?;
        let epsilon = config.get("layer_norm_eps").map_or(Some(1e-12), |value| value.as_f64());
        let epsilon = epsilon
            .filter(|epsilon| (0.0..1.0).contains(epsilon))
            .ok_or_else(|| config.invalid("layer_norm_eps is no number from 0 to 1"))?
            as f32;
        Ok(BertWeights { sizes, epsilon, segments, weights })
    }

    pub(super) fn tables(&self) -> Result<Tables> {
        let BodySizes { hidden, vocab, positions, .. } = self.sizes;
        let table = |name: &str, rows: usize| {
            self.weights.values(&format!("embeddings.{name}_embeddings.weight"), &[rows, hidden])
        };
        Ok(Tables {
            words: table("word", vocab)?,
            positions: table("position", positions)?,
            segments: table("token_type", self.segments)?,
        })
    }

    pub(super) fn embedding_norm(&self) -> Result<NormWeights> {
        self.norm("embeddings.LayerNorm")
    }

    pub(super) fn layer(&self, layer: usize) -> Result<LayerWeights> {
        let BodySizes { hidden, feed_forward, .. } = self.sizes;
        let at = |name: &str| format!("encoder.layer.{layer}.{name}");
        let linear = |name: &str, outputs, inputs| self.linear(&at(name), outputs, inputs);
        Ok(LayerWeights {
            query: linear("attention.self.query", hidden, hidden)?,
            key: linear("attention.self.key", hidden, hidden)?,
            value: linear("attention.self.value", hidden, hidden)?,
            attention_output: linear("attention.output.dense", hidden, hidden)?,
            attention_norm: self.norm(&at("attention.output.LayerNorm"))?,
            up: linear("intermediate.dense", feed_forward, hidden)?,
            down: linear("output.dense", hidden, feed_forward)?,
            output_norm: self.norm(&at("output.LayerNorm"))?,
        })
    }

    fn norm(&self, name: &str) -> Result<NormWeights> {
        let part = |part: &str| self.weights.values(&format!("{name}.{part}"), &[self.sizes.hidden]);
        Ok(NormWeights { weight: part("weight")?, bias: part("bias")? })
    }

    fn linear(&self, name: &str, outputs: usize, inputs: usize) -> Result<LinearWeights> {
        Ok(LinearWeights {
            weight: self.weights.values(&format!("{name}.weight"), &[outputs, inputs])?,
            bias: self.weights.values(&format!("{name}.bias"), &[outputs])?,
            inputs,
        })
    }
}

const LINEARS: &[&str] = &[
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
];

const NORMS: &[&str] = &["attention.output.LayerNorm", "output.LayerNorm"];

/// Returns whether tensor `name` is a weight of an encoder with `layers` layers.
pub(super) fn is_read(name: &str, layers: usize) -> bool {
    let table =
        |part: &str| matches!(part, "word_embeddings" | "position_embeddings" | "token_type_embeddings");
    if let Some(part) = name.strip_prefix("embeddings.") {
        return matches!(part, "LayerNorm.weight" | "LayerNorm.bias")
            || part.strip_suffix(".weight").is_some_and(table);
    }
    layer_part(name).is_some_and(|(layer, part)| {
        let module = part.strip_suffix(".weight").or_else(|| part.strip_suffix(".bias"));
        layer < layers && module.is_some_and(|module| LINEARS.contains(&module) || NORMS.contains(&module))
    })
}

/// Returns whether tensor `name` is read or may be left out.
pub(super) fn is_known(name: &str, layers: usize) -> bool {
    let pretraining = ["pooler.dense.", "cls."].iter().any(|start| name.starts_with(start));
    let buffer = matches!(name, "embeddings.position_ids" | "embeddings.token_type_ids");
    let left_out = layer_part(name).is_some_and(|(layer, _)| layer >= layers);
    pretraining || buffer || left_out || is_read(name, layers)
}

/// Returns the number of the layer that tensor `name` is of, and the rest of its name.
fn layer_part(name: &str) -> Option<(usize, &str)> {
    let (layer, part) = name.strip_prefix("encoder.layer.")?.split_once('.')?;
    Some((layer.parse().ok()?, part))
}
