//! Low-rank additions to the products of an encoder, trained instead of its weights.
//!
//! A product with the weight `W` reads `W + alpha / rank · B · A`. Of the three parts of the attention's first product (query, key, value)
//! each has an A and a B of its own: together they are one A of three times the rank and a B whose blocks beside the diagonal are
//! and stay zero. Gradients of A and B are summed from `[tokens, rank]` matrices, so that of `W` is never made.
//!
//! Source: Hu et al. 2021, arXiv:2106.09685; first values as in PEFT.

use std::ops::Range;

use nightjar_kernels::Cpu;
use nightjar_kernels::gradient::{
    PANEL_OUTPUTS, add_weight_gradient, multiply_rows, pack_rows, packed_len, transpose_packed,
};
use rayon::prelude::*;

use super::part::{LowRankPass, Part, sized};
use crate::bert::{LinearPlace, OPERANDS, PassContext, Places};
use crate::random::SplitMix64;
use crate::{ModelError, Result};

/// What additions there are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoraOptions {
    /// Their rank, from 1.
    pub rank: usize,
    /// Their scale, times the rank.
    pub alpha: f32,
    /// Whether only the attention's products have one, or all.
    pub attention_only: bool,
}

/// The additions of an encoder.
#[derive(Debug)]
pub(crate) struct Lora {
    scale: f32,
    frozen: usize,
    /// Of each layer that is not frozen.
    pub(super) layers: Vec<Vec<Factors>>,
    /// The weights of the products without addition, one after the other.
    base: Vec<f32>,
}

/// The addition to one product.
#[derive(Debug)]
pub(super) struct Factors {
    /// The product, by its number in the layer.
    pub(super) product: usize,
    pub(super) place: LinearPlace,
    /// Parts with factors of their own.
    pub(super) blocks: usize,
    /// Of all parts together.
    pub(super) rank: usize,
    /// Where in the trainer's weights A stands: its transpose, packed, panels of `[rank, 48 inputs]`.
    pub(super) a: Range<usize>,
    /// Where B stands: packed, panels of `[rank, 48 outputs]`.
    pub(super) b: Range<usize>,
    /// The product's weight in `base`.
    base: Range<usize>,
}

impl Lora {
    /// Adds additions of nothing to `weights`: A is random, B is zero.
    pub(super) fn add(
        options: &LoraOptions,
        places: &Places,
        frozen: usize,
        seed: u64,
        weights: &mut Vec<f32>,
    ) -> Result<Self> {
        check(options, places, frozen)?;
        let mut random = SplitMix64::new(seed ^ 0x4c4f_5241);
        let mut lora = Lora {
            scale: options.alpha / options.rank as f32,
            frozen,
            layers: Vec::with_capacity(places.layers.len() - frozen),
            base: Vec::new(),
        };
        for layer in &places.layers[frozen..] {
            let products = layer.products().into_iter().enumerate();
            let products = products.take(if options.attention_only { 2 } else { 4 });
            let factors = products.map(|(product, place)| {
                let parts = places.linear_parts(product, place);
                let (rank, base) = (parts.len() * options.rank, lora.base.len());
                lora.base.extend_from_slice(&weights[place.weight.clone()]);
                let start = weights.len();
                let a = start..start + packed_len(place.inputs, rank);
                let b = a.end..a.end + packed_len(place.outputs, rank);
                weights.resize(b.end, 0.0);
                for (block, part) in parts.iter().enumerate() {
                    let ranks = block * options.rank..(block + 1) * options.rank;
                    initialize(&mut random, &part.inputs, rank, ranks, &mut weights[a.clone()]);
                }
                let base = base..lora.base.len();
                Factors { product, place: place.clone(), blocks: parts.len(), rank, a, b, base }
            });
            let factors = factors.collect();
            lora.layers.push(factors);
        }
        Ok(lora)
    }

    /// Returns where in the trainer's weights the factors stand.
    pub(super) fn numbers(&self) -> Range<usize> {
        let factors = || self.layers.iter().flatten();
        factors().map(|factors| factors.a.start).min().unwrap_or(0)
            ..factors().map(|factors| factors.b.end).max().unwrap_or(0)
    }

    /// Writes the products' weights with their additions, on all threads.
    pub(super) fn merge(&self, cpu: Cpu, weights: &mut [f32]) {
        let (encoder, factors) = weights.split_at_mut(self.numbers().start);
        let start = encoder.len();
        for Factors { place, rank, a, b, base, .. } in self.layers.iter().flatten() {
            let a = wide_rows(&factors[a.start - start..a.end - start], *rank, place.inputs);
            let (width, inputs) = (PANEL_OUTPUTS, place.inputs);
            let mut packed = Vec::new();
            pack_rows(&a, inputs, &mut packed);
            let panels = encoder[place.weight.clone()].par_chunks_exact_mut(width * inputs);
            let base = self.base[base.clone()].par_chunks_exact(width * inputs);
            let b = factors[b.start - start..b.end - start].par_chunks_exact(width * rank);
            panels.zip(base).zip(b).for_each_init(Vec::new, |scratch, ((panel, base), b)| {
                panel.copy_from_slice(base);
                let b: Vec<f32> = b.iter().map(|number| self.scale * number).collect();
                let unused = &mut [0.0; PANEL_OUTPUTS];
                add_weight_gradient(cpu, &packed, (&b, width), 0, panel, unused, scratch);
            });
        }
    }

    /// Adds the gradients of a layer's factors, summed over all parts, to `sums`, which ends with those of all factors.
    pub(super) fn add_layer_gradients(
        &self,
        pass: PassContext<'_>,
        layer: usize,
        parts: &mut [Part],
        sums: &mut [f32],
    ) {
        let factors = &self.layers[layer - self.frozen];
        self.narrow(pass, layer, factors, parts);
        // Of the run that begins with the first trained number.
        let before = pass.weights.len() - sums.len();
        let mut panels = Vec::new();
        let mut rest = factors.first().map_or(&mut [][..], |first| &mut sums[first.a.start - before..]);
        for (addition, factors) in factors.iter().enumerate() {
            for (side, numbers) in [(Side::A, &factors.a), (Side::B, &factors.b)] {
                let (of_side, behind) = rest.split_at_mut(numbers.len());
                rest = behind;
                let chunks = of_side.chunks_exact_mut(factors.rank * PANEL_OUTPUTS).enumerate();
                panels.extend(chunks.map(|(panel, sums)| PanelSums { addition, factors, side, panel, sums }));
            }
        }
        let parts = &*parts;
        panels.into_par_iter().with_max_len(1).for_each_init(Vec::new, |scratch, mut panel| {
            parts.iter().for_each(|part| panel.add(pass.cpu, layer, part, scratch));
            panel.clear_beside_diagonal();
        });
    }

    /// Takes the inputs of a layer's products through A, and the gradients of their outputs through B.
    fn narrow(&self, pass: PassContext<'_>, layer: usize, factors: &[Factors], parts: &mut [Part]) {
        let transposed = |numbers: &Range<usize>, wide: usize, rank: usize| {
            let mut to = vec![0.0; packed_len(rank, wide)];
            transpose_packed(&pass.weights[numbers.clone()], wide, rank, &mut to);
            to.iter_mut().for_each(|number| *number *= self.scale);
            to
        };
        let transposes: Vec<_> = factors
            .par_iter()
            .map(|Factors { place, rank, a, b, .. }| {
                (transposed(a, place.inputs, *rank), transposed(b, place.outputs, *rank))
            })
            .collect();
        parts.par_iter_mut().with_max_len(1).for_each(|part| {
            let tokens = part.tokens();
            let Part { layers, gradients, low_rank, .. } = part;
            low_rank.resize_with(factors.len(), LowRankPass::default);
            for ((factors, (a, b)), to) in factors.iter().zip(&transposes).zip(low_rank) {
                let Factors { place, rank, product, .. } = factors;
                let (inputs, outputs) = OPERANDS[*product](&layers[layer], gradients);
                let numbers = tokens * rank;
                multiply_rows(pass.cpu, inputs, place.inputs, a, &[], *rank, sized(&mut to.inputs, numbers));
                multiply_rows(
                    pass.cpu,
                    outputs,
                    place.outputs,
                    b,
                    &[],
                    *rank,
                    sized(&mut to.outputs, numbers),
                );
            }
        });
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    A,
    B,
}

/// The gradient of one panel of a factor, `[rank, 48]`.
struct PanelSums<'a> {
    /// The addition, by its number in the layer.
    addition: usize,
    factors: &'a Factors,
    side: Side,
    panel: usize,
    sums: &'a mut [f32],
}

impl PanelSums<'_> {
    fn add(&mut self, cpu: Cpu, layer: usize, part: &Part, scratch: &mut Vec<f32>) {
        let Factors { place, rank, product, .. } = self.factors;
        let (inputs, outputs) = OPERANDS[*product](&part.layers[layer], &part.gradients);
        let low_rank = &part.low_rank[self.addition];
        let (narrow, wide, width) = match self.side {
            Side::A => (&low_rank.outputs, inputs, place.inputs),
            Side::B => (&low_rank.inputs, outputs, place.outputs),
        };
        let columns = (width - self.panel * PANEL_OUTPUTS).min(PANEL_OUTPUTS);
        let unused = &mut [0.0; PANEL_OUTPUTS][..columns];
        let mut packed = Vec::new();
        pack_rows(narrow, *rank, &mut packed);
        add_weight_gradient(cpu, &packed, (wide, width), self.panel, self.sums, unused, scratch);
    }

    /// Sets what joins the rank of one part with the outputs of another to zero.
    fn clear_beside_diagonal(&mut self) {
        let Factors { place, rank, blocks, .. } = self.factors;
        if self.side == Side::A || *blocks == 1 {
            return;
        }
        for (number, row) in self.sums.chunks_exact_mut(PANEL_OUTPUTS).enumerate() {
            for (column, sum) in row.iter_mut().enumerate() {
                let output = self.panel * PANEL_OUTPUTS + column;
                if output / (place.outputs / blocks) != number / (rank / blocks) {
                    *sum = 0.0;
                }
            }
        }
    }
}

fn check(options: &LoraOptions, places: &Places, frozen: usize) -> Result<()> {
    let invalid =
        |option, value: String, expected| Err(ModelError::OptionInvalid { option, value, expected });
    if options.rank == 0 {
        return invalid("lora_rank", options.rank.to_string(), "at least 1");
    }
    if !(options.alpha.is_finite() && options.alpha > 0.0) {
        return invalid("lora_alpha", options.alpha.to_string(), "a finite number above 0");
    }
    if frozen >= places.layers.len() {
        return invalid("freeze_layers", frozen.to_string(), "fewer than the model's layers");
    }
    Ok(())
}

/// Writes some rows of A: uniform between plus and minus the root of 1 over the inputs, where `inputs` are and not where heads are filled up.
fn initialize(
    random: &mut SplitMix64,
    inputs: &[usize],
    rank: usize,
    ranks: Range<usize>,
    packed: &mut [f32],
) {
    let bound = 1.0 / (inputs.len() as f64).sqrt();
    for number in ranks {
        for input in inputs {
            let (panel, column) = (input / PANEL_OUTPUTS, input % PANEL_OUTPUTS);
            packed[(panel * rank + number) * PANEL_OUTPUTS + column] =
                (bound * (2.0 * random.uniform() - 1.0)) as f32;
        }
    }
}

/// Returns a packed factor as `[rank, wide]`.
pub(super) fn wide_rows(packed: &[f32], rank: usize, wide: usize) -> Vec<f32> {
    let mut rows = vec![0.0; rank * wide];
    for (panel, from) in packed.chunks_exact(rank * PANEL_OUTPUTS).enumerate() {
        for (from, row) in from.chunks_exact(PANEL_OUTPUTS).zip(rows.chunks_exact_mut(wide)) {
            let to = row[panel * PANEL_OUTPUTS..].iter_mut().take(PANEL_OUTPUTS);
            to.zip(from).for_each(|(to, from)| *to = *from);
        }
    }
    rows
}
