//! Linear layers fused with what follows them.

use crate::activation::gelu;
use crate::bf16::Bf16;
use crate::dot::Dot;
use crate::element::Element;
use crate::level::{Cpu, Kernel, Level};
use crate::panels::{Panels, group};
use crate::precision::Precision;
use crate::quantize::ByteRows;
use crate::tile::{BAND, PANEL, Words, multiply};

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

/// What happens to the sums of a product before they are stored.
trait Epilogue {
    /// Returns the size of the output.
    fn len(&self) -> usize;

    /// Takes `values` of one row, which stand at `at` of the output; the bias is in them.
    fn take<L: Level>(&mut self, at: usize, values: &[f32]);
}

struct Store<'a, T>(&'a mut [T]);

impl<T: Element> Epilogue for Store<'_, T> {
    #[inline(always)]
    fn len(&self) -> usize {
        self.0.len()
    }

    #[inline(always)]
    fn take<L: Level>(&mut self, at: usize, values: &[f32]) {
        let out = &mut self.0[at..at + values.len()];
        out.iter_mut().zip(values).for_each(|(out, &value)| *out = T::of(value));
    }
}

struct Gelu<'a, T>(&'a mut [T]);

impl<T: Element> Epilogue for Gelu<'_, T> {
    #[inline(always)]
    fn len(&self) -> usize {
        self.0.len()
    }

    #[inline(always)]
    fn take<L: Level>(&mut self, at: usize, values: &[f32]) {
        let out = &mut self.0[at..at + values.len()];
        out.iter_mut().zip(values).for_each(|(out, &value)| *out = T::of(gelu::<L>(value)));
    }
}

struct Add<'a>(&'a mut [f32]);

impl Epilogue for Add<'_> {
    #[inline(always)]
    fn len(&self) -> usize {
        self.0.len()
    }

    #[inline(always)]
    fn take<L: Level>(&mut self, at: usize, values: &[f32]) {
        let out = &mut self.0[at..at + values.len()];
        out.iter_mut().zip(values).for_each(|(out, &value)| *out += value);
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
            Rows::F32(rows) => self.bands::<L, L::F32>(rows.as_ptr().cast(), |sums, _, _, values| {
                values.iter_mut().zip(sums).for_each(|(value, &sum)| *value = f32::from_bits(sum));
            }),
            Rows::Bf16(rows) => self.bands::<L, L::Bf16>(rows.as_ptr().cast(), |sums, _, _, values| {
                values.iter_mut().zip(sums).for_each(|(value, &sum)| *value = f32::from_bits(sum));
            }),
            Rows::Int8(rows) => {
                let panels = &self.linear.panels;
                self.bands::<L, L::Int8>(rows.bytes().as_ptr().cast(), |sums, row, panel, values| {
                    let (scale, zero) = rows.scale(row);
                    let columns = panels.scales(panel).iter().zip(panels.sums(panel));
                    for ((value, &sum), (channel, weights)) in values.iter_mut().zip(sums).zip(columns) {
                        // Exact: see the bound on the depth in `Bytes`.
                        let sum = (sum as i32).wrapping_sub(zero.wrapping_mul(*weights));
                        *value = sum as f32 * (scale * channel);
                    }
                });
            }
        }
    }
}

impl<E: Epilogue> Product<'_, E> {
    /// Computes the product panel by panel, each for all rows, a band of rows at a time: the panel stays in the
    /// second-level cache while the rows pass.
    #[inline(always)]
    fn bands<L: Level, D: Dot>(
        mut self,
        rows: *const u32,
        values: impl Fn(&[u32], usize, usize, &mut [f32; PANEL]),
    ) {
        let Linear { panels, bias, outputs, .. } = self.linear;
        let depth = panels.depth();
        let mut tile = [0u32; BAND * PANEL];
        let mut row_values = [0.0f32; PANEL];
        for panel in 0..panels.count() {
            let weights = panels.panel(panel);
            let bias = &bias[panel * PANEL..][..PANEL];
            for first in (0..self.count).step_by(BAND) {
                let band = (self.count - first).min(BAND);
                let words = Words { start: rows.wrapping_add(first * depth), stride: depth };
                // SAFETY: `run` is compiled for the level's instructions; `Linear::run` has checked that there are
                // `count` rows of `inputs` numbers, which are `depth` words; a panel has `depth` rows of PANEL words.
                unsafe { multiply::<D>(words, weights, [band, PANEL, depth], &mut tile, PANEL) };
                for (row, sums) in tile.chunks_exact(PANEL).take(band).enumerate() {
                    values(sums, first + row, panel, &mut row_values);
                    row_values.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
                    let at = (first + row) * outputs + panel * PANEL;
                    // The constant length lets the compiler unroll; only a matrix's last panel may be narrower.
                    if *outputs - panel * PANEL >= PANEL {
                        self.out.take::<L>(at, &row_values);
                    } else {
                        self.out.take::<L>(at, &row_values[..*outputs - panel * PANEL]);
                    }
                }
            }
        }
    }
}
