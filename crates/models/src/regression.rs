//! Regression heads: ridge regression on embeddings.

use std::collections::BTreeMap;
use std::path::Path;

use crate::cholesky::Cholesky;
use crate::embeddings::dot;
use crate::head_file::HeadFile;
use crate::random::SplitMix64;
use crate::{Embeddings, ModelError, Result};

/// A trained regression: `weight · embedding + bias`.
#[derive(Debug, Clone, PartialEq)]
pub struct RegressionHead {
    /// `[dim]`.
    pub weight: Vec<f32>,
    /// The value of a zero embedding.
    pub bias: f32,
}

const FORMAT: &str = "nightjar-regression-1";

impl RegressionHead {
    /// Returns the bytes that the head takes in memory.
    pub fn bytes(&self) -> usize {
        size_of_val(self.weight.as_slice())
    }

    /// Returns the predicted value of each row.
    pub fn predict(&self, embeddings: &Embeddings) -> Vec<f64> {
        embeddings.iter().map(|row| self.predict_of(row)).collect()
    }

    /// Returns the predicted value of one embedding `[dim]`.
    pub fn predict_of(&self, embedding: &[f32]) -> f64 {
        dot(&self.weight, embedding) + f64::from(self.bias)
    }

    /// Writes the head as safetensors; equal heads give equal bytes.
    ///
    /// # Errors
    /// `FileAccess`, `SizeMismatch` without weights.
    pub fn save(&self, path: &Path) -> Result<()> {
        let metadata = BTreeMap::from([("format".to_owned(), FORMAT.to_owned())]);
        HeadFile { metadata, weight: self.weight.clone(), bias: vec![self.bias] }.write(path)
    }

    /// Returns the head in the file at `path`.
    ///
    /// # Errors
    /// `FileMissing`, `FileAccess`, `WeightsInvalid`, `TensorMissing`, `TensorShape`, `TensorType`.
    pub fn load(path: &Path) -> Result<Self> {
        let HeadFile { metadata, weight, bias } = HeadFile::read(path)?;
        match (metadata.get("format").map(String::as_str), bias.as_slice()) {
            (Some(FORMAT), &[bias]) => Ok(RegressionHead { weight, bias }),
            _ => Err(HeadFile::invalid(path, format!("it is no {FORMAT} file of one output"))),
        }
    }
}

/// A trained regression and how it came about.
#[derive(Debug, Clone, PartialEq)]
pub struct RidgeFit {
    /// The head.
    pub head: RegressionHead,
    /// The penalty on the summed squared error, scikit-learn's `alpha`.
    pub lambda: f64,
    /// The candidates tried and the held-out mean squared error of each; empty where lambda was given.
    pub candidates: Vec<(f64, f64)>,
}

/// Returns the ridge regression of `y` (one value for each row of `x`): least squares plus `lambda` times the
/// squared weights, not the bias. Without `lambda`, a seeded fifth of the rows chooses it by squared error,
/// and all rows fit.
///
/// # Errors
/// `TrainingData` (fewer than two rows, a value that is not finite), `SizeMismatch`, `OptionInvalid`.
///
/// Cost: one pass over the rows and a Cholesky factorisation of `[dim, dim]` for each candidate.
pub fn fit_ridge(x: &Embeddings, y: &[f64], lambda: Option<f64>, seed: u64) -> Result<RidgeFit> {
    if x.rows() != y.len() {
        return Err(ModelError::SizeMismatch {
            what: "the number of targets",
            expected: x.rows(),
            found: y.len(),
        });
    }
    if y.len() < 2 {
        return Err(ModelError::training(format!("it has {} rows, a regression needs at least 2", y.len())));
    }
    let finite = |row: usize| y[row].is_finite() && x.row(row).iter().all(|value| value.is_finite());
    if let Some(row) = (0..y.len()).find(|&row| !finite(row)) {
        return Err(ModelError::training(format!("row {row} is not finite")));
    }
    if let Some(value) = lambda.filter(|value| !(value.is_finite() && *value > 0.0)) {
        let (option, expected) = ("lambda", "a positive number");
        return Err(ModelError::OptionInvalid { option, value: value.to_string(), expected });
    }
    let mut rows: Vec<usize> = (0..y.len()).collect();
    let (lambda, candidates) = match lambda {
        Some(lambda) => (lambda, Vec::new()),
        None => choose_lambda(x, y, &rows, seed)?,
    };
    rows.sort_unstable();
    let head = Moments::new(x, y, &rows).solve(lambda)?;
    Ok(RidgeFit { head, lambda, candidates })
}

fn choose_lambda(x: &Embeddings, y: &[f64], rows: &[usize], seed: u64) -> Result<(f64, Vec<(f64, f64)>)> {
    let mut shuffled = rows.to_vec();
    SplitMix64::new(seed).shuffle(&mut shuffled);
    let (judge, learn) = shuffled.split_at((rows.len() / 5).max(1));
    let moments = Moments::new(x, y, learn);
    let mut candidates = Vec::new();
    for power in -8..=8 {
        let lambda = 10f64.powf(f64::from(power) / 2.0);
        let head = moments.solve(lambda)?;
        let error = |&row: &usize| (dot(&head.weight, x.row(row)) + f64::from(head.bias) - y[row]).powi(2);
        candidates.push((lambda, judge.iter().map(error).sum::<f64>() / judge.len() as f64));
    }
    let best =
        candidates.iter().fold((1.0, f64::INFINITY), |best, &next| if next.1 < best.1 { next } else { best });
    Ok((best.0, candidates))
}

/// The centred second moments that the normal equations need.
struct Moments {
    dim: usize,
    /// `[dim, dim]`, lower triangle.
    xx: Vec<f64>,
    xy: Vec<f64>,
    x_mean: Vec<f64>,
    y_mean: f64,
}

impl Moments {
    fn new(x: &Embeddings, y: &[f64], rows: &[usize]) -> Self {
        let dim = x.dim;
        let count = rows.len() as f64;
        let mut x_mean = vec![0.0; dim];
        for &row in rows {
            x_mean.iter_mut().zip(x.row(row)).for_each(|(mean, &value)| *mean += f64::from(value));
        }
        x_mean.iter_mut().for_each(|mean| *mean /= count);
        let y_mean = rows.iter().map(|&row| y[row]).sum::<f64>() / count;
        let (mut xx, mut xy) = (vec![0.0; dim * dim], vec![0.0; dim]);
        let mut centred = vec![0.0; dim];
        for &row in rows {
            let values = x.row(row).iter().zip(&x_mean);
            centred.iter_mut().zip(values).for_each(|(c, (&value, mean))| *c = f64::from(value) - mean);
            for i in 0..dim {
                let scale = centred[i];
                xx[i * dim..=i * dim + i].iter_mut().zip(&centred).for_each(|(sum, c)| *sum += scale * c);
                xy[i] += scale * (y[row] - y_mean);
            }
        }
        Moments { dim, xx, xy, x_mean, y_mean }
    }

    /// Returns the solution of `(xx + lambda) w = xy` by Cholesky's factorisation.
    fn solve(&self, lambda: f64) -> Result<RegressionHead> {
        let mut matrix = self.xx.clone();
        matrix.iter_mut().step_by(self.dim + 1).for_each(|value| *value += lambda);
        let factor = Cholesky::new(&matrix, self.dim)
            .ok_or_else(|| ModelError::training("its embeddings are too alike for this lambda"))?;
        let mut w = self.xy.clone();
        factor.solve(&mut w, 1);
        let bias = self.y_mean - w.iter().zip(&self.x_mean).map(|(w, mean)| w * mean).sum::<f64>();
        Ok(RegressionHead { weight: w.into_iter().map(|value| value as f32).collect(), bias: bias as f32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // X = [[((i*7+j*3)%11)/11 - 0.4 for j in range(3)] for i in range(12)] as float32; y = [0.5*i - (i%3) for
    // i in range(12)] Ridge(alpha=0.7).fit(X, y) -> coef_ [0.48095834, -1.58015667, -0.2568968], intercept_
    // 1.8201913592553334
    #[test]
    fn ridge_agrees_with_scikit_learn() {
        let data =
            (0..12).flat_map(|i| (0..3).map(move |j| (f64::from((i * 7 + j * 3) % 11) / 11.0 - 0.4) as f32));
        let x = Embeddings { dim: 3, data: data.collect() };
        let y: Vec<f64> = (0..12).map(|i| 0.5 * f64::from(i) - f64::from(i % 3)).collect();
        let head = fit_ridge(&x, &y, Some(0.7), 1).unwrap().head;
        let expected = [0.480_958_34, -1.580_156_67, -0.256_896_8, 1.820_191_36];
        for (found, expected) in head.weight.iter().chain([&head.bias]).zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-6, "{found}, expected {expected}");
        }
        let chosen = fit_ridge(&x, &y, None, 1).unwrap();
        assert_eq!(chosen.candidates.len(), 17);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("head.safetensors");
        head.save(&path).unwrap();
        assert_eq!(RegressionHead::load(&path).unwrap(), head);
        assert_eq!(head.predict(&x).len(), 12);
    }

    #[test]
    fn unfitting_targets_are_refused() {
        let x = Embeddings::zeros(3, 2);
        assert!(matches!(fit_ridge(&x, &[1.0], None, 0), Err(ModelError::SizeMismatch { .. })));
        assert!(matches!(
            fit_ridge(&x, &[1.0, f64::NAN, 2.0], None, 0),
            Err(ModelError::TrainingData { .. })
        ));
        assert!(matches!(fit_ridge(&x, &[1.0; 3], Some(-1.0), 0), Err(ModelError::OptionInvalid { .. })));
        // Embeddings that say nothing predict the mean.
        let fit = fit_ridge(&x, &[1.0, 2.0, 6.0], None, 0).unwrap();
        assert_eq!(fit.head.predict(&x), [3.0; 3]);
    }
}
