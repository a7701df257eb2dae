//! The numbers that activations are kept in.

use crate::bf16::Bf16;
use crate::linear::Rows;

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for crate::Bf16 {}
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
