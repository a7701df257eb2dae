//! Layer normalisation.

use crate::element::{Element, narrow};
use crate::level::{Cpu, Kernel, Level};
use crate::reduce::{sum, sum_of_squares};
use crate::tile::LANES;

/// The learned part of a layer norm.
///
/// Source: Ba, Kiros and Hinton 2016, arXiv:1607.06450.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    epsilon: f32,
}

impl LayerNorm {
    /// Returns the bytes that the layer takes in memory.
    pub fn bytes(&self) -> usize {
        size_of_val(self.weight.as_slice()) + size_of_val(self.bias.as_slice())
    }

    /// Returns the layer norm with `weight` and `bias`, `[width]` both.
    ///
    /// # Panics
    /// Where the two are not of one size.
    pub fn new(weight: Vec<f32>, bias: Vec<f32>, epsilon: f32) -> Self {
        assert_eq!(weight.len(), bias.len(), "the sizes of weight and bias");
        LayerNorm { weight, bias, epsilon }
    }

    /// Returns the numbers in a row.
    pub fn width(&self) -> usize {
        self.weight.len()
    }

    /// Replaces each row of `rows`, `[rows, width]`, by its normalised form.
    pub fn apply(&self, cpu: Cpu, rows: &mut [f32]) {
        cpu.run(Normalize { norm: self, rows, copy: None::<&mut [f32]> });
    }

    /// Replaces each row of `rows`, `[rows, width]`, by its normalised form, and writes it to `copy` too.
    ///
    /// # Panics
    /// Where `copy` is shorter than `rows`.
    pub fn apply_and_copy<T: Element>(&self, cpu: Cpu, rows: &mut [f32], copy: &mut [T]) {
        assert!(copy.len() >= rows.len(), "the copy's size");
        cpu.run(Normalize { norm: self, rows, copy: Some(copy) });
    }
}

struct Normalize<'a, T> {
    norm: &'a LayerNorm,
    rows: &'a mut [f32],
    copy: Option<&'a mut [T]>,
}

impl<T: Element> Kernel for Normalize<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<L: Level>(mut self) {
        let LayerNorm { weight, bias, epsilon } = self.norm;
        let width = weight.len();
        for (i, row) in self.rows.chunks_exact_mut(width).enumerate() {
            let mean = sum(row) / width as f32;
            let variance = sum_of_squares::<L>(row, mean) / width as f32;
            let scale = 1.0 / (variance + epsilon).sqrt();
            for ((value, w), b) in row.iter_mut().zip(weight).zip(bias) {
                *value = L::mul_add((*value - mean) * scale, *w, *b);
            }
            if let Some(copy) = &mut self.copy {
                let copy = &mut copy[i * width..][..width];
                let (vectors, rest) = copy.as_chunks_mut::<LANES>();
                let (values, last) = row.as_chunks::<LANES>();
                vectors.iter_mut().zip(values).for_each(|(copy, values)| *copy = narrow::<L, T>(values));
                let mut filled = [0.0; LANES];
                filled[..last.len()].copy_from_slice(last);
                rest.copy_from_slice(&narrow::<L, T>(&filled)[..last.len()]);
            }
        }
    }
}
