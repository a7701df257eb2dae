//! How good a regression's numbers are.

use serde::{Deserialize, Serialize};

use crate::{ModelError, Result};

/// The quality of a regression on labelled rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegressionReport {
    /// Labelled rows.
    pub rows: usize,
    /// The root of the mean squared error.
    pub rmse: f64,
    /// The mean absolute error.
    pub mae: f64,
    /// The share of the target's variance that is explained; 0 where the target is constant.
    pub r2: f64,
    /// The linear correlation; 0 where either side is constant.
    pub pearson: f64,
    /// The correlation of ranks, ties sharing their mean rank; 0 where either side is constant.
    pub spearman: f64,
}

/// Returns the metrics of `predicted` against `truth`.
///
/// # Errors
/// `TrainingData` without rows, `SizeMismatch` where lengths disagree.
pub fn regression_report(truth: &[f64], predicted: &[f64]) -> Result<RegressionReport> {
    let (expected, found) = (truth.len(), predicted.len());
    if expected != found {
        return Err(ModelError::SizeMismatch { what: "the number of predictions", expected, found });
    }
    if truth.is_empty() {
        return Err(ModelError::training("it has no labelled rows"));
    }
    let moments = RegressionMoments::of(truth, predicted);
    Ok(RegressionReport {
        rows: truth.len(),
        rmse: moments.rmse(),
        mae: moments.mae(),
        r2: moments.r2(),
        pearson: moments.pearson(),
        spearman: spearman(truth, predicted),
    })
}

/// The sums that every metric of a regression but the rank correlation follows from; those of parts merge into those
/// of the whole.
///
/// Source: the updates of means and of squared differences from them are Welford's and, to merge, Chan, Golub and
/// LeVeque's ("Updating formulae and a pairwise algorithm for computing sample variances", 1979): they lose no digits to a
/// mean far from zero.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RegressionMoments {
    /// Rows.
    pub rows: u64,
    /// The mean of the true values.
    pub truth_mean: f64,
    /// The mean of the predictions.
    pub prediction_mean: f64,
    /// The sum of squared differences of the true values from their mean.
    pub truth_spread: f64,
    /// The sum of squared differences of the predictions from their mean.
    pub prediction_spread: f64,
    /// The sum of the products of both differences.
    pub joint_spread: f64,
    /// The sum of squared errors.
    pub squared_error: f64,
    /// The sum of absolute errors.
    pub absolute_error: f64,
}

impl RegressionMoments {
    fn of(truth: &[f64], predicted: &[f64]) -> Self {
        let mut moments = Self::default();
        truth.iter().zip(predicted).for_each(|(truth, prediction)| moments.add(*truth, *prediction));
        moments
    }

    /// Counts one row more.
    pub fn add(&mut self, truth: f64, prediction: f64) {
        let error = truth - prediction;
        self.merge(&Self {
            rows: 1,
            truth_mean: truth,
            prediction_mean: prediction,
            squared_error: error * error,
            absolute_error: error.abs(),
            ..Self::default()
        });
    }

    /// Adds the rows of another part.
    pub fn merge(&mut self, other: &Self) {
        if self.rows == 0 || other.rows == 0 {
            if self.rows == 0 {
                *self = *other;
            }
            return;
        }
        let rows = (self.rows + other.rows) as f64;
        let share = other.rows as f64 / rows;
        let truth = other.truth_mean - self.truth_mean;
        let prediction = other.prediction_mean - self.prediction_mean;
        let weight = self.rows as f64 * share;
        self.truth_spread += other.truth_spread + truth * truth * weight;
        self.prediction_spread += other.prediction_spread + prediction * prediction * weight;
        self.joint_spread += other.joint_spread + truth * prediction * weight;
        self.truth_mean += truth * share;
        self.prediction_mean += prediction * share;
        self.squared_error += other.squared_error;
        self.absolute_error += other.absolute_error;
        self.rows += other.rows;
    }

    /// Returns the root of the mean squared error; NaN without rows.
    pub fn rmse(&self) -> f64 {
        (self.squared_error / self.rows as f64).sqrt()
    }

    /// Returns the mean absolute error; NaN without rows.
    pub fn mae(&self) -> f64 {
        self.absolute_error / self.rows as f64
    }

    /// Returns the share of the true values' variance that is explained; 0 where they are constant.
    pub fn r2(&self) -> f64 {
        if self.truth_spread == 0.0 { 0.0 } else { 1.0 - self.squared_error / self.truth_spread }
    }

    /// Returns the linear correlation; 0 where either side is constant.
    pub fn pearson(&self) -> f64 {
        // Each root by itself: the product of two small spreads would be no number any more.
        let scale = self.truth_spread.sqrt() * self.prediction_spread.sqrt();
        if scale == 0.0 { 0.0 } else { (self.joint_spread / scale).clamp(-1.0, 1.0) }
    }
}

/// Returns the correlation of ranks, ties sharing their mean rank; 0 where either side is constant, NaN where a value is.
///
/// Cost: a sort of each side.
pub fn spearman(truth: &[f64], predicted: &[f64]) -> f64 {
    if truth.iter().chain(predicted).any(|value| value.is_nan()) {
        return f64::NAN;
    }
    RegressionMoments::of(&ranks(truth), &ranks(predicted)).pearson()
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    // -0 equals 0 and shares its rank, so it must stand beside it.
    order.sort_by(|&a, &b| (values[a] + 0.0).total_cmp(&(values[b] + 0.0)));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    for ties in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = start as f64 + (ties.len() as f64 + 1.0) / 2.0;
        ties.iter().for_each(|&row| ranks[row] = rank);
        start += ties.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    // t = [3.0, -0.5, 2.0, 7.0, 2.0]; p = [2.5, 0.0, 2.0, 8.0, 1.5]
    // mean_squared_error(t, p) ** .5, mean_absolute_error(t, p), r2_score(t, p), pearsonr(t, p)[0],
    // spearmanr(t, p)[0]
    //   -> 0.5916079783099616 0.5 0.9412751677852349 0.9808107217942781 0.9746794344808963
    const TRUTH: [f64; 5] = [3.0, -0.5, 2.0, 7.0, 2.0];
    const PREDICTED: [f64; 5] = [2.5, 0.0, 2.0, 8.0, 1.5];
    const EXPECTED: [f64; 5] = [
        0.591_607_978_309_961_6,
        0.5,
        0.941_275_167_785_234_9,
        0.980_810_721_794_278_1,
        0.974_679_434_480_896_3,
    ];

    #[track_caller]
    fn near(found: [f64; 5], expected: [f64; 5], tolerance: f64) {
        for (found, expected) in found.into_iter().zip(expected) {
            assert!((found - expected).abs() < tolerance, "{found}, expected {expected}");
        }
    }

    #[test]
    fn metrics_agree_with_scikit_learn_and_scipy() {
        let report = regression_report(&TRUTH, &PREDICTED).unwrap();
        near([report.rmse, report.mae, report.r2, report.pearson, report.spearman], EXPECTED, 1e-12);
    }

    #[test]
    fn parts_merge_into_the_whole_far_from_zero_too() {
        for shift in [0.0, 1e8] {
            let shifted = |values: &[f64]| values.iter().map(|value| value + shift).collect::<Vec<_>>();
            let (truth, predicted) = (shifted(&TRUTH), shifted(&PREDICTED));
            for cut in 0..=truth.len() {
                let mut left = RegressionMoments::of(&truth[..cut], &predicted[..cut]);
                left.merge(&RegressionMoments::of(&truth[cut..], &predicted[cut..]));
                let rank = spearman(&truth, &predicted);
                let found = [left.rmse(), left.mae(), left.r2(), left.pearson(), rank];
                near(found, EXPECTED, if shift == 0.0 { 1e-12 } else { 1e-7 });
            }
        }
    }

    #[test]
    fn constants_explain_nothing_and_nan_stays() {
        let report = regression_report(&[2.0, 2.0, 2.0], &[1.0, 2.0, 3.0]).unwrap();
        assert_eq!((report.r2, report.pearson, report.spearman), (0.0, 0.0, 0.0));
        let report = regression_report(&[1.0, 2.0], &[0.1, 0.1]).unwrap();
        assert_eq!((report.pearson, report.spearman), (0.0, 0.0));
        let report = regression_report(&[1.0, f64::NAN], &[1.0, 2.0]).unwrap();
        assert!(report.rmse.is_nan() && report.pearson.is_nan() && report.spearman.is_nan());
        assert_eq!(spearman(&[-0.0, 0.0, 1.0], &[3.0, 3.0, 4.0]), 1.0);
        assert!(regression_report(&[], &[]).is_err() && regression_report(&[1.0], &[]).is_err());
    }
}
