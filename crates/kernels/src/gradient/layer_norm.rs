//! Layer normalisation that keeps what its gradient needs.

use crate::level::{Cpu, Kernel, Level};
use crate::reduce::{sum, sum_of_products, sum_of_squares};

/// What a row was normalised by.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RowScale {
    mean: f32,
    /// One over the standard deviation.
    inverse: f32,
}

/// Writes the normalised form of `inputs`, `[rows, width]`, to `out` and what each row was normalised by to `scales`.
///
/// `weight` and `bias` are `[width]`.
///
/// # Panics
/// Where the sizes do not agree.
pub fn normalize_rows(
    cpu: Cpu,
    (weight, bias, epsilon): (&[f32], &[f32], f32),
    inputs: &[f32],
    out: &mut [f32],
    scales: &mut [RowScale],
) {
    assert!(weight.len() == bias.len() && inputs.len() == out.len(), "the sizes of a layer norm");
    assert_eq!(inputs.len(), scales.len() * weight.len(), "the number of rows");
    cpu.run(Forward { weight, bias, epsilon, inputs, out, scales });
}

struct Forward<'a> {
    weight: &'a [f32],
    bias: &'a [f32],
    epsilon: f32,
    inputs: &'a [f32],
    out: &'a mut [f32],
    scales: &'a mut [RowScale],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Level>(self) {
        let Forward { weight, bias, epsilon, inputs, out, scales } = self;
        let width = weight.len();
        let rows = inputs.chunks_exact(width).zip(out.chunks_exact_mut(width));
        for ((input, out), scale) in rows.zip(scales) {
            let mean = sum(input) / width as f32;
            let variance = sum_of_squares::<L>(input, mean) / width as f32;
            let inverse = 1.0 / (variance + epsilon).sqrt();
            *scale = RowScale { mean, inverse };
            for (((out, x), w), b) in out.iter_mut().zip(input).zip(weight).zip(bias) {
                *out = L::mul_add((x - mean) * inverse, *w, *b);
            }
        }
    }
}

/// Writes the gradients of the inputs to `out`, and replaces each input by its normalised value times the gradient of its
/// output: summed over the rows, that is the gradient of the weight.
///
/// `gradients` are those of the outputs, whose sum over the rows is the gradient of the bias; all are `[rows, width]`.
///
/// # Panics
/// Where the sizes do not agree.
pub fn normalize_backward(
    cpu: Cpu,
    weight: &[f32],
    scales: &[RowScale],
    inputs: &mut [f32],
    gradients: &[f32],
    out: &mut [f32],
) {
    assert!(inputs.len() == gradients.len() && inputs.len() == out.len(), "the sizes of a layer norm");
    assert_eq!(inputs.len(), scales.len() * weight.len(), "the number of rows");
    cpu.run(Backward { weight, scales, inputs, gradients, out });
}

struct Backward<'a> {
    weight: &'a [f32],
    scales: &'a [RowScale],
    inputs: &'a mut [f32],
    gradients: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Level>(self) {
        let Backward { weight, scales, inputs, gradients, out } = self;
        let width = weight.len();
        let rows = inputs.chunks_exact_mut(width).zip(gradients.chunks_exact(width));
        for (((input, gradient), out), scale) in rows.zip(out.chunks_exact_mut(width)).zip(scales) {
            let RowScale { mean, inverse } = *scale;
            for (((x, g), w), o) in input.iter_mut().zip(gradient).zip(weight).zip(out.iter_mut()) {
                *x = (*x - mean) * inverse;
                *o = g * w;
            }
            let center = sum(out) / width as f32;
            let slope = sum_of_products::<L>(out, input) / width as f32;
            for ((x, g), o) in input.iter_mut().zip(gradient).zip(out.iter_mut()) {
                *o = (L::mul_add(*x, -slope, *o) - center) * inverse;
                *x *= g;
            }
        }
    }
}

/// Adds each column of `rows`, `[rows, width]`, to `sums`, `[width]`, row by row.
pub fn add_column_sums(cpu: Cpu, rows: &[f32], sums: &mut [f32]) {
    cpu.run(ColumnSums { rows, sums });
}

struct ColumnSums<'a> {
    rows: &'a [f32],
    sums: &'a mut [f32],
}

impl Kernel for ColumnSums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Level>(self) {
        for row in self.rows.chunks_exact(self.sums.len()) {
            self.sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        }
    }
}
