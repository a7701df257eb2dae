//! Method 'head' for rows with any number of labels: a logistic regression for each label by itself, then thresholds.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use nightjar_models::{ClassifierHead, Embeddings, FitProgress, LogisticOptions, fit_logistic};

use crate::error::{Result, StatementError};
use crate::head_training::{Head, HeadOptions, TrainedHead, pick, take};
use crate::labelled_rows::{LabelledRows, Targets};
use crate::split::Split;
use crate::tuning::LabelRows;

type Progress<'a> = dyn FnMut(FitProgress) -> ControlFlow<()> + 'a;

/// The logit of a label that all rows have, or none: all but certain, and still finite.
const CERTAIN_LOGIT: f32 = 10.0;

/// The fits of all labels.
struct Fit {
    head: ClassifierHead,
    /// The strength of each label; none where nothing was fitted.
    strengths: Vec<Option<f64>>,
    /// The mean of the losses.
    loss: f64,
    iterations: f64,
}

/// Measures on held-out rows first and chooses thresholds there; the head that is kept then learns from all rows, with the strengths that
/// the smaller part chose.
pub(crate) fn label_list_classifier(
    rows: &LabelledRows,
    (labels, sets): (&[String], &[Vec<u32>]),
    validation: Option<&LabelledRows>,
    options: &HeadOptions,
    progress: &mut Progress<'_>,
) -> Result<TrainedHead> {
    let mut strengths = vec![options.regularization; labels.len()];
    let mut measured = LabelRows::new(labels.len());
    if validation.is_none() {
        let split = Split::stratified(rows, options.validation_fraction, options.seed);
        if !split.validation.is_empty() {
            let learned: Vec<&Vec<u32>> = split.train.iter().map(|row| &sets[*row]).collect();
            let fit =
                fit(&take(&rows.embeddings, &split.train), &learned, labels, &strengths, options, progress)?;
            strengths = fit.strengths;
            let truth = pick(&sets.iter().collect::<Vec<_>>(), &split.validation);
            let held_out = take(&rows.embeddings, &split.validation);
            let truth = truth.into_iter().map(|set| set.iter().map(|label| *label as i32).collect());
            measure(&mut measured, &fit.head, &held_out, truth);
        }
    }
    let all: Vec<&Vec<u32>> = sets.iter().collect();
    let fit = fit(&rows.embeddings, &all, labels, &strengths, options, progress)?;
    if let Some(validation) = validation {
        let truth = known_labels(&fit.head, validation)?;
        measure(&mut measured, &fit.head, &validation.embeddings, truth.into_iter());
    }
    let thresholds = measured.thresholds(options.threshold);
    let (validated, one_sided) = measured.metrics(&thresholds);
    let mut metrics: BTreeMap<String, f64> = validated.into_iter().collect();
    if measured.rows() > 0 {
        metrics.insert("validation_rows".to_owned(), measured.rows() as f64);
    }
    metrics.insert("train_loss".to_owned(), fit.loss);
    metrics.insert("iterations".to_owned(), fit.iterations);
    let warnings = one_sided.map(|one_sided| one_sided.warning(labels, measured.rows() as u64));
    let (head, candidates) = (Head::Classifier(fit.head), Vec::new());
    Ok(TrainedHead { head, metrics, candidates, thresholds, warnings: warnings.into_iter().collect() })
}

fn fit(
    x: &Embeddings,
    sets: &[&Vec<u32>],
    labels: &[String],
    strengths: &[Option<f64>],
    options: &HeadOptions,
    progress: &mut Progress<'_>,
) -> Result<Fit> {
    let count = labels.len();
    let (mut weight, mut bias) = (Vec::with_capacity(count * x.dim), Vec::with_capacity(count));
    let mut fit = Fit {
        head: ClassifierHead { labels: labels.to_vec(), weight: Vec::new(), bias: Vec::new() },
        strengths: Vec::with_capacity(count),
        loss: 0.0,
        iterations: 0.0,
    };
    for (label, strength) in strengths.iter().enumerate() {
        let y: Vec<u32> = sets.iter().map(|set| u32::from(set.contains(&(label as u32)))).collect();
        let with: u32 = y.iter().sum();
        if with == 0 || with as usize == y.len() {
            // Held-out rows may be the only ones that tell this label apart.
            weight.resize(weight.len() + x.dim, 0.0);
            bias.push(if with == 0 { -CERTAIN_LOGIT } else { CERTAIN_LOGIT });
            fit.strengths.push(*strength);
            continue;
        }
        let of_label = LogisticOptions {
            c: *strength,
            class_weights: options.class_weights,
            seed: options.seed as u64,
            ..LogisticOptions::default()
        };
        let found = fit_logistic(x, &y, 2, &of_label, progress)?;
        // The sigmoid of the difference of two logits is their softmax.
        let (without, with) = found.weight.split_at(x.dim);
        weight.extend(with.iter().zip(without).map(|(with, without)| with - without));
        bias.push(found.bias[1] - found.bias[0]);
        fit.strengths.push(Some(found.c));
        fit.loss += found.train_loss / count as f64;
        fit.iterations += found.iterations as f64;
    }
    (fit.head.weight, fit.head.bias) = (weight, bias);
    Ok(fit)
}

fn measure(
    measured: &mut LabelRows,
    head: &ClassifierHead,
    rows: &Embeddings,
    truth: impl Iterator<Item = Vec<i32>>,
) {
    for (row, truth) in rows.iter().zip(truth) {
        let probabilities = head.sigmoids_of(row);
        let loss = |(label, probability): (usize, &f32)| {
            let probability = f64::from(*probability);
            let has = truth.contains(&(label as i32));
            nightjar_models::row_log_loss(if has { probability } else { 1.0 - probability })
        };
        let unseen = truth.iter().filter(|label| **label < 0).count();
        let sum: f64 = probabilities.iter().enumerate().map(loss).sum();
        let sum = sum + nightjar_models::row_log_loss(0.0) * unseen as f64;
        let mean = sum / (probabilities.len() + unseen).max(1) as f64;
        measured.add(truth, probabilities, mean);
    }
}

/// Returns the labels of each row as the head numbers them; -1 for one that it never saw.
fn known_labels(head: &ClassifierHead, rows: &LabelledRows) -> Result<Vec<Vec<i32>>> {
    let Targets::LabelLists { labels, sets } = &rows.targets else {
        return Err(StatementError::Internal("lists of labels to validate on without lists".to_owned()));
    };
    let of = |label: &String| head.labels.iter().position(|known| known == label).map_or(-1, |i| i as i32);
    let known: Vec<i32> = labels.iter().map(of).collect();
    Ok(sets.iter().map(|set| set.iter().map(|label| known[*label as usize]).collect()).collect())
}
