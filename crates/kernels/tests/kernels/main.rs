//! Every kernel on every instruction set of this CPU against a plain loop in f64.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod attention;
mod elementwise;
mod gradient;
mod linear;

use proptest::prelude::*;

/// Numbers of all sizes, zeros and signs.
fn numbers(len: usize) -> impl Strategy<Value = Vec<f32>> {
    let number = prop_oneof![
        8 => -2.0f32..2.0,
        1 => Just(0.0),
        1 => -30.0f32..30.0,
        1 => -1e-20f32..1e-20,
    ];
    proptest::collection::vec(number, len)
}

/// Returns the seeded numbers of a larger case, between -1 and 1.
fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// Checks that two numbers differ by at most `bound`.
#[track_caller]
fn near(found: f32, expected: f64, bound: f64, what: &str) {
    let error = (f64::from(found) - expected).abs();
    assert!(error <= bound, "{what}: {found}, expected {expected} ± {bound}");
}
