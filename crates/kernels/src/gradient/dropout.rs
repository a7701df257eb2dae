//! Dropout whose masks are functions of a seed and a place, so that the backward pass finds them again.

use crate::level::{Cpu, Kernel, Level};

/// Dropout of the numbers of one text at one place of the network.
///
/// A number is kept with probability `1 - rate` and then divided by it; whether it is kept follows from the seed and the
/// number's index alone.
///
/// Source: Srivastava et al. 2014, JMLR 15; the mixing function is `lowbias32` (C. Wellons, "hash-prospector").
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    seed: u32,
    /// Numbers whose hash is below it are dropped.
    threshold: u32,
    scale: f32,
}

impl Dropout {
    /// Returns the dropout of `rate`, from 0 to below 1, for a seed: 64 bits that name run, step, place and text.
    pub fn new(rate: f32, seed: u64) -> Self {
        let seed = mix(seed as u32 ^ mix((seed >> 32) as u32));
        let threshold = (f64::from(rate) * f64::from(u32::MAX)) as u32;
        Dropout { seed, threshold, scale: 1.0 / (1.0 - rate) }
    }

    /// Returns what the number at `index` is multiplied by: 0, or the inverse of the probability to be kept.
    #[inline(always)]
    pub(crate) fn factor(self, index: u32) -> f32 {
        let hash = mix(index.wrapping_mul(0x9e37_79b9).wrapping_add(self.seed));
        if hash < self.threshold { 0.0 } else { self.scale }
    }

    /// Drops some of the text's numbers.
    pub fn apply(self, cpu: Cpu, numbers: &mut [f32]) {
        if self.threshold > 0 {
            cpu.run(Drop { dropout: self, numbers });
        }
    }

    /// Drops some of the text's numbers and adds the residual to all, `[tokens, hidden]` both.
    ///
    /// # Panics
    /// Where the sizes differ.
    pub fn apply_and_add(self, cpu: Cpu, numbers: &mut [f32], residual: &[f32]) {
        assert_eq!(numbers.len(), residual.len(), "the residual's size");
        cpu.run(DropAndAdd { dropout: self, numbers, residual });
    }
}

/// Returns well-mixed bits of `x`.
#[inline(always)]
fn mix(x: u32) -> u32 {
    let x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    let x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

struct Drop<'a> {
    dropout: Dropout,
    numbers: &'a mut [f32],
}

impl Kernel for Drop<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Level>(self) {
        for (number, index) in self.numbers.iter_mut().zip(0u32..) {
            *number *= self.dropout.factor(index);
        }
    }
}

struct DropAndAdd<'a> {
    dropout: Dropout,
    numbers: &'a mut [f32],
    residual: &'a [f32],
}

impl Kernel for DropAndAdd<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Level>(self) {
        for ((number, residual), index) in self.numbers.iter_mut().zip(self.residual).zip(0u32..) {
            *number = *number * self.dropout.factor(index) + residual;
        }
    }
}
