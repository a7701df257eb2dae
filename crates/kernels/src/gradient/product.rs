//! The products of a linear layer and of its gradients, in f32.
//!
//! Weights are kept packed in panels of 48 outputs, `[outputs / 48, inputs, 48]`, the last panel filled up with zeros: the forward
//! product reads them so, gradients have the same layout, and the optimizer does not care. The gradient of a layer's inputs is
//! a product with the transposed weight, packed likewise once a step.

use crate::level::{Cpu, Kernel, Level};
use crate::tile::{BAND, LANES, PANEL, Words, multiply};

/// Outputs of a panel.
pub const PANEL_OUTPUTS: usize = PANEL;

/// Returns the numbers of a packed weight.
pub fn packed_len(outputs: usize, inputs: usize) -> usize {
    outputs.div_ceil(PANEL) * PANEL * inputs
}

/// Writes `weight`, `[outputs, inputs]` in row-major order, to `packed`.
///
/// # Panics
/// Where the sizes do not agree; so do the other functions here.
pub fn pack_weight(weight: &[f32], inputs: usize, packed: &mut [f32]) {
    assert_eq!(packed.len(), packed_len(weight.len() / inputs, inputs), "the packed weight's size");
    for (panel, rows) in packed.chunks_exact_mut(inputs * PANEL).zip(weight.chunks(PANEL * inputs)) {
        panel.fill(0.0);
        for (output, row) in rows.chunks_exact(inputs).enumerate() {
            panel[output..].iter_mut().step_by(PANEL).zip(row).for_each(|(to, &from)| *to = from);
        }
    }
}

/// Writes a packed weight to `weight`, `[outputs, inputs]` in row-major order.
pub fn unpack_weight(packed: &[f32], inputs: usize, weight: &mut [f32]) {
    assert_eq!(packed.len(), packed_len(weight.len() / inputs, inputs), "the packed weight's size");
    for (panel, rows) in packed.chunks_exact(inputs * PANEL).zip(weight.chunks_mut(PANEL * inputs)) {
        for (output, row) in rows.chunks_exact_mut(inputs).enumerate() {
            panel[output..].iter().step_by(PANEL).zip(row).for_each(|(&from, to)| *to = from);
        }
    }
}

/// Writes the packed transpose of a packed weight: from `outputs` by `inputs` to `inputs` by `outputs`.
pub fn transpose_packed(packed: &[f32], outputs: usize, inputs: usize, transposed: &mut [f32]) {
    assert_eq!(packed.len(), packed_len(outputs, inputs), "the packed weight's size");
    assert_eq!(transposed.len(), packed_len(inputs, outputs), "the transposed weight's size");
    for (to_panel, to) in transposed.chunks_exact_mut(outputs * PANEL).enumerate() {
        let first = to_panel * PANEL;
        let width = (inputs - first).min(PANEL);
        for (panel, to) in packed.chunks_exact(inputs * PANEL).zip(to.chunks_mut(PANEL * PANEL)) {
            let from = &panel[first * PANEL..][..width * PANEL];
            for (output, to) in to.chunks_exact_mut(PANEL).enumerate() {
                for (input, to) in to.iter_mut().enumerate() {
                    *to = if input < width { from[input * PANEL + output] } else { 0.0 };
                }
            }
        }
    }
}

/// Writes `rows · weightᵀ + bias` to `out`, `[rows, outputs]`; a bias that is empty counts as zeros.
pub fn multiply_rows(
    cpu: Cpu,
    rows: &[f32],
    inputs: usize,
    packed: &[f32],
    bias: &[f32],
    outputs: usize,
    out: &mut [f32],
) {
    let count = rows.len() / inputs;
    assert!(rows.len() == count * inputs && out.len() == count * outputs, "the sizes of a product");
    assert_eq!(packed.len(), packed_len(outputs, inputs), "the packed weight's size");
    assert!(bias.is_empty() || bias.len() == outputs, "the bias's size");
    cpu.run(Multiply { rows, inputs, packed, bias, outputs, out });
}

struct Multiply<'a> {
    rows: &'a [f32],
    inputs: usize,
    packed: &'a [f32],
    bias: &'a [f32],
    outputs: usize,
    out: &'a mut [f32],
}

impl Kernel for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Level>(self) {
        let Multiply { rows, inputs, packed, bias, outputs, out } = self;
        let count = rows.len() / inputs;
        let mut tile = [0u32; BAND * PANEL];
        let mut filled = [0.0f32; PANEL];
        for (panel, weights) in packed.chunks_exact(inputs * PANEL).enumerate() {
            let first_output = panel * PANEL;
            let width = (outputs - first_output).min(PANEL);
            if !bias.is_empty() {
                filled[..width].copy_from_slice(&bias[first_output..][..width]);
            }
            let weights = Words { start: weights.as_ptr().cast(), stride: PANEL };
            for first in (0..count).step_by(BAND) {
                let band = (count - first).min(BAND);
                let words = Words { start: rows[first * inputs..].as_ptr().cast(), stride: inputs };
                // SAFETY: `run` is compiled for the level's instructions; there are `band` rows of `inputs` numbers, and a
                // panel has `inputs` rows of PANEL numbers.
                unsafe {
                    multiply::<L::F32, false>(words, weights, [band, PANEL, inputs], &mut tile, PANEL);
                }
                for (row, sums) in tile.chunks_exact(PANEL).take(band).enumerate() {
                    let out = &mut out[(first + row) * outputs + first_output..][..width];
                    store(sums, &filled, out);
                }
            }
        }
    }
}

/// Writes sums with their bias.
#[inline(always)]
fn store(sums: &[u32], bias: &[f32; PANEL], out: &mut [f32]) {
    let (sums, bias) = (sums.as_chunks::<LANES>().0, bias.as_chunks::<LANES>().0);
    for ((out, sums), bias) in out.chunks_mut(LANES).zip(sums).zip(bias) {
        let mut numbers = [0.0; LANES];
        for lane in 0..LANES {
            numbers[lane] = f32::from_bits(sums[lane]) + bias[lane];
        }
        match out.first_chunk_mut::<LANES>() {
            Some(out) => *out = numbers,
            None => out.copy_from_slice(&numbers[..out.len()]),
        }
    }
}

/// Writes a layer's inputs, `[rows, inputs]`, to `packed` as [`add_weight_gradient`] reads them: strips of 8 inputs,
/// `[inputs / 8, rows, 8]`, the last one filled up with zeros.
pub fn pack_rows(rows: &[f32], inputs: usize, packed: &mut Vec<f32>) {
    let count = rows.len() / inputs;
    packed.resize(count * inputs.next_multiple_of(BAND), 0.0);
    for (strip, out) in packed.chunks_exact_mut((count * BAND).max(1)).enumerate() {
        let first = strip * BAND;
        let width = (inputs - first).min(BAND);
        for (row, out) in rows.chunks_exact(inputs).zip(out.as_chunks_mut::<BAND>().0) {
            match row[first..].first_chunk::<BAND>() {
                Some(whole) => *out = *whole,
                None => {
                    out[..width].copy_from_slice(&row[first..]);
                    out[width..].fill(0.0);
                }
            }
        }
    }
}

/// Adds a layer's weight and bias gradients for the outputs of one panel: `gradientsᵀ · rows`, and the sum of the gradients.
///
/// `packed` are the layer's inputs as [`pack_rows`] writes them, and `gradients` those of its outputs, `[rows, outputs]`. `weight` is the
/// panel of the packed gradient, `[inputs, 48]`, and `bias` the panel's part, at most 48. Sums run along the rows in their order.
/// `scratch` is memory to be used again.
pub fn add_weight_gradient(
    cpu: Cpu,
    packed: &[f32],
    (gradients, outputs): (&[f32], usize),
    panel: usize,
    weight: &mut [f32],
    bias: &mut [f32],
    scratch: &mut Vec<f32>,
) {
    let (count, inputs) = (gradients.len() / outputs, weight.len() / PANEL);
    assert!(
        gradients.len() == count * outputs && packed.len() == count * inputs.next_multiple_of(BAND),
        "the sizes of a weight gradient"
    );
    assert_eq!(weight.len(), inputs * PANEL, "the panel's size");
    assert!(panel * PANEL + bias.len() <= outputs && bias.len() <= PANEL, "the panel's outputs");
    if count > 0 {
        scratch.resize(count * PANEL, 0.0);
        cpu.run(WeightGradient { packed, gradients, outputs, panel, weight, bias, scratch });
    }
}

struct WeightGradient<'a> {
    packed: &'a [f32],
    gradients: &'a [f32],
    outputs: usize,
    panel: usize,
    weight: &'a mut [f32],
    bias: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl Kernel for WeightGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Level>(self) {
        let WeightGradient { packed, gradients, outputs, panel, weight, bias, scratch } = self;
        let width = bias.len();
        for (row, to) in gradients.chunks_exact(outputs).zip(scratch.chunks_exact_mut(PANEL)) {
            let row = &row[panel * PANEL..][..width];
            to[..width].copy_from_slice(row);
            to[width..].fill(0.0);
            bias.iter_mut().zip(row).for_each(|(sum, gradient)| *sum += gradient);
        }
        let depth = scratch.len() / PANEL;
        let columns = Words { start: scratch.as_ptr().cast(), stride: PANEL };
        let mut tile = [0u32; BAND * PANEL];
        for (strip, out) in packed.chunks_exact(depth * BAND).zip(weight.chunks_mut(BAND * PANEL)) {
            let words = Words { start: strip.as_ptr().cast(), stride: BAND };
            let height = out.len() / PANEL;
            // SAFETY: `run` is compiled for the level's instructions; a strip has `depth` rows of BAND numbers, and `scratch` as many of PANEL.
            unsafe { multiply::<L::F32, true>(words, columns, [height, PANEL, depth], &mut tile, PANEL) };
            // One flat loop: nested ones of constant length become gathers across vectors.
            out.iter_mut().zip(&tile).for_each(|(out, sum)| *out += f32::from_bits(*sum));
        }
    }
}
