//! The functions that are applied to each number: GELU, and the exponential of softmax.
//!
//! Both are branch-free arithmetic in a fixed order, which the compiler vectorises without changing a bit. So a value
//! does not depend on where in a row it stands.

use crate::level::Level;

/// Returns the error function, within 1e-6 of its value.
///
/// Source: the rational minimax approximation x·P(x²)/Q(x²) on [-4, 4] that Eigen and XLA use; beyond it erf
/// is ±1 in f32.
#[inline(always)]
pub(crate) fn erf<L: Level>(x: f32) -> f32 {
    const P: [f32; 7] = [
        -2.726_142_3e-10,
        2.770_681_4e-8,
        -2.101_024e-6,
        -5.692_506_4e-5,
        -7.349_906_3e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ];
    const Q: [f32; 5] = [-1.456_607_2e-5, -2.133_740_6e-4, -1.682_827e-3, -7.373_329_2e-3, -1.426_473_9e-2];
    let x = if x > 4.0 { 4.0 } else { x };
    let x = if x < -4.0 { -4.0 } else { x };
    let square = x * x;
    let mut p = P[0];
    for c in &P[1..] {
        p = L::mul_add(p, square, *c);
    }
    let mut q = Q[0];
    for c in &Q[1..] {
        q = L::mul_add(q, square, *c);
    }
    x * p / q
}

/// Returns the Gaussian error linear unit, the exact form with erf.
///
/// Source: Hendrycks and Gimpel 2016, arXiv:1606.08415.
#[inline(always)]
pub(crate) fn gelu<L: Level>(x: f32) -> f32 {
    let half = 0.5 * x;
    L::mul_add(half, erf::<L>(x * std::f32::consts::FRAC_1_SQRT_2), half)
}

/// Returns `e^x` to about 2 units in the last place for `x <= 0`; 0 below -87.
///
/// Source: Cephes `expf` (range reduction by ln 2 in two parts, degree 5 polynomial).
#[inline(always)]
pub(crate) fn exp_of_nonpositive<L: Level>(x: f32) -> f32 {
    /// Adding it rounds to a whole number, which then stands in the lowest bits: 1.5 · 2^23.
    const ROUND: f32 = 12_582_912.0;
    const C: [f32; 6] = [1.987_569_2e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5e-1];
    let clamped = if x > -87.0 { x } else { -87.0 };
    let shifted = L::mul_add(clamped, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = L::mul_add(n, -0.693_359_4, clamped);
    let r = L::mul_add(n, 2.121_944_4e-4, r);
    let mut p = C[0];
    for c in &C[1..] {
        p = L::mul_add(p, r, *c);
    }
    let value = L::mul_add(p * r, r, r) + 1.0;
    // n is within [-126, 0], so the exponent field stays in range.
    let exponent = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32).wrapping_add(127);
    let scaled = value * f32::from_bits((exponent as u32) << 23);
    if x < -87.0 { 0.0 } else { scaled }
}
