//! BERT on candle's tensors, one text at a time: the plain statement of what it computes, which tests compare
//! the kernels with, and the road to devices other than the CPU.

use candle_core::{D, Device, Result as CandleResult, Tensor};

use super::lookup::check_id;
use super::weights::{BertWeights, LayerWeights, LinearWeights, NormWeights};
use crate::architecture::{Body, PackedTexts};
use crate::spec::BodySizes;
use crate::{ModelError, Result};

/// The layers of one BERT as tensors on a device.
pub(super) struct ReferenceBert {
    sizes: BodySizes,
    pub(super) words: Tensor,
    pub(super) positions: Tensor,
    pub(super) segments: Tensor,
    pub(super) embedding_norm: Norm,
    pub(super) layers: Vec<Layer>,
}

pub(super) struct Layer {
    pub(super) query: Linear,
    pub(super) key: Linear,
    pub(super) value: Linear,
    pub(super) attention_output: Linear,
    pub(super) attention_norm: Norm,
    pub(super) up: Linear,
    pub(super) down: Linear,
    pub(super) output_norm: Norm,
}

/// Weight `[outputs, inputs]`, bias `[outputs]`.
pub(super) struct Linear {
    pub(super) weight: Tensor,
    pub(super) bias: Tensor,
}

pub(super) struct Norm {
    pub(super) weight: Tensor,
    pub(super) bias: Tensor,
    epsilon: f64,
}

impl ReferenceBert {
    /// Returns the model on `device`, in f32.
    pub(super) fn load(weights: &BertWeights<'_>, device: &Device) -> Result<Self> {
        let sizes = weights.sizes;
        let tables = weights.tables()?;
        let table = |values: Vec<f32>| {
            let rows = values.len() / sizes.hidden;
            Tensor::from_vec(values, (rows, sizes.hidden), device).map_err(ModelError::compute("load"))
        };
        let norm = |norm: NormWeights| Norm::load(norm, weights.epsilon, device);
        let layer = |i: usize| -> Result<Layer> {
            let LayerWeights { query, key, value, attention_output, attention_norm, up, down, output_norm } =
                weights.layer(i)?;
            let linear = |linear| Linear::load(linear, device).map_err(ModelError::compute("load"));
            Ok(Layer {
                query: linear(query)?,
                key: linear(key)?,
                value: linear(value)?,
                attention_output: linear(attention_output)?,
                attention_norm: norm(attention_norm).map_err(ModelError::compute("load"))?,
                up: linear(up)?,
                down: linear(down)?,
                output_norm: norm(output_norm).map_err(ModelError::compute("load"))?,
            })
        };
        Ok(ReferenceBert {
            sizes,
            words: table(tables.words)?,
            positions: table(tables.positions)?,
            segments: table(tables.segments)?,
            embedding_norm: norm(weights.embedding_norm()?).map_err(ModelError::compute("load"))?,
            layers: (0..sizes.layers).map(layer).collect::<Result<_>>()?,
        })
    }

    /// Returns the last layer's states of one text, `[tokens, hidden]`.
    pub(super) fn text(&self, ids: &[u32], segments: &[u32]) -> CandleResult<Tensor> {
        let device = self.words.device();
        let rows = |ids: &[u32]| Tensor::new(ids, device);
        let words = self.words.index_select(&rows(ids)?, 0)?;
        let segments = self.segments.index_select(&rows(segments)?, 0)?;
        let states = ((words + segments)? + self.positions.narrow(0, 0, ids.len())?)?;
        let mut states = self.embedding_norm.apply(&states)?;
        for layer in &self.layers {
            states = layer.apply(&states, self.sizes.heads)?;
        }
        Ok(states)
    }
}

impl Body for ReferenceBert {
    fn bytes(&self) -> usize {
        let BodySizes { hidden, layers, feed_forward, vocab, positions, .. } = self.sizes;
        let tables = (vocab + positions + 2) * hidden;
        let layer = 4 * hidden * (hidden + 1) + 2 * hidden * feed_forward + feed_forward + 5 * hidden;
        (tables + layers * layer) * size_of::<f32>()
    }

    fn forward(&self, texts: &PackedTexts, states: &mut Vec<f32>) -> Result<()> {
        states.clear();
        let mut start = 0;
        for &length in &texts.lengths {
            let (ids, segments) = (&texts.ids[start..start + length], &texts.type_ids[start..start + length]);
            let rows = |table: &Tensor| table.dim(0).map_err(ModelError::compute("embed"));
            let tables = [(ids, &self.words, "token id"), (segments, &self.segments, "segment id")];
            for (ids, table, what) in tables {
                let rows = rows(table)?;
                ids.iter().try_for_each(|&id| check_id(id as usize, rows, what).map(|_| ()))?;
            }
            check_id(length - 1, rows(&self.positions)?, "token position")?;
            let text = self.text(ids, segments).and_then(|states| states.flatten_all()?.to_vec1::<f32>());
            states.extend(text.map_err(ModelError::compute("forward"))?);
            start += length;
        }
        Ok(())
    }
}

impl Layer {
    fn apply(&self, states: &Tensor, heads: usize) -> CandleResult<Tensor> {
        let (tokens, hidden) = states.dims2()?;
        let split = |linear: &Linear| {
            linear.apply(states)?.reshape((tokens, heads, hidden / heads))?.transpose(0, 1)?.contiguous()
        };
        let (query, key, value) = (split(&self.query)?, split(&self.key)?, split(&self.value)?);
        let scores = (query.matmul(&key.t()?.contiguous()?)? * (1.0 / ((hidden / heads) as f64).sqrt()))?;
        let scores = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
        let weights = scores.broadcast_div(&scores.sum_keepdim(D::Minus1)?)?;
        let context = weights.matmul(&value)?.transpose(0, 1)?.reshape((tokens, hidden))?;
        let states = self.attention_norm.apply(&(self.attention_output.apply(&context)? + states)?)?;
        let inner = self.up.apply(&states)?.gelu_erf()?;
        self.output_norm.apply(&(self.down.apply(&inner)? + states)?)
    }
}

impl Linear {
    fn load(weights: LinearWeights, device: &Device) -> CandleResult<Self> {
        let shape = (weights.bias.len(), weights.inputs);
        Ok(Linear {
            weight: Tensor::from_vec(weights.weight, shape, device)?,
            bias: Tensor::from_vec(weights.bias, shape.0, device)?,
        })
    }

    fn apply(&self, rows: &Tensor) -> CandleResult<Tensor> {
        rows.matmul(&self.weight.t()?)?.broadcast_add(&self.bias)
    }
}

impl Norm {
    fn load(weights: NormWeights, epsilon: f32, device: &Device) -> CandleResult<Self> {
        let width = weights.weight.len();
        Ok(Norm {
            weight: Tensor::from_vec(weights.weight, width, device)?,
            bias: Tensor::from_vec(weights.bias, width, device)?,
            epsilon: f64::from(epsilon),
        })
    }

    fn apply(&self, rows: &Tensor) -> CandleResult<Tensor> {
        let centered = rows.broadcast_sub(&rows.mean_keepdim(D::Minus1)?)?;
        let variance = centered.sqr()?.mean_keepdim(D::Minus1)?;
        let scaled = centered.broadcast_div(&(variance + self.epsilon)?.sqrt()?)?;
        scaled.broadcast_mul(&self.weight)?.broadcast_add(&self.bias)
    }
}
