//! Multinomial logistic regression on embeddings.
//!
//! Minimises the mean log loss plus an L2 penalty on the weights, not on the biases, as scikit-learn's
//! `LogisticRegression` does: `C` is the inverse of the penalty for the summed loss. The problem is convex,
//! so the result is *the* optimum, and it depends on the order of rows only through rounding: callers that
//! want equal bits give the rows in a canonical order. The number of threads never matters.

use std::ops::ControlFlow;

use crate::lbfgs::{Limits, Minimum, minimize};
use crate::preconditioner::Preconditioner;
use crate::regularization::{Choice, choose_c, default_grid};
use crate::softmax_loss::LabelledRows;
use crate::{ClassifierHead, Embeddings, ModelError, Result};

/// How rows of a class count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClassWeights {
    /// Each row counts once.
    #[default]
    None,
    /// Each class counts the same: a row counts `rows / (classes * rows of its class)`.
    Balanced,
}

/// How to train a head.
#[derive(Debug, Clone, PartialEq)]
pub struct LogisticOptions {
    /// The inverse regularisation strength; none means that cross-validation on the training rows chooses it
    /// from `grid`.
    pub c: Option<f64>,
    /// The candidates, ascending.
    pub grid: Vec<f64>,
    /// Folds of the cross-validation, at least 2.
    pub folds: usize,
    /// How rows of a class count.
    pub class_weights: ClassWeights,
    /// The seed of the folds.
    pub seed: u64,
    /// The largest gradient entry of the mean loss that counts as zero.
    pub tolerance: f64,
    /// The most iterations of one fit.
    pub max_iterations: usize,
}

impl Default for LogisticOptions {
    fn default() -> Self {
        LogisticOptions {
            c: None,
            grid: default_grid(),
            folds: 5,
            class_weights: ClassWeights::None,
            seed: 42,
            tolerance: 1e-6,
            max_iterations: 1000,
        }
    }
}

/// What a training run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FitPhase {
    /// Cross-validating the candidates for C.
    Select {
        /// The fold, from 0.
        fold: usize,
        /// The number of folds.
        folds: usize,
    },
    /// Fitting all rows with the chosen C.
    Fit,
}

/// One iteration of the optimiser.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FitProgress {
    /// What the iteration is part of.
    pub phase: FitPhase,
    /// The inverse regularisation strength in use.
    pub c: f64,
    /// The iteration, from 1.
    pub iteration: usize,
    /// The objective: mean log loss plus penalty.
    pub loss: f64,
}

/// A trained head and how it came about.
#[derive(Debug, Clone, PartialEq)]
pub struct LogisticFit {
    /// `[classes, dim]`, row-major.
    pub weight: Vec<f32>,
    /// `[classes]`.
    pub bias: Vec<f32>,
    /// The inverse regularisation strength.
    pub c: f64,
    /// The optimiser's iterations in the last fit.
    pub iterations: usize,
    /// The mean log loss of the training rows (weighted by class), without the penalty.
    pub train_loss: f64,
    /// Whether the gradient came below the tolerance.
    pub converged: bool,
    /// The candidates that all folds judged, ascending, and the mean log loss of each on held-out rows; empty
    /// where C was given.
    pub candidates: Vec<(f64, f64)>,
}

impl LogisticFit {
    /// Returns the head with `labels` in class order.
    ///
    /// # Errors
    /// `SizeMismatch` where there are more or fewer labels than classes.
    pub fn head(self, labels: Vec<String>) -> Result<ClassifierHead> {
        if labels.len() != self.bias.len() {
            let (expected, found) = (self.bias.len(), labels.len());
            return Err(ModelError::SizeMismatch { what: "the number of labels", expected, found });
        }
        Ok(ClassifierHead { labels, weight: self.weight, bias: self.bias })
    }
}

/// The signature of the callback that watches a training run and may stop it.
pub type Progress<'a> = dyn FnMut(FitProgress) -> ControlFlow<()> + 'a;

/// Returns the logistic regression of the classes `y` (one for each row of `x`, each below `classes`).
///
/// Every class needs at least one row. A class of fewer rows than folds is held out in some folds only.
///
/// # Errors
/// `TrainingData` (no rows, fewer than two classes, a class without rows, a label out of range, a value that
/// is not finite), `OptionInvalid`, `SizeMismatch`, `Cancelled` when `progress` breaks.
///
/// Cost: a few dozen passes over the rows; choosing C adds one such run for each fold and candidate, each
/// begun where the last candidate ended.
pub fn fit_logistic(
    x: &Embeddings,
    y: &[u32],
    classes: usize,
    options: &LogisticOptions,
    progress: &mut Progress<'_>,
) -> Result<LogisticFit> {
    check(x, y, classes)?;
    check_options(options)?;
    let rows: Vec<usize> = (0..y.len()).collect();
    let Choice { c, candidates, start } = match options.c {
        Some(c) => Choice { c, candidates: Vec::new(), start: vec![0.0; classes * (x.dim + 1)] },
        None => choose_c(x, y, classes, options, progress)?,
    };
    let weights = class_weights(y, &rows, classes, options.class_weights);
    let data = LabelledRows::new(x, y, &rows, &weights)?;
    let limits = Limits { tolerance: options.tolerance, relative: 0.0, iterations: options.max_iterations };
    let penalty = penalty(c, rows.len(), classes);
    let preconditioner = Preconditioner::new(&data.covariance()?, x.dim, classes, penalty)?;
    let watch = &mut |iteration, loss| progress(FitProgress { phase: FitPhase::Fit, c, iteration, loss });
    let fit = fit_rows(&data, penalty, &preconditioner, start, limits, watch)?;
    let (train_loss, _) = data.objective(&fit.at, 0.0)?;
    let bias = data.uncentred_bias(&fit.at);
    Ok(LogisticFit {
        weight: fit.at[..classes * x.dim].iter().map(|&value| value as f32).collect(),
        bias: bias.into_iter().map(|value| value as f32).collect(),
        c,
        iterations: fit.iterations,
        train_loss,
        converged: fit.converged,
        candidates,
    })
}

/// Returns the weight of the squared parameters against the mean loss of `rows` rows.
pub(crate) fn penalty(c: f64, rows: usize, classes: usize) -> f64 {
    // With two classes scikit-learn penalises one weight vector w. The softmax has two, at their optimum w/2
    // and
    // -w/2, whose squares sum to half of w's: twice the penalty makes the two problems one.
    let scale = if classes == 2 { 2.0 } else { 1.0 };
    scale / (c * rows as f64)
}

/// Returns the optimum from `start` on.
pub(crate) fn fit_rows(
    data: &LabelledRows,
    penalty: f64,
    preconditioner: &Preconditioner,
    start: Vec<f64>,
    limits: Limits,
    watch: &mut dyn FnMut(usize, f64) -> ControlFlow<()>,
) -> Result<Minimum> {
    minimize(
        start,
        limits,
        |parameters| preconditioner.apply(parameters),
        |parameters| data.objective(parameters, penalty),
        watch,
        || ModelError::Cancelled,
    )
}

/// Returns the weight of each class's rows, by the rows in use; a class without rows there weighs 1.
pub(crate) fn class_weights(y: &[u32], rows: &[usize], classes: usize, kind: ClassWeights) -> Vec<f64> {
    if kind == ClassWeights::None {
        return vec![1.0; classes];
    }
    let mut counts = vec![0usize; classes];
    rows.iter().for_each(|&row| counts[y[row] as usize] += 1);
    let weight = |&count: &usize| {
        if count == 0 { 1.0 } else { rows.len() as f64 / (classes * count) as f64 }
    };
    counts.iter().map(weight).collect()
}

fn check(x: &Embeddings, y: &[u32], classes: usize) -> Result<()> {
    let unusable = |reason: String| Err(ModelError::training(reason));
    if x.rows() != y.len() {
        return Err(ModelError::SizeMismatch {
            what: "the number of labels",
            expected: x.rows(),
            found: y.len(),
        });
    }
    if y.is_empty() {
        return unusable("it has no labelled rows".to_owned());
    }
    if classes < 2 {
        return unusable(format!("it has {classes} class, a classifier needs at least 2"));
    }
    let mut counts = vec![0usize; classes];
    for (row, &label) in y.iter().enumerate() {
        match counts.get_mut(label as usize) {
            Some(count) => *count += 1,
            None => {
                return unusable(format!("row {row} has class {label}, but there are {classes} classes"));
            }
        }
    }
    if let Some(class) = counts.iter().position(|&count| count == 0) {
        return unusable(format!("class {class} has no rows"));
    }
    match x.iter().position(|row| row.iter().any(|value| !value.is_finite())) {
        Some(row) => unusable(format!("the embedding of row {row} is not finite")),
        None => Ok(()),
    }
}

fn check_options(options: &LogisticOptions) -> Result<()> {
    let invalid =
        |option, value: String, expected| Err(ModelError::OptionInvalid { option, value, expected });
    let positive = |value: &f64| value.is_finite() && *value > 0.0;
    if let Some(c) = options.c.filter(|c| !positive(c)) {
        return invalid("c", c.to_string(), "a positive number");
    }
    if options.grid.is_empty() || !options.grid.iter().all(positive) || !options.grid.is_sorted() {
        return invalid("grid", format!("{:?}", options.grid), "positive numbers, ascending");
    }
    if options.folds < 2 {
        return invalid("folds", options.folds.to_string(), "at least 2");
    }
    if !positive(&options.tolerance) {
        return invalid("tolerance", options.tolerance.to_string(), "a positive number");
    }
    if options.max_iterations == 0 {
        return invalid("max_iterations", "0".to_owned(), "at least 1");
    }
    Ok(())
}
