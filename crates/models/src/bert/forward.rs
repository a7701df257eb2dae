//! BERT's forward pass in training: dropout, and what the backward pass needs is kept.

use nightjar_kernels::Cpu;
use nightjar_kernels::gradient::{Dropout, attend_and_drop, gelu_rows, multiply_rows, normalize_rows};

use super::lookup::{add_embeddings, check_id};
use super::places::{LayerPlace, LinearPlace, NormPlace, Places};
use crate::Result;
use crate::training::{Below, LayerPass, Noise, Part, PartScratch, WordTable, each_text, sized};

/// What a pass runs with.
#[derive(Clone, Copy)]
pub(crate) struct PassContext<'a> {
    pub(crate) cpu: Cpu,
    pub(crate) places: &'a Places,
    pub(crate) weights: &'a [f32],
    /// None keeps every number: validation.
    pub(crate) noise: Option<Noise>,
}

/// The place of a layer's first dropout; the embeddings' is 0.
pub(super) fn dropout_place(layer: usize) -> usize {
    1 + 3 * layer
}

impl PassContext<'_> {
    /// Runs the part's texts through all layers, or above what is stored of them; their states are left in `part.states`.
    pub(crate) fn forward(&self, below: Below<'_>, part: &mut Part) -> Result<()> {
        part.is_stored = below.stored.is_some_and(|stored| stored.read(part));
        if !part.is_stored {
            self.below(below, part)?;
        }
        let layers = self.places.layers.len();
        part.layers.resize_with(layers, LayerPass::default);
        for layer in below.frozen..layers {
            self.layer(layer, layer, part);
        }
        Ok(())
    }

    /// Runs the part's texts through the embeddings and the frozen layers, without dropout if there are any.
    pub(crate) fn below(&self, below: Below<'_>, part: &mut Part) -> Result<()> {
        let noise = if below.frozen == 0 { self.noise } else { None };
        let pass = PassContext { noise, ..*self };
        pass.embed(below.words, part)?;
        part.layers.resize_with(self.places.layers.len(), LayerPass::default);
        // No way leads back through them, so one place serves all.
        (0..below.frozen).for_each(|layer| pass.layer(layer, 0, part));
        Ok(())
    }

    fn embed(&self, words: &WordTable, part: &mut Part) -> Result<()> {
        let Places { sizes, positions, segments, embedding_norm, .. } = self.places;
        let hidden = sizes.hidden;
        let (positions, segments) = (&self.weights[positions.clone()], &self.weights[segments.clone()]);
        let tokens = part.tokens();
        let word = |id: u32| Ok(words.row(check_id(id as usize, words.words(), "token id")? as u32));
        add_embeddings(
            &part.texts,
            hidden,
            positions,
            segments,
            word,
            sized(&mut part.embedded, tokens * hidden),
        )?;
        let scales = sized(&mut part.embedded_scales, tokens);
        let states = sized(&mut part.states, tokens * hidden);
        normalize_rows(self.cpu, self.norm(embedding_norm), &part.embedded, states, scales);
        if let Some(noise) = self.noise {
            each_text(&part.texts.lengths, part.first, hidden, states, |text, rows| {
                noise.at(0, text).apply(self.cpu, rows);
            });
        }
        Ok(())
    }

    /// Runs a layer; what the way back needs is kept as that of the layer `kept`.
    fn layer(&self, layer: usize, kept: usize, part: &mut Part) {
        let place: &LayerPlace = &self.places.layers[layer];
        let (heads, hidden, tokens) = (self.places.heads, self.places.sizes.hidden, part.tokens());
        let Part { texts, first, layers, states, scratch, .. } = part;
        let PartScratch { attention, wide, dropout, .. } = scratch;
        let pass = &mut layers[kept];
        std::mem::swap(&mut pass.input, states);
        self.product(&place.qkv, &pass.input, &mut pass.qkv);
        self.attention_dropout(layer, (&texts.lengths, *first), dropout);
        let context = sized(&mut pass.context, tokens * heads.count * heads.width);
        attend_and_drop(self.cpu, &pass.qkv, &texts.lengths, heads, dropout, context, attention);
        self.product(&place.attention_output, &pass.context, &mut pass.attention_sum);
        self.add_residual(
            dropout_place(layer) + 1,
            (&texts.lengths, *first),
            &mut pass.attention_sum,
            &pass.input,
        );
        let (middle, scales) =
            (sized(&mut pass.middle, tokens * hidden), sized(&mut pass.attention_scales, tokens));
        normalize_rows(self.cpu, self.norm(&place.attention_norm), &pass.attention_sum, middle, scales);
        self.product(&place.up, &pass.middle, &mut pass.inner);
        gelu_rows(self.cpu, &pass.inner, sized(wide, pass.inner.len()));
        self.product(&place.down, wide, &mut pass.output_sum);
        self.add_residual(
            dropout_place(layer) + 2,
            (&texts.lengths, *first),
            &mut pass.output_sum,
            &pass.middle,
        );
        let (out, scales) = (sized(states, tokens * hidden), sized(&mut pass.output_scales, tokens));
        normalize_rows(self.cpu, self.norm(&place.output_norm), &pass.output_sum, out, scales);
    }

    /// Replaces `dropout` by that of each text's attention weights; none without noise.
    pub(super) fn attention_dropout(
        &self,
        layer: usize,
        (lengths, first): (&[usize], usize),
        dropout: &mut Vec<Dropout>,
    ) {
        dropout.clear();
        if let Some(noise) = self.noise {
            dropout.extend((0..lengths.len()).map(|text| noise.at(dropout_place(layer), first + text)));
        }
    }

    /// Writes the product of `rows` with a layer's weight, its bias added.
    pub(super) fn product(&self, place: &LinearPlace, rows: &[f32], out: &mut Vec<f32>) {
        let out = sized(out, rows.len() / place.inputs * place.outputs);
        let (weight, bias) = (&self.weights[place.weight.clone()], &self.weights[place.bias.clone()]);
        multiply_rows(self.cpu, rows, place.inputs, weight, bias, place.outputs, out);
    }

    fn norm(&self, place: &NormPlace) -> (&[f32], &[f32], f32) {
        (&self.weights[place.weight.clone()], &self.weights[place.bias.clone()], self.places.epsilon)
    }

    /// Adds the residual to the numbers that dropout leaves.
    fn add_residual(
        &self,
        place: usize,
        (lengths, first): (&[usize], usize),
        numbers: &mut [f32],
        mut residual: &[f32],
    ) {
        let Some(noise) = self.noise else {
            return numbers.iter_mut().zip(residual).for_each(|(number, residual)| *number += residual);
        };
        each_text(lengths, first, self.places.sizes.hidden, numbers, |text, rows| {
            let (of_text, rest) = residual.split_at(rows.len());
            noise.at(place, text).apply_and_add(self.cpu, rows, of_text);
            residual = rest;
        });
    }
}
