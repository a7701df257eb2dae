//! AdamW.

use crate::level::{Cpu, Kernel, Level};
use crate::tile::LANES;

/// One step of AdamW.
///
/// Source: Loshchilov and Hutter 2019, arXiv:1711.05101: Adam with bias correction, and decay that does not pass through
/// the moments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// The learning rate of this step.
    pub learning_rate: f32,
    /// The decay of the weights, a share of the learning rate.
    pub weight_decay: f32,
    /// The decay of the mean of gradients.
    pub beta1: f32,
    /// The decay of the mean of squared gradients.
    pub beta2: f32,
    /// Added to the root of the mean of squares.
    pub epsilon: f32,
    /// The step's number, from 1.
    pub step: u32,
    /// What gradients are multiplied by first: clipping.
    pub gradient_scale: f32,
}

impl AdamW {
    /// Moves `weights` and the two means by `gradients`, all of one size.
    ///
    /// # Panics
    /// Where the sizes differ.
    pub fn apply(
        &self,
        cpu: Cpu,
        weights: &mut [f32],
        gradients: &[f32],
        first: &mut [f32],
        second: &mut [f32],
    ) {
        let len = weights.len();
        assert!([gradients.len(), first.len(), second.len()] == [len; 3], "the sizes of an optimizer step");
        cpu.run(Step { adamw: *self, weights, gradients, first, second });
    }
}

struct Step<'a> {
    adamw: AdamW,
    weights: &'a mut [f32],
    gradients: &'a [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
}

impl Kernel for Step<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Level>(self) {
        let AdamW { learning_rate, weight_decay, beta1, beta2, epsilon, step, gradient_scale } = self.adamw;
        let correction = |beta: f32| (1.0 - f64::from(beta).powi(step as i32)) as f32;
        let rate = learning_rate / correction(beta1);
        let inverse_root = 1.0 / correction(beta2).sqrt();
        let keep = 1.0 - learning_rate * weight_decay;
        let moments = self.first.iter_mut().zip(self.second.iter_mut());
        for ((weight, gradient), (first, second)) in self.weights.iter_mut().zip(self.gradients).zip(moments)
        {
            let gradient = gradient * gradient_scale;
            *first = L::mul_add(beta1, *first, (1.0 - beta1) * gradient);
            *second = L::mul_add(beta2, *second, (1.0 - beta2) * gradient * gradient);
            let root = L::mul_add(second.sqrt(), inverse_root, epsilon);
            *weight = L::mul_add(*weight, keep, -rate * *first / root);
        }
    }
}

/// Returns the sum of the squares, in f64 and in an order that follows from the length alone.
pub fn squared_norm(cpu: Cpu, numbers: &[f32]) -> f64 {
    cpu.run(SquaredNorm(numbers))
}

struct SquaredNorm<'a>(&'a [f32]);

impl Kernel for SquaredNorm<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<L: Level>(self) -> f64 {
        let (chunks, rest) = self.0.as_chunks::<LANES>();
        let mut sums = [0.0f64; LANES];
        for chunk in chunks {
            for lane in 0..LANES {
                sums[lane] += f64::from(chunk[lane]) * f64::from(chunk[lane]);
            }
        }
        let rest: f64 = rest.iter().map(|&number| f64::from(number) * f64::from(number)).sum();
        sums.iter().sum::<f64>() + rest
    }
}
