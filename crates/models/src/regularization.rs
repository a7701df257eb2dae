//! Choosing how much to regularise, from the training rows alone.
//!
//! Stratified, seeded k-fold cross-validation over a logarithmic grid of C; the C of the least mean held-out
//! log loss wins, the smaller one of equals. Log loss rather than accuracy, because it is smooth and looks at
//! every row's probability: the accuracies of neighbouring candidates differ by a few rows, which is noise,
//! and the probabilities are what `classify_scores` returns.
//!
//! Along the grid the held-out loss falls until the head begins to overfit. So the first fold walks up the
//! grid to the first candidate that is no better, and all folds judge that one and the two before it: the
//! strongest candidates, the dearest to fit, are mostly never tried.

use crate::lbfgs::Limits;
use crate::logistic::{FitPhase, FitProgress, LogisticOptions, Progress, class_weights, fit_rows, penalty};
use crate::preconditioner::Preconditioner;
use crate::random::SplitMix64;
use crate::softmax_loss::LabelledRows;
use crate::{Embeddings, ModelError, Result};

/// Gradient bound while choosing, as a share of the penalty's own gradient. A bound that does not follow the
/// penalty would call the start of every weakly regularised candidate its end.
const SHARE: f64 = 0.25;

/// Returns the default candidates: 2^-3 to 2^9, a factor of 2 apart.
pub(crate) fn default_grid() -> Vec<f64> {
    (-3..=9).map(|power| 2f64.powi(power)).collect()
}

/// One fold: rows to learn from, rows to judge by, and where the last candidate's fit ended.
struct Fold {
    learn: LabelledRows,
    learn_rows: usize,
    judge: LabelledRows,
    judge_rows: usize,
    start: Vec<f64>,
}

/// The winner of a cross-validation.
pub(crate) struct Choice {
    pub(crate) c: f64,
    /// The candidates that all folds judged, and their mean held-out log loss.
    pub(crate) candidates: Vec<(f64, f64)>,
    /// Parameters near the optimum of all rows.
    pub(crate) start: Vec<f64>,
}

/// What the fits of a cross-validation share.
struct Search<'a> {
    options: &'a LogisticOptions,
    covariance: Vec<f64>,
    dim: usize,
    classes: usize,
    rows: usize,
}

/// Returns the C with the least held-out log loss.
pub(crate) fn choose_c(
    x: &Embeddings,
    y: &[u32],
    classes: usize,
    options: &LogisticOptions,
    progress: &mut Progress<'_>,
) -> Result<Choice> {
    let mut folds = split(x, y, classes, options)?;
    let everything: Vec<usize> = (0..y.len()).collect();
    let covariance = LabelledRows::new(x, y, &everything, &vec![1.0; classes])?.covariance()?;
    let search = Search { options, covariance, dim: x.dim, classes, rows: y.len() };
    let (first, others) = folds.split_at_mut(1);
    let Some(first) = first.first_mut() else {
        return Err(ModelError::training("there are no folds"));
    };

    let mut walked: Vec<(f64, f64, Vec<f64>)> = Vec::new();
    for &c in &options.grid {
        let loss = search.judge(first, 0, c, progress)?;
        let better = walked.last().is_none_or(|last| loss < last.1);
        walked.push((c, loss, first.start.clone()));
        if !better {
            break;
        }
    }
    let near = walked.split_off(walked.len().saturating_sub(3));
    if let Some((_, _, start)) = near.first() {
        others.iter_mut().for_each(|fold| fold.start.clone_from(start));
    }
    let mut choice = Choice { c: 0.0, candidates: Vec::new(), start: Vec::new() };
    let mut least = f64::INFINITY;
    for (c, loss, start) in near {
        let mut loss = loss * first.judge_rows as f64;
        for (i, fold) in others.iter_mut().enumerate() {
            loss += search.judge(fold, i + 1, c, progress)? * fold.judge_rows as f64;
        }
        let loss = loss / y.len() as f64;
        choice.candidates.push((c, loss));
        if loss < least || choice.start.is_empty() {
            (least, choice.c, choice.start) = (loss, c, start);
        }
    }
    Ok(choice)
}

impl Search<'_> {
    /// Fits `fold` with `c`, from where its last fit ended, and returns the mean log loss of its held-out
    /// rows.
    fn judge(&self, fold: &mut Fold, number: usize, c: f64, progress: &mut Progress<'_>) -> Result<f64> {
        let Search { options, dim, classes, .. } = *self;
        // The folds' rows differ too little from all rows to need covariances of their own.
        let preconditioner =
            Preconditioner::new(&self.covariance, dim, classes, penalty(c, self.rows, classes))?;
        let penalty = penalty(c, fold.learn_rows, classes);
        let tolerance = options.tolerance.min(1e-7);
        let limits = Limits { tolerance, relative: SHARE * penalty, iterations: options.max_iterations };
        let phase = FitPhase::Select { fold: number, folds: options.folds.min(self.rows) };
        let watch = &mut |iteration, loss| progress(FitProgress { phase, c, iteration, loss });
        let start = std::mem::take(&mut fold.start);
        let fit = fit_rows(&fold.learn, penalty, &preconditioner, start, limits, watch)?;
        let loss = fold.judge_loss(&fit.at)?;
        fold.start = fit.at;
        Ok(loss)
    }
}

impl Fold {
    /// Returns the mean log loss of the held-out rows.
    fn judge_loss(&self, parameters: &[f64]) -> Result<f64> {
        let mut parameters = parameters.to_vec();
        let at = self.learn.parameters() - self.learn.classes();
        let bias = self.judge.centred_bias(&parameters, &self.learn.uncentred_bias(&parameters));
        parameters[at..].copy_from_slice(&bias);
        Ok(self.judge.objective(&parameters, 0.0)?.0)
    }
}

/// Returns the folds: each class's rows are shuffled and dealt out in turn, going on where the last class
/// ended, so that folds differ by at most one row in size and in each class.
fn split(x: &Embeddings, y: &[u32], classes: usize, options: &LogisticOptions) -> Result<Vec<Fold>> {
    let count = options.folds.min(y.len());
    if count < 2 {
        return Err(ModelError::training("one row can't be split; give c or more rows"));
    }
    let mut random = SplitMix64::new(options.seed);
    let mut fold_of = vec![0; y.len()];
    let mut dealt = 0;
    for class in 0..classes {
        let mut rows: Vec<usize> = (0..y.len()).filter(|&row| y[row] as usize == class).collect();
        random.shuffle(&mut rows);
        for row in rows {
            fold_of[row] = dealt % count;
            dealt += 1;
        }
    }
    let fold = |fold: usize| -> Result<Fold> {
        let (judge, learn): (Vec<usize>, Vec<usize>) = (0..y.len()).partition(|&row| fold_of[row] == fold);
        let weights = class_weights(y, &learn, classes, options.class_weights);
        let (learn_rows, judge_rows) = (learn.len(), judge.len());
        let (learn, judge) =
            (LabelledRows::new(x, y, &learn, &weights)?, LabelledRows::new(x, y, &judge, &weights)?);
        let start = vec![0.0; learn.parameters()];
        Ok(Fold { learn, learn_rows, judge, judge_rows, start })
    };
    (0..count).map(fold).collect()
}
