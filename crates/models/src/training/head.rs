//! The linear head on the pooled states, forward and backward.

use nightjar_kernels::gradient::{
    PANEL_OUTPUTS, add_weight_gradient, multiply_rows, pack_rows, packed_len, transpose_packed,
};
use rayon::prelude::*;

use super::frozen::Below;
use super::objective::Objective;
use super::part::{Part, sized};
use super::trainer::TrainingRow;
use crate::bert::{LinearPlace, PassContext};
use crate::random::SplitMix64;
use crate::{Pooling, Result};

/// The place of the head's dropout.
const DROPOUT_PLACE: usize = u32::MAX as usize;

/// The deviation of a new head's weights (BERT's `initializer_range`).
const INITIAL_DEVIATION: f64 = 0.02;

/// Gives a head its first weights: normally distributed ones, and zeros as biases.
pub(super) fn initialize(head: &LinearPlace, seed: u64, weights: &mut [f32]) {
    let mut random = SplitMix64::new(seed ^ 0x4845_4144);
    let packed = &mut weights[head.weight.clone()];
    for output in 0..head.outputs {
        let panel = &mut packed[output / PANEL_OUTPUTS * head.inputs * PANEL_OUTPUTS..];
        for input in 0..head.inputs {
            panel[input * PANEL_OUTPUTS + output % PANEL_OUTPUTS] =
                (INITIAL_DEVIATION * random.normal()) as f32;
        }
    }
}

/// What a pass of the head runs with.
pub(super) struct HeadContext<'a> {
    pass: PassContext<'a>,
    place: &'a LinearPlace,
    pooling: Pooling,
    objective: &'a Objective,
    /// The packed transpose of the weight.
    transposed: Vec<f32>,
}

impl<'a> HeadContext<'a> {
    pub(super) fn new(
        pass: PassContext<'a>,
        place: &'a LinearPlace,
        pooling: Pooling,
        objective: &'a Objective,
    ) -> Self {
        let mut transposed = vec![0.0; packed_len(place.inputs, place.outputs)];
        // Pairs have no head.
        if place.outputs > 0 {
            let weight = &pass.weights[place.weight.clone()];
            transpose_packed(weight, place.outputs, place.inputs, &mut transposed);
        }
        HeadContext { pass, place, pooling, objective, transposed }
    }

    /// Takes the parts through the encoder and the head, and back as far as the states; adds the gradients of the head's weights and
    /// returns the loss.
    pub(super) fn learn(
        &self,
        below: Below<'_>,
        rows: &[TrainingRow],
        total: f64,
        parts: &mut [Part],
        gradients: &mut [f32],
    ) -> Result<f64> {
        parts.par_iter_mut().with_max_len(1).try_for_each(|part| -> Result<()> {
            self.pass.forward(below, part)?;
            self.forward(part);
            self.backward(rows, total, part);
            Ok(())
        })?;
        self.add_gradients(parts, gradients);
        Ok(parts.iter().map(|part| part.head.loss).sum())
    }

    /// Pools the part's states and writes the head's outputs.
    pub(super) fn forward(&self, part: &mut Part) {
        let hidden = self.place.inputs;
        let pooled = sized(&mut part.head.pooled, part.texts.lengths.len() * hidden);
        let mut rest = part.states.as_slice();
        for (text, (&length, pooled)) in
            part.texts.lengths.iter().zip(pooled.chunks_exact_mut(hidden)).enumerate()
        {
            let (states, after) = rest.split_at(length * hidden);
            rest = after;
            self.pooling.pool(states, pooled);
            if let Some(noise) = self.pass.noise {
                noise.at(DROPOUT_PLACE, part.first + text).apply(self.pass.cpu, pooled);
            }
        }
        let weights = self.pass.weights;
        let (weight, bias) = (&weights[self.place.weight.clone()], &weights[self.place.bias.clone()]);
        let outputs = sized(&mut part.head.outputs, part.texts.lengths.len() * self.place.outputs);
        multiply_rows(self.pass.cpu, &part.head.pooled, hidden, weight, bias, self.place.outputs, outputs);
    }

    /// Replaces the outputs by their gradients and writes those of the states; `total` is what all rows of the batch weigh.
    fn backward(&self, rows: &[TrainingRow], total: f64, part: &mut Part) {
        let (hidden, first) = (self.place.inputs, part.first);
        let head = &mut part.head;
        head.loss = 0.0;
        for (text, outputs) in head.outputs.chunks_exact_mut(self.place.outputs).enumerate() {
            let target = &rows[first + text].target;
            let share = self.objective.weight(target) / total;
            head.loss += share * self.objective.loss(outputs, target);
            outputs.iter_mut().for_each(|gradient| *gradient *= share as f32);
        }
        let texts = part.texts.lengths.len();
        let of_pooled = sized(&mut part.scratch.wide, texts * hidden);
        multiply_rows(
            self.pass.cpu,
            &head.outputs,
            self.place.outputs,
            &self.transposed,
            &[],
            hidden,
            of_pooled,
        );
        let mut states = part.states.as_slice();
        let mut out = sized(&mut part.gradients.output, part.states.len());
        for (text, (&length, gradient)) in
            part.texts.lengths.iter().zip(of_pooled.chunks_exact_mut(hidden)).enumerate()
        {
            if let Some(noise) = self.pass.noise {
                noise.at(DROPOUT_PLACE, first + text).apply(self.pass.cpu, gradient);
            }
            let (of_text, after) = out.split_at_mut(length * hidden);
            let (of_states, later) = states.split_at(length * hidden);
            (out, states) = (after, later);
            self.pooling.unpool(of_states, gradient, of_text);
        }
    }

    /// Adds the gradients of the head's weights, summed over the parts, to `sums`, which is laid out as the head.
    fn add_gradients(&self, parts: &[Part], sums: &mut [f32]) {
        let LinearPlace { weight, inputs, outputs, .. } = self.place;
        let (of_weight, of_bias) = sums.split_at_mut(weight.len());
        let panels =
            of_weight.chunks_exact_mut(inputs * PANEL_OUTPUTS).zip(of_bias.chunks_mut(PANEL_OUTPUTS));
        let (mut scratch, mut packed) = (Vec::new(), vec![Vec::new(); parts.len()]);
        for (part, packed) in parts.iter().zip(&mut packed) {
            pack_rows(&part.head.pooled, *inputs, packed);
        }
        for (panel, (weight, bias)) in panels.enumerate() {
            for (part, packed) in parts.iter().zip(&packed) {
                let gradients = (part.head.outputs.as_slice(), *outputs);
                add_weight_gradient(self.pass.cpu, packed, gradients, panel, weight, bias, &mut scratch);
            }
        }
    }
}
