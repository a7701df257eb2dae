//! Linear layers fused with what follows them.

use crate::activation::gelu;
use crate::bf16::Bf16;
use crate::dot::Dot;
use crate::element::{Element, narrow};
use crate::level::{Cpu, Kernel, Level};
use crate::panels::{Panels, group};
use crate::precision::Precision;
use crate::quantize::ByteRows;
use crate::tile::{BAND, LANES, PANEL, Words, multiply};

/// Rows that a linear layer reads, `[rows, inputs]`.
#[derive(Debug, Clone, Copy)]
pub enum Rows<'a> {
    /// Of f32, for a layer of [`Precision::F32`].
    F32(&'a [f32]),
    /// Of bf16, for a layer of [`Precision::Bf16`].
    Bf16(&'a [Bf16]),
    /// Of bytes, for a layer of [`Precision::Int8`].
    Int8(&'a ByteRows),
}

/// `x · weightᵀ + bias`, its weights packed for one precision.
///
/// Each element of a result is one sum along the inputs in their order: it depends on its row alone, so rows may be
/// computed in any number and company and have the same bits.
#[derive(Debug, Clone)]
pub struct Linear {
    panels: Panels,
    /// Filled up to whole panels.
    bias: Vec<f32>,
    inputs: usize,
    outputs: usize,
}

impl Linear {
    /// Returns the layer with `weight`, `[outputs, inputs]` in row-major order, and `bias`, `[outputs]`.
    ///
    /// Inputs that do not fill words of 32 bits (odd for bf16, no multiple of 4 for int8) are filled up by the layer, and
    /// rows of bf16 must then have one zero more.
    ///
    /// # Panics
    /// Where the sizes do not agree.
    ///
    /// Cost: one pass over the weights; for int8 about twenty.
    pub fn pack(weight: &[f32], bias: &[f32], inputs: usize, precision: Precision) -> Self {
        let outputs = bias.len();
        assert_eq!(weight.len(), outputs * inputs, "the weight's size");
        let panels = Panels::pack(weight, inputs, precision);
        let mut bias = bias.to_vec();
        bias.resize(panels.count() * PANEL, 0.0);
        Linear { panels, bias, inputs: inputs.next_multiple_of(group(precision)), outputs }
    }

    /// Returns the bytes that the layer takes in memory, in its precision.
    pub fn bytes(&self) -> usize {
        self.panels.bytes() + size_of_val(self.bias.as_slice())
    }

    /// Returns the number of outputs.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Returns the numbers in a row of input.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Returns the precision of the products.
    pub fn precision(&self) -> Precision {
        self.panels.precision()
    }

    /// Writes `rows · weightᵀ + bias` to `out`, `[rows, outputs]`.
    ///
    /// # Panics
    /// Where the sizes or the precision of `rows` do not agree with the layer.
    pub fn apply<T: Element>(&self, cpu: Cpu, rows: Rows<'_>, out: &mut [T]) {
        self.run(cpu, rows, Store(out));
    }

    /// Writes `gelu(rows · weightᵀ + bias)` to `out`, `[rows, outputs]`.
    ///
    /// # Panics
    /// As [`Linear::apply`].
    pub fn apply_gelu<T: Element>(&self, cpu: Cpu, rows: Rows<'_>, out: &mut [T]) {
        self.run(cpu, rows, Gelu(out));
    }

    /// Adds `rows · weightᵀ + bias` to `residual`, `[rows, outputs]`.
    ///
    /// # Panics
    /// As [`Linear::apply`].
    pub fn add_to(&self, cpu: Cpu, rows: Rows<'_>, residual: &mut [f32]) {
        self.run(cpu, rows, Add(residual));
    }

    fn run(&self, cpu: Cpu, rows: Rows<'_>, out: impl Epilogue) {
        let count = out.len() / self.outputs;
        assert_eq!(out.len(), count * self.outputs, "the output's size");
        let (found, precision) = match rows {
            Rows::F32(rows) => (rows.len(), Precision::F32),
            Rows::Bf16(rows) => (rows.len(), Precision::Bf16),
            Rows::Int8(rows) => (rows.bytes().len(), Precision::Int8),
        };
        assert_eq!(precision, self.precision(), "the precision of the rows");
        assert_eq!(found, count * self.inputs, "the size of the rows");
        cpu.run(Product { linear: self, rows, count, out });
    }
}

/// Neighbouring outputs of one row, a vector of them. Loops over exactly so many become vector instructions; a whole panel
/// at a time would be unrolled into single numbers.
type Lanes = [f32; LANES];

/// What happens to the sums of a product before they are stored.
trait Epilogue {
    /// Returns the size of the output.
    fn len(&self) -> usize;

    /// Takes the first `count` numbers of one row, which stand at `at` of the output; the bias is in them.
    fn take<L: Level>(&mut self, at: usize, values: &Lanes, count: usize);
}

/// Writes the first `count` numbers at `at`: all of them at once but at the end of a row.
#[inline(always)]
fn store<T: Copy>(out: &mut [T], at: usize, numbers: &[T; LANES], count: usize) {
    match out[at..].first_chunk_mut::<LANES>() {
        Some(out) if count == LANES => *out = *numbers,
        _ => out[at..at + count].copy_from_slice(&numbers[..count]),
    }
}

struct Store<'a, T>(&'a mut [T]);

impl<T: Element> Epilogue for Store<'_, T> {
    #[inline(always)]
    fn len(&self) -> usize {
        self.0.len()
    }

    #[inline(always)]
    fn take<L: Level>(&mut self, at: usize, values: &Lanes, count: usize) {
        store(self.0, at, &narrow::<L, T>(values), count);
    }
}

struct Gelu<'a, T>(&'a mut [T]);

impl<T: Element> Epilogue for Gelu<'_, T> {
    #[inline(always)]
    fn len(&self) -> usize {
        self.0.len()
    }

    #[inline(always)]
    fn take<L: Level>(&mut self, at: usize, values: &Lanes, count: usize) {
        let mut numbers = [0.0; LANES];
        for lane in 0..LANES {
            numbers[lane] = gelu::<L>(values[lane]);
        }
        store(self.0, at, &narrow::<L, T>(&numbers), count);
    }
}

struct Add<'a>(&'a mut [f32]);

impl Epilogue for Add<'_> {
    #[inline(always)]
    fn len(&self) -> usize {
        self.0.len()
    }

    #[inline(always)]
    fn take<L: Level>(&mut self, at: usize, values: &Lanes, count: usize) {
        match self.0[at..].first_chunk_mut::<LANES>() {
            Some(out) if count == LANES => {
                for lane in 0..LANES {
                    out[lane] += values[lane];
                }
            }
            _ => self.0[at..at + count].iter_mut().zip(values).for_each(|(out, value)| *out += value),
        }
    }
}

struct Product<'a, E> {
    linear: &'a Linear,
    rows: Rows<'a>,
    count: usize,
    out: E,
}

impl<E: Epilogue> Kernel for Product<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<L: Level>(self) {
        match self.rows {
            Rows::F32(rows) => self.bands::<L, L::F32>(rows.as_ptr().cast(), |sums, _, _| floats(sums)),
            Rows::Bf16(rows) => self.bands::<L, L::Bf16>(rows.as_ptr().cast(), |sums, _, _| floats(sums)),
            Rows::Int8(rows) => {
                let panels = &self.linear.panels;
                let values = |sums: &[u32; LANES], row, output| panels.values(sums, rows.scale(row), output);
                self.bands::<L, L::Int8>(rows.bytes().as_ptr().cast(), values);
            }
        }
    }
}

/// Returns sums of f32.
#[inline(always)]
fn floats(sums: &[u32; LANES]) -> Lanes {
    let mut values = [0.0; LANES];
    for lane in 0..LANES {
        values[lane] = f32::from_bits(sums[lane]);
    }
    values
}

impl<E: Epilogue> Product<'_, E> {
    /// Computes the product panel by panel, each for all rows, a band of rows at a time: the panel stays in the
    /// second-level cache while the rows pass. `values` makes numbers of the sums in a row from an output on.
    #[inline(always)]
    fn bands<L: Level, D: Dot>(
        mut self,
        rows: *const u32,
        values: impl Fn(&[u32; LANES], usize, usize) -> Lanes,
    ) {
        let Linear { panels, bias, outputs, .. } = self.linear;
        let depth = panels.depth();
        let mut tile = [0u32; BAND * PANEL];
        for panel in 0..panels.count() {
            let weights = panels.panel(panel);
            for first in (0..self.count).step_by(BAND) {
                let band = (self.count - first).min(BAND);
                let words = Words { start: rows.wrapping_add(first * depth), stride: depth };
                // SAFETY: `run` is compiled for the level's instructions; `Linear::run` has checked that there are
                // `count` rows of `inputs` numbers, which are `depth` words; a panel has `depth` rows of PANEL words.
                unsafe { multiply::<D, false>(words, weights, [band, PANEL, depth], &mut tile, PANEL) };
                for (row, sums) in tile.chunks_exact(PANEL).take(band).enumerate() {
                    let row = first + row;
                    for (vector, sums) in sums.as_chunks::<LANES>().0.iter().enumerate() {
                        let output = panel * PANEL + vector * LANES;
                        if output >= *outputs {
                            break;
                        }
                        let mut values = values(sums, row, output);
                        let bias = &bias[output..output + LANES];
                        for lane in 0..LANES {
                            values[lane] += bias[lane];
                        }
                        self.out.take::<L>(row * outputs + output, &values, (outputs - output).min(LANES));
                    }
                }
            }
        }
    }
}
