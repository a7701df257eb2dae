//! The element-wise parts of a transformer on slices: GELU, softmax, layer norm.
//!
//! Each is branch-free arithmetic in a fixed order, which the compiler vectorises without changing a bit:
//! Rust never contracts or reorders floating point. So a value does not depend on where in a slice it stands.

/// Returns the error function to about 2 units in the last place.
///
/// Source: the rational minimax approximation x·P(x²)/Q(x²) on [-4, 4] that Eigen and XLA use; beyond it erf
/// is ±1 in f32.
#[inline]
fn erf(x: f32) -> f32 {
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
    let x = x.clamp(-4.0, 4.0);
    let square = x * x;
    let p = P.iter().fold(0.0, |sum, c| sum * square + c);
    let q = Q.iter().fold(0.0, |sum, c| sum * square + c);
    x * p / q
}

/// Returns `e^x` to about 2 units in the last place for `x <= 0`; 0 below -87.
///
/// Source: Cephes `expf` (range reduction by ln 2 in two parts, degree 5 polynomial).
#[inline]
fn exp_of_nonpositive(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to a whole number.
    let clamped = x.max(-87.0);
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = clamped - n * 0.693_359_4 - n * -2.121_944_4e-4;
    const C: [f32; 6] = [1.987_569_2e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5e-1];
    let p = C.iter().fold(0.0, |sum, c| sum * r + c);
    let value = p * r * r + r + 1.0;
    // n is within [-126, 0], so the exponent field stays in range.
    let scale = f32::from_bits((((n as i32) + 127) as u32) << 23);
    if x < -87.0 { 0.0 } else { value * scale }
}

/// Returns the Gaussian error linear unit, the exact form with erf.
#[inline]
pub(crate) fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// Writes the softmax of `scale * scores` for each row of `width` values.
pub(crate) fn scaled_softmax(scores: &[f32], width: usize, scale: f32, out: &mut [f32]) {
    for (x, y) in scores.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        let max = x.iter().fold(f32::NEG_INFINITY, |max, &v| max.max(v * scale));
        y.iter_mut().zip(x).for_each(|(y, &x)| *y = exp_of_nonpositive(x * scale - max));
        let total = sum(y);
        y.iter_mut().for_each(|y| *y /= total);
    }
}

/// The learned part of a layer norm.
#[derive(Debug)]
pub(crate) struct LayerNorm {
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
    pub(crate) epsilon: f32,
}

impl LayerNorm {
    /// Replaces each row of `rows` by its normalised form.
    pub(crate) fn apply(&self, rows: &mut [f32]) {
        let width = self.weight.len();
        for row in rows.chunks_exact_mut(width) {
            let mean = sum(row) / width as f32;
            row.iter_mut().for_each(|value| *value -= mean);
            let variance = sum_of_squares(row) / width as f32;
            let scale = 1.0 / (variance + self.epsilon).sqrt();
            for ((value, w), b) in row.iter_mut().zip(&self.weight).zip(&self.bias) {
                *value = *value * scale * w + b;
            }
        }
    }
}

const LANES: usize = 16;

/// Returns the sum in an order that depends on the length alone.
fn sum(values: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let chunks = values.chunks_exact(LANES);
    let tail: f32 = chunks.remainder().iter().sum();
    chunks.for_each(|chunk| sums.iter_mut().zip(chunk).for_each(|(s, v)| *s += v));
    sums.iter().sum::<f32>() + tail
}

fn sum_of_squares(values: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let chunks = values.chunks_exact(LANES);
    let tail: f32 = chunks.remainder().iter().map(|v| v * v).sum();
    chunks.for_each(|chunk| sums.iter_mut().zip(chunk).for_each(|(s, v)| *s += v * v));
    sums.iter().sum::<f32>() + tail
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;

    #[test]
    fn gelu_agrees_with_f64() {
        let input: Vec<f32> = (-6000..6000).map(|i| i as f32 / 1000.0).collect();
        let out: Vec<f32> = input.iter().map(|&x| gelu(x)).collect();
        let wide: Vec<f64> = input.iter().map(|&v| f64::from(v)).collect();
        let exact = Tensor::new(wide, &Device::Cpu).unwrap().gelu_erf().unwrap().to_vec1::<f64>().unwrap();
        for ((x, y), e) in input.iter().zip(&out).zip(exact) {
            // 1 + erf cancels for negative x, so the bound is one on x: a few units of its last place.
            assert!(
                (f64::from(*y) - e).abs() < 5e-7 * f64::from(x.abs().max(1.0)),
                "gelu({x}) = {y}, expected {e}"
            );
        }
    }

    #[test]
    fn exp_agrees_with_the_standard_library() {
        for i in 0..90_000 {
            let x = -(i as f32) / 1000.0;
            let (found, exact) = (exp_of_nonpositive(x), f64::from(x).exp());
            let error = (f64::from(found) - exact).abs();
            assert!(
                error <= 3e-7 * exact || (x < -87.0 && error < 1e-37),
                "exp({x}) = {found}, expected {exact}"
            );
        }
        assert_eq!(exp_of_nonpositive(0.0), 1.0);
        assert_eq!(exp_of_nonpositive(f32::NEG_INFINITY), 0.0);
    }

    #[test]
    fn softmax_rows_sum_to_one_whatever_their_size() {
        for width in [1, 2, 15, 16, 17, 300] {
            let scores: Vec<f32> = (0..width).map(|i| (i * 37 % 101) as f32 - 50.0).collect();
            let mut out = vec![0.0; width];
            scaled_softmax(&scores, width, 0.3, &mut out);
            let total: f64 = out.iter().map(|&v| f64::from(v)).sum();
            assert!((total - 1.0).abs() < 1e-5, "{width}: {total}");
        }
    }

    #[test]
    fn layer_norm_gives_zero_mean_and_unit_variance() {
        let norm = LayerNorm { weight: vec![1.0; 33], bias: vec![0.5; 33], epsilon: 1e-12 };
        let mut rows: Vec<f32> = (0..66).map(|i| ((i * i) % 17) as f32).collect();
        norm.apply(&mut rows);
        for row in rows.chunks_exact(33) {
            assert!((sum(row) / 33.0 - 0.5).abs() < 1e-6);
            let spread: f32 = row.iter().map(|v| (v - 0.5) * (v - 0.5)).sum();
            assert!((spread / 33.0 - 1.0).abs() < 1e-5);
        }
    }
}
