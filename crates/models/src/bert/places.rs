//! Where a BERT's trained tensors lie in one run of numbers.

use std::ops::Range;

use nightjar_kernels::Heads;
use nightjar_kernels::gradient::{pack_weight, packed_len};

use super::packed::{LANES, fill_up_inputs, side_by_side};
use super::weights::{BertWeights, LinearWeights, NormWeights};
use crate::Result;
use crate::architecture::Trainable;
use crate::spec::BodySizes;

/// A linear layer: its packed weight and its bias.
#[derive(Debug, Clone)]
pub(crate) struct LinearPlace {
    pub(crate) weight: Range<usize>,
    pub(crate) bias: Range<usize>,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
}

/// A layer norm.
#[derive(Debug, Clone)]
pub(crate) struct NormPlace {
    pub(crate) weight: Range<usize>,
    pub(crate) bias: Range<usize>,
}

/// A layer, its tensors in this order without gaps.
#[derive(Debug, Clone)]
pub(crate) struct LayerPlace {
    pub(crate) qkv: LinearPlace,
    pub(crate) attention_output: LinearPlace,
    pub(crate) attention_norm: NormPlace,
    pub(crate) up: LinearPlace,
    pub(crate) down: LinearPlace,
    pub(crate) output_norm: NormPlace,
}

impl LayerPlace {
    /// Returns the whole layer.
    pub(crate) fn all(&self) -> Range<usize> {
        self.qkv.weight.start..self.output_norm.bias.end
    }

    /// Returns the products in their order.
    pub(crate) fn products(&self) -> [&LinearPlace; 4] {
        [&self.qkv, &self.attention_output, &self.up, &self.down]
    }
}

/// A BERT whose tensors lie in one run of numbers, the word table apart.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) sizes: BodySizes,
    pub(crate) heads: Heads,
    pub(crate) epsilon: f32,
    pub(crate) positions: Range<usize>,
    pub(crate) segments: Range<usize>,
    pub(crate) embedding_norm: NormPlace,
    pub(crate) layers: Vec<LayerPlace>,
}

/// Tensors read one after the other.
#[derive(Default)]
struct Filling {
    numbers: Vec<f32>,
}

impl Filling {
    fn add(&mut self, numbers: &[f32]) -> Range<usize> {
        let start = self.numbers.len();
        self.numbers.extend_from_slice(numbers);
        start..self.numbers.len()
    }

    fn add_linear(&mut self, linear: &LinearWeights) -> LinearPlace {
        let (outputs, inputs) = (linear.bias.len(), linear.inputs);
        let start = self.numbers.len();
        self.numbers.resize(start + packed_len(outputs, inputs), 0.0);
        pack_weight(&linear.weight, inputs, &mut self.numbers[start..]);
        let weight = start..self.numbers.len();
        LinearPlace { weight, bias: self.add(&linear.bias), inputs, outputs }
    }

    fn add_norm(&mut self, norm: &NormWeights) -> NormPlace {
        NormPlace { weight: self.add(&norm.weight), bias: self.add(&norm.bias) }
    }
}

impl Places {
    /// Returns the tensors, read one after the other.
    pub(super) fn load(weights: &BertWeights<'_>) -> Result<Trainable> {
        let sizes = weights.sizes;
        let scaled_width = sizes.hidden / sizes.heads;
        let heads = Heads { count: sizes.heads, width: scaled_width.next_multiple_of(LANES), scaled_width };
        let tables = weights.tables()?;
        let mut filling = Filling::default();
        let (positions, segments) = (filling.add(&tables.positions), filling.add(&tables.segments));
        let embedding_norm = filling.add_norm(&weights.embedding_norm()?);
        let mut layers = Vec::with_capacity(sizes.layers);
        for layer in 0..sizes.layers {
            let layer = weights.layer(layer)?;
            layers.push(LayerPlace {
                qkv: filling.add_linear(&side_by_side(&layer, heads)),
                attention_output: filling.add_linear(&fill_up_inputs(&layer.attention_output, heads)),
                attention_norm: filling.add_norm(&layer.attention_norm),
                up: filling.add_linear(&layer.up),
                down: filling.add_linear(&layer.down),
                output_norm: filling.add_norm(&layer.output_norm),
            });
        }
        let epsilon = weights.epsilon;
        let places = Places { sizes, heads, epsilon, positions, segments, embedding_norm, layers };
        Ok(Trainable { places, numbers: filling.numbers, words: tables.words })
    }
}
