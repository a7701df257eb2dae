//! Weights in the layout that the products read, made once when a model is loaded.

use crate::bf16::Bf16;
use crate::buffer::Buffer;
use crate::element::Element;
use crate::precision::Precision;
use crate::tile::{LANES, PANEL, Words};

/// A weight matrix cut into panels of [`PANEL`] outputs. Within a panel the words of all its outputs at one depth lie
/// side by side; outputs and depths beyond the matrix are zeros.
#[derive(Debug, Clone)]
pub(crate) struct Panels {
    words: Buffer,
    /// Words of depth.
    depth: usize,
    count: usize,
    precision: Precision,
    /// For int8, one for each output, panels filled up: what a unit of its weights is worth.
    scales: Vec<f32>,
    /// For int8, one for each output, panels filled up: the sum of its weights.
    sums: Vec<i32>,
}

impl Panels {
    /// Returns the matrix `weight`, `[outputs, inputs]` in row-major order.
    pub(crate) fn pack(weight: &[f32], inputs: usize, precision: Precision) -> Self {
        let outputs = weight.len() / inputs;
        let group = group(precision);
        let (depth, count) = (inputs.div_ceil(group), outputs.div_ceil(PANEL));
        let mut panels = Panels {
            words: Buffer::zeros(count * depth * PANEL),
            depth,
            count,
            precision,
            scales: vec![0.0; count * PANEL],
            sums: vec![0; count * PANEL],
        };
        let mut bytes = vec![0; inputs];
        for (output, row) in weight.chunks_exact(inputs).enumerate() {
            let first = output / PANEL * depth * PANEL + output % PANEL;
            let words = panels.words.words_mut()[first..].iter_mut().step_by(PANEL);
            match precision {
                Precision::F32 => words.zip(row.chunks(group)).for_each(|(word, row)| *word = f32::word(row)),
                Precision::Bf16 => words.zip(row.chunks(group)).for_each(|(word, row)| {
                    let pair = [row[0], row.get(1).copied().unwrap_or(0.0)].map(Bf16::of);
                    *word = Bf16::word(&pair);
                }),
                Precision::Int8 => {
                    panels.scales[output] = quantize_channel(row, &mut bytes);
                    panels.sums[output] = bytes.iter().map(|&byte| i32::from(byte)).sum();
                    words.zip(bytes.chunks(group)).for_each(|(word, bytes)| {
                        let mut quad = [0; 4];
                        quad.iter_mut().zip(bytes).for_each(|(to, &byte)| *to = byte as u8);
                        *word = u32::from_le_bytes(quad);
                    });
                }
            }
        }
        panels
    }

    /// Returns the bytes of the weights as they are packed, with what int8 needs beside them.
    pub(crate) fn bytes(&self) -> usize {
        self.words.bytes() + size_of_val(self.scales.as_slice()) + size_of_val(self.sums.as_slice())
    }

    /// Returns the words of depth of every output.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// Returns the number of panels.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Returns the precision of the weights.
    pub(crate) fn precision(&self) -> Precision {
        self.precision
    }

    /// Returns a panel, `[depth, PANEL]`.
    #[inline(always)]
    pub(crate) fn panel(&self, panel: usize) -> Words {
        let words = &self.words.words()[panel * self.depth * PANEL..][..self.depth * PANEL];
        Words { start: words.as_ptr(), stride: PANEL }
    }

    /// Returns the products behind a vector of byte sums, those of a row with this scale and zero point with the outputs
    /// from `output` on.
    #[inline(always)]
    pub(crate) fn values(
        &self,
        sums: &[u32; LANES],
        (scale, zero): (f32, i32),
        output: usize,
    ) -> [f32; LANES] {
        let scales = &self.scales[output..output + LANES];
        let weights = &self.sums[output..output + LANES];
        let mut values = [0.0; LANES];
        for lane in 0..LANES {
            // Exact: a layer's depth is bounded far below where 32 bits would overflow.
            let sum = (sums[lane] as i32).wrapping_sub(zero.wrapping_mul(weights[lane]));
            values[lane] = sum as f32 * (scale * scales[lane]);
        }
        values
    }
}

/// Returns how many numbers a word holds.
pub(crate) fn group(precision: Precision) -> usize {
    match precision {
        Precision::F32 => 1,
        Precision::Bf16 => 2,
        Precision::Int8 => 4,
    }
}

/// Writes one output channel as signed bytes and returns its scale.
///
/// The scale is the one of a few candidates below `max / 127` with the least squared error: cutting off a
/// channel's rare largest weights spares the many others rounding. It needs no data.
fn quantize_channel(row: &[f32], bytes: &mut [i8]) -> f32 {
    const STEPS: usize = 16;
    let max = row.iter().fold(0.0f32, |max, value| max.max(value.abs()));
    if max == 0.0 || !max.is_finite() {
        bytes.fill(0);
        return 0.0;
    }
    let round = |value: f32, scale: f32| (value / scale).round().clamp(-127.0, 127.0);
    let candidate = |step: usize| max / 127.0 * (1.0 - 0.02 * step as f32);
    let error = |scale: f32| -> f64 {
        row.iter().map(|&value| f64::from(value - scale * round(value, scale)).powi(2)).sum()
    };
    let best = (0..STEPS).map(|step| (error(candidate(step)), step));
    let best = best.min_by(|(a, _), (b, _)| a.total_cmp(b)).map_or(0, |(_, step)| step);
    let scale = candidate(best);
    bytes.iter_mut().zip(row).for_each(|(byte, &value)| *byte = round(value, scale) as i8);
    scale
}
