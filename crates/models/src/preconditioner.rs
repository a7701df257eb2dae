//! An approximation of the inverse Hessian of the softmax loss.
//!
//! The Hessian's block of one class is the covariance of the features, each row weighted by p(1 - p), plus
//! the penalty (Böhning 1992 bounds it so). With p as before training, 1 / classes, the same matrix serves
//! every class. Embeddings have a few strong directions and many weak ones; undoing that saves most of the
//! iterations.

use candle_core::{Device, Tensor};

use crate::cholesky::Cholesky;
use crate::{ModelError, Result};

/// Multiplies parameters (`[classes, dim]` weights, then `[classes]` biases) by the approximation.
pub(crate) struct Preconditioner {
    /// `[dim, dim]`, f64.
    inverse: Tensor,
    dim: usize,
    classes: usize,
    bias: f64,
}

impl Preconditioner {
    /// Returns the preconditioner for features of this `covariance`, `[dim, dim]`, and this `penalty`.
    pub(crate) fn new(covariance: &[f64], dim: usize, classes: usize, penalty: f64) -> Result<Self> {
        let share = 1.0 / classes as f64;
        let curvature = share * (1.0 - share);
        let mut matrix: Vec<f64> = covariance.iter().map(|value| curvature * value).collect();
        matrix.iter_mut().step_by(dim + 1).for_each(|value| *value += penalty);
        let inverse = match Cholesky::new(&matrix, dim) {
            Some(factor) => factor.inverse(),
            // Too little penalty for f64: do without.
            None => (0..dim * dim).map(|at| f64::from(u8::from(at / dim == at % dim))).collect(),
        };
        let inverse = Tensor::from_vec(inverse, (dim, dim), &Device::Cpu);
        Ok(Preconditioner {
            inverse: inverse.map_err(ModelError::compute("invert"))?,
            dim,
            classes,
            bias: 1.0 / curvature,
        })
    }

    /// Returns the product with `parameters`.
    pub(crate) fn apply(&self, mut parameters: Vec<f64>) -> Result<Vec<f64>> {
        let biases = parameters.split_off(self.classes * self.dim);
        let mut out = Tensor::from_vec(parameters, (self.classes, self.dim), &Device::Cpu)
            .and_then(|weights| weights.matmul(&self.inverse)?.flatten_all()?.to_vec1())
            .map_err(ModelError::compute("precondition"))?;
        out.extend(biases.into_iter().map(|value| value * self.bias));
        Ok(out)
    }
}
