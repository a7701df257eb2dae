//! Sums and maxima of a row, in an order that follows from its length alone.

use crate::level::Level;
use crate::tile::LANES;

/// Returns the row folded in 16 lanes, and these joined.
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
    across(&lanes, join)
}

/// Returns the lanes joined in pairs, the pairs in pairs, and so on: spelled out, because a loop would not unroll.
#[inline(always)]
fn across(lanes: &[f32; LANES], join: impl Fn(f32, f32) -> f32) -> f32 {
    let mut eight = [0.0; 8];
    for lane in 0..8 {
        eight[lane] = join(lanes[lane], lanes[lane + 8]);
    }
    let mut four = [0.0; 4];
    for lane in 0..4 {
        four[lane] = join(eight[lane], eight[lane + 4]);
    }
    join(join(four[0], four[2]), join(four[1], four[3]))
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

/// Returns the sum of the products of two rows of one length.
#[inline(always)]
pub(crate) fn sum_of_products<L: Level>(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let ((a, last_a), (b, last_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for ((lane, a), b) in lanes.iter_mut().zip(last_a).zip(last_b) {
        *lane = a * b;
    }
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            lanes[lane] = L::mul_add(a[lane], b[lane], lanes[lane]);
        }
    }
    sum_of_lanes(&lanes)
}

/// Returns the sum of a vector's numbers.
#[inline(always)]
pub(crate) fn sum_of_lanes(lanes: &[f32; LANES]) -> f32 {
    across(lanes, |a, b| a + b)
}

/// Returns the greatest number of a vector. NaN is passed over.
#[inline(always)]
pub(crate) fn max_of_lanes(lanes: &[f32; LANES]) -> f32 {
    across(lanes, |a, b| if b > a { b } else { a })
}
