//! BERT (Devlin et al. 2018, arXiv:1810.04805): absolute positions, post-norm layers, GELU.
//!
//! Texts are packed one after the other without padding or mask: linear layers run over tiles of packed
//! tokens (see `linear.rs`), attention over one text at a time, in matrices whose sizes follow from that text
//! alone.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use crate::activation::{LayerNorm, gelu, scaled_softmax};
use crate::architecture::{Architecture, Body, PackedTexts};
use crate::config::ConfigFile;
use crate::linear::{Linear, TILE, padded, with_values};
use crate::spec::BodySizes;
use crate::weights::Weights;
use crate::{ModelError, Result};

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
            feed_forward: config.count("intermediate_size", 1 << 18)?,
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
            if activation != "gelu" {
                return Err(config.unsupported("activation", activation, &["gelu"]));
            }
        }
        if config.get("position_embedding_type").is_some() {
            let positions = config.text("position_embedding_type")?;
            if positions != "absolute" {
                return Err(config.unsupported("position embedding", positions, &["absolute"]));
            }
        }
        Ok(sizes)
    }

    fn load(&self, config: &ConfigFile, weights: &Weights<'_>) -> Result<Box<dyn Body>> {
        Ok(Box::new(BertBody::load(self.sizes(config)?, config, weights)?))
    }

    fn prefix(&self) -> (&'static str, &'static str) {
        ("bert.", "embeddings.word_embeddings.weight")
    }
}

/// The layers of one BERT.
struct BertBody {
    sizes: BodySizes,
    words: Vec<f32>,
    positions: Vec<f32>,
    segments: Vec<f32>,
    embedding_norm: LayerNorm,
    layers: Vec<Layer>,
}

struct Layer {
    /// Query, key and value side by side: `[hidden, 3 * hidden]`.
    qkv: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    up: Linear,
    down: Linear,
    output_norm: LayerNorm,
}

impl BertBody {
    fn load(sizes: BodySizes, config: &ConfigFile, weights: &Weights<'_>) -> Result<Self> {
        let BodySizes { hidden, feed_forward, vocab, positions, .. } = sizes;
        let segments = config.count("type_vocab_size", 1 << 10)?;
        let epsilon = config.get("layer_norm_eps").map_or(Some(1e-12), |value| value.as_f64());
        let epsilon = epsilon
            .filter(|epsilon| (0.0..1.0).contains(epsilon))
            .ok_or_else(|| config.invalid("layer_norm_eps is no number from 0 to 1"))?
            as f32;
        let norm = |name: &str| -> Result<LayerNorm> {
            let weight = weights.values(&format!("{name}.weight"), &[hidden])?;
            let bias = weights.values(&format!("{name}.bias"), &[hidden])?;
            Ok(LayerNorm { weight, bias, epsilon })
        };
        let layer = |i: usize| -> Result<Layer> {
            let at = |name: &str| format!("encoder.layer.{i}.{name}");
            let qkv = ["query", "key", "value"].map(|part| at(&format!("attention.self.{part}")));
            Ok(Layer {
                qkv: Linear::load(weights, &qkv, hidden, hidden)?,
                attention_output: Linear::load(weights, &[at("attention.output.dense")], hidden, hidden)?,
                attention_norm: norm(&at("attention.output.LayerNorm"))?,
                up: Linear::load(weights, &[at("intermediate.dense")], feed_forward, hidden)?,
                down: Linear::load(weights, &[at("output.dense")], hidden, feed_forward)?,
                output_norm: norm(&at("output.LayerNorm"))?,
            })
        };
        Ok(BertBody {
            sizes,
            words: weights.values("embeddings.word_embeddings.weight", &[vocab, hidden])?,
            positions: weights.values("embeddings.position_embeddings.weight", &[positions, hidden])?,
            segments: weights.values("embeddings.token_type_embeddings.weight", &[segments, hidden])?,
            embedding_norm: norm("embeddings.LayerNorm")?,
            layers: (0..sizes.layers).map(layer).collect::<Result<_>>()?,
        })
    }

    /// Returns the first layer's input, `[padded tokens, hidden]`.
    fn embed(&self, texts: &PackedTexts) -> Result<Vec<f32>> {
        let hidden = self.sizes.hidden;
        let row = |table: &[f32], id: usize, what: &'static str| -> Result<std::ops::Range<usize>> {
            let rows = table.len() / hidden;
            if id >= rows {
                return Err(ModelError::SizeMismatch { what, expected: rows, found: id });
            }
            Ok(id * hidden..(id + 1) * hidden)
        };
        let mut out = vec![0.0; padded(texts.ids.len()) * hidden];
        let positions = texts.lengths.iter().flat_map(|&length| 0..length);
        let tokens = texts.ids.iter().zip(&texts.type_ids).zip(positions);
        for (((&id, &segment), position), out) in tokens.zip(out.chunks_exact_mut(hidden)) {
            let word = &self.words[row(&self.words, id as usize, "token id")?];
            let segment = &self.segments[row(&self.segments, segment as usize, "segment id")?];
            let position = &self.positions[row(&self.positions, position, "token position")?];
            for (((out, word), segment), position) in out.iter_mut().zip(word).zip(segment).zip(position) {
                *out = (word + segment) + position;
            }
            self.embedding_norm.apply(out);
        }
        Ok(out)
    }
}

impl Body for BertBody {
    fn forward(&self, texts: &PackedTexts) -> Result<Vec<f32>> {
        let BodySizes { hidden, heads, .. } = self.sizes;
        let mut states = self.embed(texts)?;
        for layer in &self.layers {
            let qkv = layer.project(&states, hidden)?;
            let context = attend(qkv, texts, hidden, heads)?;
            let tiles = states.par_chunks_mut(TILE * hidden).zip(context.par_chunks(TILE * hidden));
            tiles.try_for_each(|(state, context)| layer.mix(state, context))?;
        }
        Ok(states)
    }
}

impl Layer {
    /// Returns query, key and value of each row, `[rows, 3 * hidden]`.
    fn project(&self, states: &[f32], hidden: usize) -> Result<Vec<f32>> {
        let width = self.qkv.outputs();
        let mut out = vec![0.0; states.len() / hidden * width];
        let tiles = states.par_chunks(TILE * hidden).zip(out.par_chunks_mut(TILE * width));
        tiles.try_for_each(|(state, out)| self.qkv.apply(state.to_vec(), out, |out, value| *out = value))?;
        Ok(out)
    }

    /// Replaces a tile of states by the layer's output, given the attention's context.
    fn mix(&self, state: &mut [f32], context: &[f32]) -> Result<()> {
        self.attention_output.apply(context.to_vec(), state, |state, value| *state += value)?;
        self.attention_norm.apply(state);
        let mut inner = vec![0.0; TILE * self.up.outputs()];
        self.up.apply(state.to_vec(), &mut inner, |inner, value| *inner = gelu(value))?;
        self.down.apply(inner, state, |state, value| *state += value)?;
        self.output_norm.apply(state);
        Ok(())
    }
}

/// Returns the attention's context, `[rows, hidden]`, from query, key and value, `[rows, 3 * hidden]`.
fn attend(qkv: Vec<f32>, texts: &PackedTexts, hidden: usize, heads: usize) -> Result<Vec<f32>> {
    let rows = qkv.len() / (3 * hidden);
    let qkv = Tensor::from_vec(qkv, (rows, 3, heads, hidden / heads), &Device::Cpu)
        .map_err(ModelError::compute("reshape"))?;
    let mut context = vec![0.0; rows * hidden];
    let mut rest = context.as_mut_slice();
    let mut start = 0;
    let mut jobs = Vec::with_capacity(texts.lengths.len());
    for &tokens in &texts.lengths {
        let (out, after) = rest.split_at_mut(tokens * hidden);
        rest = after;
        jobs.push((start, tokens, out));
        start += tokens;
    }
    jobs.into_par_iter().try_for_each(|(start, tokens, out)| attend_text(&qkv, start, tokens, out))?;
    Ok(context)
}

/// Writes one text's context, `[tokens, hidden]`, a few heads at a time so that the scores stay in cache.
fn attend_text(qkv: &Tensor, start: usize, tokens: usize, out: &mut [f32]) -> Result<()> {
    const SCORES: usize = 1 << 16;
    let (_, _, heads, width) = qkv.dims4().map_err(ModelError::compute("attention"))?;
    let group = (SCORES / (tokens * tokens)).clamp(1, heads);
    let groups: Vec<usize> = (0..heads).step_by(group).collect();
    let context = |first: usize| -> candle_core::Result<(usize, Tensor)> {
        let count = group.min(heads - first);
        let part = qkv.narrow(0, start, tokens)?.narrow(2, first, count)?;
        let part = |i: usize| part.narrow(1, i, 1)?.squeeze(1)?.transpose(0, 1);
        Ok((first, attend_heads(&part(0)?, &part(1)?, &part(2)?)?))
    };
    let contexts: candle_core::Result<Vec<_>> = groups.into_par_iter().map(context).collect();
    for (first, context) in contexts.map_err(ModelError::compute("attention"))? {
        with_values(&context, |values| {
            for (head, values) in values.chunks_exact(tokens * width).enumerate() {
                let at = (first + head) * width;
                for (out, values) in out.chunks_exact_mut(heads * width).zip(values.chunks_exact(width)) {
                    out[at..at + width].copy_from_slice(values);
                }
            }
        })?;
    }
    Ok(())
}

/// Returns `softmax(q kᵀ / √width) v`, `[heads, tokens, width]`, of three tensors of that shape.
fn attend_heads(q: &Tensor, k: &Tensor, v: &Tensor) -> candle_core::Result<Tensor> {
    let (heads, tokens, width) = q.dims3()?;
    let scores = q.matmul(&k.transpose(1, 2)?)?;
    let mut weights = vec![0.0; heads * tokens * tokens];
    let scale = 1.0 / (width as f32).sqrt();
    with_values(&scores, |scores| scaled_softmax(scores, tokens, scale, &mut weights))
        .map_err(candle_core::Error::wrap)?;
    Tensor::from_vec(weights, (heads, tokens, tokens), &Device::Cpu)?.matmul(v)
}
