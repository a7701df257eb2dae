//! Activations as bytes, each row with its own scale and zero point.

use crate::element::Element;
use crate::level::{Cpu, Kernel, Level};
use crate::tile::LANES;

/// Rows of unsigned bytes: `value ≈ scale · (byte - zero)`.
#[derive(Debug, Clone, Default)]
pub struct ByteRows {
    bytes: Vec<u8>,
    /// Bytes from one row to the next: the width filled up to whole words.
    stride: usize,
    rows: usize,
    /// Per row: the scale, and the zero point.
    scales: Vec<(f32, i32)>,
}

impl ByteRows {
    /// Replaces the content by `values`, rows of `width` numbers, at 8 bits.
    ///
    /// The range of a row is from its least to its greatest value, 0 included; a value is at most half a step off,
    /// a step being 1/255 of that range. A row with a NaN or an infinity has scale NaN, so that it shows.
    /// Cost: two passes over the row. Allocates only when it has never been as large.
    pub fn quantize<T: Element>(&mut self, cpu: Cpu, values: &[T], width: usize) {
        self.stride = width.next_multiple_of(4);
        self.rows = values.len() / width.max(1);
        let (bytes, rows) = (self.rows * self.stride, self.rows);
        if self.bytes.len() < bytes {
            self.bytes.resize(bytes, 0);
        }
        if self.scales.len() < rows {
            self.scales.resize(rows, (0.0, 0));
        }
        cpu.run(Quantize { values, width, rows: self });
    }

    /// Returns the number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    #[inline(always)]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.rows * self.stride]
    }

    #[inline(always)]
    pub(crate) fn scale(&self, row: usize) -> (f32, i32) {
        self.scales[row]
    }
}

struct Quantize<'a, T> {
    values: &'a [T],
    width: usize,
    rows: &'a mut ByteRows,
}

impl<T: Element> Kernel for Quantize<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<L: Level>(self) {
        let stride = self.rows.stride;
        let rows = self.values.chunks_exact(self.width).zip(self.rows.bytes.chunks_exact_mut(stride));
        for ((values, bytes), scale) in rows.zip(&mut self.rows.scales) {
            *scale = quantize_row::<L, T>(values, bytes);
        }
    }
}

/// Writes `values` as bytes and returns scale and zero point.
#[inline(always)]
fn quantize_row<L: Level, T: Element>(values: &[T], bytes: &mut [u8]) -> (f32, i32) {
    /// Adding it rounds to a whole number, which then stands in the lowest bits: 1.5 · 2^23.
    const ROUND: f32 = 12_582_912.0;
    let mut low = [0.0f32; LANES];
    let mut high = [0.0f32; LANES];
    // Infinity times zero is NaN, and NaN stays NaN: one sum tells whether any value is not finite.
    let mut odd = [0.0f32; LANES];
    let chunks = values.chunks_exact(LANES);
    for (lane, value) in chunks.remainder().iter().enumerate() {
        let value = value.value();
        (low[lane], high[lane], odd[lane]) = (low[lane].min(value), high[lane].max(value), value * 0.0);
    }
    for chunk in chunks {
        for lane in 0..LANES {
            let value = chunk[lane].value();
            low[lane] = if value < low[lane] { value } else { low[lane] };
            high[lane] = if value > high[lane] { value } else { high[lane] };
            odd[lane] += value * 0.0;
        }
    }
    let low = low.into_iter().fold(0.0, f32::min);
    let high = high.into_iter().fold(0.0, f32::max);
    let range = high - low;
    if odd.iter().sum::<f32>().is_nan() || !range.is_finite() {
        bytes.fill(0);
        return (f32::NAN, 0);
    }
    // Rows of nothing but zeros, or so small that their reciprocal is infinite, are zeros.
    let inverse = 255.0 / range;
    if !inverse.is_finite() {
        bytes.fill(0);
        return (0.0, 0);
    }
    let zero = (-low * inverse).round();
    let offset = zero + ROUND;
    for (byte, value) in bytes.iter_mut().zip(values) {
        let bits = L::mul_add(value.value(), inverse, offset).to_bits() as i32 - ROUND.to_bits() as i32;
        *byte = bits.clamp(0, 255) as u8;
    }
    bytes[values.len()..].fill(0);
    (range / 255.0, zero as i32)
}
