//! A part of a batch: texts that one thread takes through the encoder and back.

use std::ops::Range;

use nightjar_kernels::AttentionScratch;
use nightjar_kernels::gradient::{AttentionGradientScratch, Dropout, RowScale};

use super::trainer::TrainingRow;
use crate::architecture::PackedTexts;
use crate::random::SplitMix64;

/// The dropout of one step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noise {
    pub(crate) rate: f32,
    /// Names run, shard and step.
    pub(crate) seed: u64,
}

impl Noise {
    /// Returns the dropout of a text, by its number in the batch, at a place of the network.
    pub(crate) fn at(self, place: usize, text: usize) -> Dropout {
        let name = (place as u64) << 32 | text as u64;
        Dropout::new(self.rate, SplitMix64::new(self.seed ^ name.wrapping_mul(0x9e37_79b9_7f4a_7c15)).next())
    }
}

/// Texts of a batch with what the backward pass needs of them. All matrices are `[tokens, …]` but for those of the head.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub(crate) texts: PackedTexts,
    /// The number of the first text in its batch; the others follow.
    pub(crate) first: usize,
    /// The input of the embeddings' norm, replaced on the way back as [`LayerPass`]'s are.
    pub(crate) embedded: Vec<f32>,
    pub(crate) embedded_scales: Vec<RowScale>,
    /// Those of frozen layers are not kept.
    pub(crate) layers: Vec<LayerPass>,
    /// Whether the states below the trained layers were read and not computed.
    pub(crate) is_stored: bool,
    /// The states after the last layer that has run.
    pub(crate) states: Vec<f32>,
    pub(crate) gradients: Gradients,
    pub(crate) head: HeadPass,
    /// Of each addition to the layer that is on its way back.
    pub(crate) low_rank: Vec<LowRankPass>,
    pub(crate) scratch: PartScratch,
}

/// What a layer keeps of its forward pass.
#[derive(Debug, Default)]
pub(crate) struct LayerPass {
    pub(crate) input: Vec<f32>,
    pub(crate) qkv: Vec<f32>,
    pub(crate) context: Vec<f32>,
    /// The input of the attention's norm; on the way back the normalised values times their gradients.
    pub(crate) attention_sum: Vec<f32>,
    pub(crate) attention_scales: Vec<RowScale>,
    /// The output of the attention's norm.
    pub(crate) middle: Vec<f32>,
    /// The input of GELU; on the way back its output.
    pub(crate) inner: Vec<f32>,
    /// The input of the output's norm; on the way back as `attention_sum`.
    pub(crate) output_sum: Vec<f32>,
    pub(crate) output_scales: Vec<RowScale>,
}

/// The gradients of one layer's matrices on the way back.
#[derive(Debug, Default)]
pub(crate) struct Gradients {
    /// Of the layer's output.
    pub(crate) output: Vec<f32>,
    /// Of the output of the layer's last product.
    pub(crate) down: Vec<f32>,
    pub(crate) inner: Vec<f32>,
    pub(crate) middle: Vec<f32>,
    /// Of the output of the product behind the attention.
    pub(crate) attention: Vec<f32>,
    pub(crate) qkv: Vec<f32>,
    /// Of the layer's input.
    pub(crate) input: Vec<f32>,
    /// Not gradients but what the weights' gradients are made of beside them: the inputs of the four products, packed.
    pub(crate) rows: [Vec<f32>; 4],
}

/// What the head keeps: `[texts, …]`.
#[derive(Debug, Default)]
pub(crate) struct HeadPass {
    /// Pooled states, after dropout.
    pub(crate) pooled: Vec<f32>,
    /// The head's outputs, then their gradients.
    pub(crate) outputs: Vec<f32>,
    /// The sum of the texts' weighted losses.
    pub(crate) loss: f64,
}

/// What the gradients of a low-rank addition are made of, `[tokens, rank]`, both times its scale.
#[derive(Debug, Default)]
pub(crate) struct LowRankPass {
    /// The product's inputs through A.
    pub(crate) inputs: Vec<f32>,
    /// The gradients of its outputs, back through B.
    pub(crate) outputs: Vec<f32>,
}

/// Memory to be used again.
#[derive(Debug, Default)]
pub(crate) struct PartScratch {
    pub(crate) attention: AttentionScratch,
    pub(crate) attention_gradient: AttentionGradientScratch,
    pub(crate) wide: Vec<f32>,
    pub(crate) dropout: Vec<Dropout>,
    pub(crate) bytes: Vec<u8>,
}

impl Part {
    /// Returns the number of tokens.
    pub(crate) fn tokens(&self) -> usize {
        self.texts.ids.len()
    }

    /// Replaces the texts by these rows of a batch; memory stays.
    pub(crate) fn fill(&mut self, rows: &[TrainingRow], texts: Range<usize>) {
        let PackedTexts { ids, type_ids, lengths } = &mut self.texts;
        ids.clear();
        type_ids.clear();
        lengths.clear();
        self.first = texts.start;
        for row in &rows[texts] {
            ids.extend_from_slice(&row.ids);
            type_ids.extend((0..row.ids.len()).map(|token| u32::from(token >= row.first_tokens)));
            lengths.push(row.ids.len());
        }
    }
}

/// Makes as many parts as a chunk has, each with its texts.
pub(super) fn deal(rows: &[TrainingRow], chunk: &[Range<usize>], parts: &mut Vec<Part>) {
    parts.truncate(chunk.len());
    parts.resize_with(chunk.len(), Part::default);
    for (part, texts) in parts.iter_mut().zip(chunk) {
        part.fill(rows, texts.clone());
    }
}

/// Returns `memory` with `len` numbers, whose values are left from before.
pub(crate) fn sized<T: Copy + Default>(memory: &mut Vec<T>, len: usize) -> &mut [T] {
    memory.resize(len, T::default());
    memory
}

/// Calls `run` with the number of each text in the batch and its rows of `width` numbers.
pub(crate) fn each_text<'a>(
    lengths: &[usize],
    first: usize,
    width: usize,
    mut rows: &'a mut [f32],
    mut run: impl FnMut(usize, &'a mut [f32]),
) {
    for (text, &length) in lengths.iter().enumerate() {
        let (of_text, rest) = rows.split_at_mut(length * width);
        run(first + text, of_text);
        rows = rest;
    }
}
