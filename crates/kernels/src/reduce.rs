//! Sums and maxima of a row, in an order that follows from its length alone.

use crate::level::Level;

const LANES: usize = 16;

/// Returns the sum of `value(x)` over the row.
#[inline(always)]
fn fold(row: &[f32], start: f32, step: impl Fn(f32, f32) -> f32, join: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [start; LANES];
    let chunks = row.chunks_exact(LANES);
    for (lane, &x) in lanes.iter_mut().zip(chunks.remainder()) {
        *lane = step(*lane, x);
    }
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] = step(lanes[lane], chunk[lane]);
        }
    }
    for width in [8, 4, 2, 1] {
        for lane in 0..width {
            lanes[lane] = join(lanes[lane], lanes[lane + width]);
        }
    }
    lanes[0]
}

/// Returns the sum of the row.
#[inline(always)]
pub(crate) fn sum(row: &[f32]) -> f32 {
    fold(row, 0.0, |a, b| a + b, |a, b| a + b)
}

/// Returns the sum of the squares of the row's distances from `center`.
#[inline(always)]
pub(crate) fn sum_of_squares<L: Level>(row: &[f32], center: f32) -> f32 {
    fold(row, 0.0, |sum, x| L::mul_add(x - center, x - center, sum), |a, b| a + b)
}

/// Returns the greatest number of the row, minus infinity for an empty one. NaN is passed over.
#[inline(always)]
pub(crate) fn max(row: &[f32]) -> f32 {
    let greater = |a: f32, b: f32| if b > a { b } else { a };
    fold(row, f32::NEG_INFINITY, greater, greater)
}
