//! One step of the optimizer over all trained numbers.

use nightjar_kernels::Cpu;
use nightjar_kernels::gradient::{AdamW, squared_norm};
use rayon::prelude::*;

use super::learning_rate::{Schedule, learning_rate};
use super::region::Region;

/// Numbers of one task.
const CHUNK: usize = 1 << 15;

/// How weights are moved. The defaults are BERT's (Devlin et al. 2018, section 3.2 and appendix A.2).
#[derive(Debug, Clone, PartialEq)]
pub struct OptimizerOptions {
    /// The greatest learning rate.
    pub learning_rate: f32,
    /// The decoupled decay; biases and norms have none.
    pub weight_decay: f32,
    /// The share of the steps over which the rate rises.
    pub warmup_ratio: f32,
    /// How the rate falls.
    pub schedule: Schedule,
    /// The greatest norm of all gradients together; 0 for none.
    pub gradient_clip: f32,
    /// The steps of the whole training.
    pub total_steps: u32,
}

impl Default for OptimizerOptions {
    fn default() -> Self {
        OptimizerOptions {
            learning_rate: 5e-5,
            weight_decay: 0.01,
            warmup_ratio: 0.1,
            schedule: Schedule::Linear,
            gradient_clip: 1.0,
            total_steps: 0,
        }
    }
}

impl OptimizerOptions {
    /// Returns the step with this number, from 1, for gradients whose squares sum to `squares`.
    pub(crate) fn step(&self, step: u32, squares: f64) -> AdamW {
        let norm = squares.sqrt();
        let clip = f64::from(self.gradient_clip);
        // As torch.nn.utils.clip_grad_norm_ does.
        let scale = if clip > 0.0 { (clip / (norm + 1e-6)).min(1.0) } else { 1.0 };
        AdamW {
            learning_rate: self.rate(step - 1),
            weight_decay: self.weight_decay,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            step,
            gradient_scale: scale as f32,
        }
    }

    /// Returns the learning rate of a step, from 0.
    pub fn rate(&self, step: u32) -> f32 {
        self.learning_rate * learning_rate(self.schedule, self.warmup_ratio, step, self.total_steps)
    }
}

/// The optimizer's means of gradients and of their squares.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Moments {
    pub(crate) first: Vec<f32>,
    pub(crate) second: Vec<f32>,
}

/// Returns the sum of the squared gradients of the regions, in an order that does not depend on threads.
pub(crate) fn squared_gradient(cpu: Cpu, regions: &[Region], gradients: &[f32]) -> f64 {
    let of_region = |region: &Region| -> f64 {
        let parts = gradients[region.numbers.clone()].par_chunks(CHUNK).map(|chunk| squared_norm(cpu, chunk));
        parts.collect::<Vec<_>>().into_iter().sum()
    };
    regions.iter().map(of_region).sum()
}

/// Moves the numbers of the regions and sets their gradients to zero.
pub(crate) fn step(
    cpu: Cpu,
    adamw: &AdamW,
    regions: &[Region],
    weights: &mut [f32],
    gradients: &mut [f32],
    moments: &mut Moments,
) {
    for Region { numbers, decays } in regions {
        let adamw = AdamW { weight_decay: if *decays { adamw.weight_decay } else { 0.0 }, ..*adamw };
        let at = || numbers.clone();
        let moments =
            moments.first[at()].par_chunks_mut(CHUNK).zip(moments.second[at()].par_chunks_mut(CHUNK));
        let gradients = gradients[at()].par_chunks_mut(CHUNK);
        let tasks = weights[at()].par_chunks_mut(CHUNK).zip(gradients).zip(moments);
        tasks.for_each(|((weights, gradients), (first, second))| {
            adamw.apply(cpu, weights, gradients, first, second);
            gradients.fill(0.0);
        });
    }
}
