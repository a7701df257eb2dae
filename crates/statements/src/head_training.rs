//! Method 'head': an exact regression on frozen embeddings, logistic for labels and ridge for numbers.
//!
//! # How it runs
//!
//! `statements/training.rs`: the ON query with `embed(text)` added is one plan, run by the same
//! operator; its rows are sorted by the digest of text and target; a stratified split by hash is held
//! out; `head_training.rs` fits an exact logistic regression (L-BFGS), its strength chosen by
//! cross-validation on the remaining rows; the held-out rows measure it; the head that is kept is then
//! fitted on all rows. The artifact (`card.json`, `head.safetensors`) is published first, then version
//! and run are committed together.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nightjar_catalog::TrainingWarning;
use nightjar_models::{
    ClassWeights, ClassificationReport, ClassifierHead, Embeddings, FitPhase, FitProgress, LogisticOptions,
    RegressionHead, RegressionReport, classification_report, fit_logistic, fit_ridge, regression_report,
};

use crate::Watch;
use crate::error::{Result, StatementError};
use crate::label_list_head::label_list_classifier;
use crate::labelled_rows::{LabelledRows, Targets, check_labels};
use crate::one_sided::OneSided;
use crate::split::Split;

/// What the options say to this method.
#[derive(Debug, Clone)]
pub(crate) struct HeadOptions {
    /// C, or None for the choice by cross-validation.
    pub(crate) regularization: Option<f64>,
    pub(crate) class_weights: ClassWeights,
    pub(crate) validation_fraction: f64,
    pub(crate) seed: i64,
    /// From which probability on a label of a list is predicted, or None for the choice on validation rows.
    pub(crate) threshold: Option<f32>,
}

/// A trained head, ready to be stored.
#[derive(Debug)]
pub(crate) enum Head {
    Classifier(ClassifierHead),
    Regression(RegressionHead),
}

impl Head {
    /// Writes the head's file.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        match self {
            Self::Classifier(head) => Ok(head.save(path)?),
            Self::Regression(head) => Ok(head.save(path)?),
        }
    }

    /// Returns the labels, none for a regression.
    pub(crate) fn labels(&self) -> Vec<String> {
        match self {
            Self::Classifier(head) => head.labels.clone(),
            Self::Regression(_) => Vec::new(),
        }
    }
}

/// A head with what was measured.
#[derive(Debug)]
pub(crate) struct TrainedHead {
    pub(crate) head: Head,
    /// By name; `regularization` is the strength that was used.
    pub(crate) metrics: BTreeMap<String, f64>,
    /// The losses of the candidates for the strength, as (strength, loss).
    pub(crate) candidates: Vec<(f64, f64)>,
    /// From which probability on each label is predicted, where a row has any number of them.
    pub(crate) thresholds: Vec<f32>,
    /// What the user should know of its predictions.
    pub(crate) warnings: Vec<TrainingWarning>,
}

/// Trains on a blocking thread, and stops there soon after the returned future is dropped.
pub(crate) async fn train(
    rows: Arc<LabelledRows>,
    validation: Option<Arc<LabelledRows>>,
    options: HeadOptions,
    watch: Arc<dyn Watch>,
) -> Result<TrainedHead> {
    let cancelled = Arc::new(AtomicBool::new(false));
    let guard = CancelOnDrop(Arc::clone(&cancelled));
    watch.phase("fitting", "iterations", None);
    let fitting = tokio::task::spawn_blocking(move || {
        let mut iterations = 0;
        let mut progress = |progress: FitProgress| {
            iterations += 1;
            if progress.iteration == 1 {
                watch.phase(&phase_name(&progress), "iterations", None);
                iterations = 1;
            }
            watch.position(iterations);
            if cancelled.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        match &rows.targets {
            Targets::Labels { labels, classes } => {
                classifier(&rows, labels, classes, validation.as_deref(), &options, &mut progress)
            }
            Targets::LabelLists { labels, sets } => {
                let validation = validation.as_deref();
                label_list_classifier(&rows, (labels, sets), validation, &options, &mut progress)
            }
            Targets::Numbers(numbers) => regression(&rows, numbers, validation.as_deref(), &options),
        }
    });
    let trained =
        fitting.await.map_err(|stopped| StatementError::Internal(format!("training stopped: {stopped}")))?;
    drop(guard);
    trained
}

fn phase_name(progress: &FitProgress) -> String {
    match progress.phase {
        FitPhase::Select { fold, folds } => {
            format!("choosing C: fold {}/{folds}, C = {}", fold + 1, progress.c)
        }
        FitPhase::Fit => format!("fitting with C = {}", progress.c),
    }
}

/// Tells the blocking thread to stop when the statement is dropped.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Measures on held-out rows first, with C chosen on the other rows only; the head that is kept then learns from
/// all rows with that C.
fn classifier(
    rows: &LabelledRows,
    labels: &[String],
    classes: &[u32],
    validation: Option<&LabelledRows>,
    options: &HeadOptions,
    progress: &mut dyn FnMut(FitProgress) -> ControlFlow<()>,
) -> Result<TrainedHead> {
    let mut fit_options = LogisticOptions {
        c: options.regularization,
        class_weights: options.class_weights,
        seed: options.seed as u64,
        ..LogisticOptions::default()
    };
    let mut metrics = BTreeMap::new();
    let mut candidates = Vec::new();
    let mut warnings = Vec::new();
    if validation.is_none() {
        let split = Split::stratified(rows, options.validation_fraction, options.seed);
        if !split.validation.is_empty() {
            let (x, y) = (take(&rows.embeddings, &split.train), pick(classes, &split.train));
            let fit = fit_logistic(&x, &y, labels.len(), &fit_options, progress)?;
            // The strength that the smaller part chose serves the whole as well, and is not chosen twice.
            fit_options.c = Some(fit.c);
            candidates.clone_from(&fit.candidates);
            let head = fit.head(labels.to_vec())?;
            let truth: Vec<usize> = split.validation.iter().map(|row| classes[*row] as usize).collect();
            let held_out = take(&rows.embeddings, &split.validation);
            let probabilities = head.probabilities(&held_out);
            let report = classification_report(&truth, &probabilities, labels)?;
            warnings.extend(one_sided(&report, &probabilities, labels));
            add_classification(&mut metrics, &report);
        }
    }
    let fit = fit_logistic(&rows.embeddings, classes, labels.len(), &fit_options, progress)?;
    metrics.insert("train_loss".to_owned(), fit.train_loss);
    metrics.insert("regularization".to_owned(), fit.c);
    metrics.insert("iterations".to_owned(), fit.iterations as f64);
    if candidates.is_empty() {
        candidates.clone_from(&fit.candidates);
    }
    let head = fit.head(labels.to_vec())?;
    if let Some(validation) = validation {
        let (truth, probabilities, labels) = with_unseen(&head, validation)?;
        let report = classification_report(&truth, &probabilities, &labels)?;
        warnings.extend(one_sided(&report, &probabilities, &labels));
        add_classification(&mut metrics, &report);
    }
    Ok(TrainedHead { head: Head::Classifier(head), metrics, candidates, thresholds: Vec::new(), warnings })
}

/// Returns the warning that one class alone is predicted of rows that have several.
fn one_sided(
    report: &ClassificationReport,
    probabilities: &[f32],
    labels: &[String],
) -> Option<TrainingWarning> {
    let mut predicted = vec![0_u64; labels.len()];
    for row in probabilities.chunks_exact(labels.len().max(1)) {
        let best = (0..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best });
        predicted[best] += 1;
    }
    let learned = report.per_class.iter().filter(|class| class.support > 0).count();
    let one_sided = OneSided::of(&predicted).filter(|_| learned > 1)?;
    Some(one_sided.warning(labels, report.rows as u64))
}

/// Returns truth, probabilities and labels over the head's labels and those that only the rows have: a label that the
/// head never saw has probability 0, and counts as wrong.
fn with_unseen(head: &ClassifierHead, rows: &LabelledRows) -> Result<(Vec<usize>, Vec<f32>, Vec<String>)> {
    let Targets::Labels { labels: found, classes } = &rows.targets else {
        return Err(StatementError::Internal("classification without labels".to_owned()));
    };
    let mut labels = head.labels.clone();
    labels.extend(found.iter().filter(|label| !head.labels.contains(label)).cloned());
    let of: Vec<usize> = found
        .iter()
        .map(|label| labels.iter().position(|known| known == label).unwrap_or_default())
        .collect();
    let truth = classes.iter().map(|class| of[*class as usize]).collect();
    let mut probabilities = Vec::with_capacity(rows.len() * labels.len());
    for row in rows.embeddings.iter() {
        probabilities.extend(head.probabilities_of(row));
        probabilities.resize(probabilities.len() + labels.len() - head.labels.len(), 0.0);
    }
    Ok((truth, probabilities, labels))
}

fn regression(
    rows: &LabelledRows,
    numbers: &[f64],
    validation: Option<&LabelledRows>,
    options: &HeadOptions,
) -> Result<TrainedHead> {
    let mut metrics = BTreeMap::new();
    let mut candidates = Vec::new();
    // Ridge's penalty is the inverse of C.
    let mut lambda = options.regularization.map(f64::recip);
    let seed = options.seed as u64;
    if validation.is_none() {
        let split = Split::stratified(rows, options.validation_fraction, options.seed);
        if !split.validation.is_empty() {
            let (x, y) = (take(&rows.embeddings, &split.train), pick(numbers, &split.train));
            let fit = fit_ridge(&x, &y, lambda, seed)?;
            lambda = Some(fit.lambda);
            candidates.clone_from(&fit.candidates);
            let predicted = fit.head.predict(&take(&rows.embeddings, &split.validation));
            add_regression(&mut metrics, &regression_report(&pick(numbers, &split.validation), &predicted)?);
        }
    }
    let fit = fit_ridge(&rows.embeddings, numbers, lambda, seed)?;
    metrics.insert("regularization".to_owned(), fit.lambda.recip());
    let trained = regression_report(numbers, &fit.head.predict(&rows.embeddings))?;
    metrics.insert("train_loss".to_owned(), trained.rmse * trained.rmse);
    if let Some(validation) = validation {
        let Targets::Numbers(truth) = &validation.targets else {
            return Err(StatementError::Internal("regression without numbers".to_owned()));
        };
        add_regression(&mut metrics, &regression_report(truth, &fit.head.predict(&validation.embeddings))?);
    }
    let (thresholds, warnings) = (Vec::new(), Vec::new());
    Ok(TrainedHead { head: Head::Regression(fit.head), metrics, candidates, thresholds, warnings })
}

fn add_classification(metrics: &mut BTreeMap<String, f64>, report: &ClassificationReport) {
    metrics.insert("validation_rows".to_owned(), report.rows as f64);
    metrics.insert("validation_loss".to_owned(), report.log_loss);
    metrics.insert("accuracy".to_owned(), report.accuracy);
    metrics.insert("macro_f1".to_owned(), report.macro_f1);
}

fn add_regression(metrics: &mut BTreeMap<String, f64>, report: &RegressionReport) {
    metrics.insert("validation_rows".to_owned(), report.rows as f64);
    metrics.insert("validation_loss".to_owned(), report.rmse * report.rmse);
    metrics.insert("rmse".to_owned(), report.rmse);
    metrics.insert("r2".to_owned(), report.r2);
}

pub(crate) fn take(embeddings: &Embeddings, rows: &[usize]) -> Embeddings {
    let mut taken = Embeddings::zeros(rows.len(), embeddings.dim);
    for (index, row) in rows.iter().enumerate() {
        taken.data[index * embeddings.dim..][..embeddings.dim].copy_from_slice(embeddings.row(*row));
    }
    taken
}

pub(crate) fn pick<T: Copy>(values: &[T], rows: &[usize]) -> Vec<T> {
    rows.iter().map(|row| values[*row]).collect()
}

/// Refuses rows that a classifier can't be learned from.
pub(crate) fn check_classes(rows: &LabelledRows, target: &str) -> Result<()> {
    let Targets::Labels { labels, .. } = &rows.targets else {
        return Ok(());
    };
    check_labels(labels, rows.len(), target)
}
