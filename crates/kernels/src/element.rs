//! The numbers that activations are kept in.

use crate::bf16::Bf16;
use crate::level::Level;
use crate::linear::Rows;
use crate::tile::LANES;

mod sealed {
    use super::*;

    pub trait Sealed: Sized {
        /// Returns the nearest numbers; `narrow` is how the instruction set makes bf16.
        fn of_vector(values: &[f32; LANES], narrow: impl Fn(&[f32; LANES]) -> [Bf16; LANES])
        -> [Self; LANES];
    }
}

impl sealed::Sealed for f32 {
    #[inline(always)]
    fn of_vector(values: &[f32; LANES], _: impl Fn(&[f32; LANES]) -> [Bf16; LANES]) -> [f32; LANES] {
        *values
    }
}

impl sealed::Sealed for Bf16 {
    #[inline(always)]
    fn of_vector(values: &[f32; LANES], narrow: impl Fn(&[f32; LANES]) -> [Bf16; LANES]) -> [Bf16; LANES] {
        narrow(values)
    }
}

/// Returns the nearest numbers of `T`, a vector of them at once. For kernels that run by [`crate::Cpu`] as `L`.
#[inline(always)]
pub(crate) fn narrow<L: Level, T: Element>(values: &[f32; LANES]) -> [T; LANES] {
    // SAFETY: a level is named by `Cpu::run` only, which has seen its instructions.
    T::of_vector(values, |values| unsafe { L::narrow(values) })
}

/// A number that activations are kept in between two kernels: f32 or [`Bf16`].
///
/// Arithmetic is always in f32; only storage and the operands of products differ.
pub trait Element: sealed::Sealed + Copy + Default + Send + Sync + std::fmt::Debug + 'static {
    /// Numbers in a word of 32 bits.
    const GROUP: usize;

    /// Returns the nearest number.
    fn of(value: f32) -> Self;

    /// Returns the number in f32.
    fn value(self) -> f32;

    /// Returns the word that holds these numbers, the first in its lowest bits; at most `GROUP` of them.
    fn word(numbers: &[Self]) -> u32;

    /// Returns numbers as rows that a linear layer reads.
    fn rows(numbers: &[Self]) -> Rows<'_>;
}

impl Element for f32 {
    const GROUP: usize = 1;

    #[inline(always)]
    fn of(value: f32) -> Self {
        value
    }

    #[inline(always)]
    fn value(self) -> f32 {
        self
    }

    #[inline(always)]
    fn word(numbers: &[Self]) -> u32 {
        numbers[0].to_bits()
    }

    fn rows(numbers: &[Self]) -> Rows<'_> {
        Rows::F32(numbers)
    }
}

impl Element for Bf16 {
    const GROUP: usize = 2;

    #[inline(always)]
    fn of(value: f32) -> Self {
        Bf16::from_f32(value)
    }

    #[inline(always)]
    fn value(self) -> f32 {
        self.to_f32()
    }

    #[inline(always)]
    fn word(numbers: &[Self]) -> u32 {
        u32::from(numbers[0].0) | (numbers.get(1).map_or(0, |second| u32::from(second.0)) << 16)
    }

    fn rows(numbers: &[Self]) -> Rows<'_> {
        Rows::Bf16(numbers)
    }
}
