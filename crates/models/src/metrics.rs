//! How good a classifier's probabilities are.

use serde::{Deserialize, Serialize};

use crate::confusion::ratio;
use crate::{ClassCounts, ModelError, Result};

/// The quality of one class's predictions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassMetrics {
    /// The class.
    pub label: String,
    /// Of the rows predicted as this class, the share that are; 0 where none was predicted.
    pub precision: f64,
    /// Of the rows of this class, the share predicted so; 0 where there are none.
    pub recall: f64,
    /// The harmonic mean of the two; 0 where both are 0.
    pub f1: f64,
    /// Rows of this class.
    pub support: usize,
}

/// The quality of a classifier on labelled rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassificationReport {
    /// Labelled rows.
    pub rows: usize,
    /// The share of rows whose most probable class is the true one.
    pub accuracy: f64,
    /// The mean of the classes' precision.
    pub macro_precision: f64,
    /// The mean of the classes' recall.
    pub macro_recall: f64,
    /// The mean of the classes' F1.
    pub macro_f1: f64,
    /// The mean of `-ln p(true class)`.
    pub log_loss: f64,
    /// The area under the ROC curve of the second class; none unless there are two classes, each with rows.
    pub roc_auc: Option<f64>,
    /// One entry for each label, in order.
    pub per_class: Vec<ClassMetrics>,
}

/// Returns the metrics of `probabilities`, `[rows, classes]`, against the true classes.
///
/// The prediction is the most probable class, the first of equals. Every label counts in the macro averages,
/// with 0 where it has no rows or no predictions, as in scikit-learn with `labels` given and
/// `zero_division=0`. The log loss clips probabilities at f32's epsilon, as scikit-learn does for f32 input.
///
/// # Errors
/// `TrainingData` without rows, `SizeMismatch` where lengths disagree or a class is out of range.
pub fn classification_report(
    truth: &[usize],
    probabilities: &[f32],
    labels: &[String],
) -> Result<ClassificationReport> {
    let classes = labels.len();
    if truth.is_empty() {
        return Err(ModelError::training("it has no labelled rows"));
    }
    let (expected, found) = (truth.len() * classes, probabilities.len());
    if expected != found || classes == 0 {
        return Err(ModelError::SizeMismatch { what: "the number of probabilities", expected, found });
    }
    if let Some(&class) = truth.iter().find(|&&class| class >= classes) {
        return Err(ModelError::SizeMismatch { what: "the true class", expected: classes - 1, found: class });
    }
    let rows = || truth.iter().copied().zip(probabilities.chunks_exact(classes));
    let mut counts = vec![ClassCounts::default(); classes];
    for (class, row) in rows() {
        let guess = (0..classes).fold(0, |best, i| if row[i] > row[best] { i } else { best });
        counts[class].support += 1;
        counts[guess].predicted += 1;
        counts[class].hits += u64::from(class == guess);
    }
    let counts: Vec<_> = labels.iter().cloned().zip(counts).collect();
    let log_loss =
        rows().map(|(class, row)| row_log_loss(row[class].into())).sum::<f64>() / truth.len() as f64;
    let score_of = |positive: bool| {
        rows()
            .filter(move |row| (row.0 == 1) == positive)
            .map(|(_, row)| f64::from(row[1]))
            .collect::<Vec<_>>()
    };
    let roc_auc = (classes == 2).then(|| roc_auc(&mut score_of(true), &mut score_of(false))).flatten();
    Ok(ClassificationReport::of_counts(&counts, log_loss, roc_auc))
}

impl ClassificationReport {
    /// Returns the report of classes whose rows have been counted, in the order given; every class counts in the macro
    /// averages.
    pub fn of_counts(classes: &[(String, ClassCounts)], log_loss: f64, roc_auc: Option<f64>) -> Self {
        let per_class: Vec<_> = classes
            .iter()
            .map(|(label, counts)| ClassMetrics {
                label: label.clone(),
                precision: counts.precision(),
                recall: counts.recall(),
                f1: counts.f1(),
                support: counts.support as usize,
            })
            .collect();
        let mean =
            |value: fn(&ClassMetrics) -> f64| per_class.iter().map(value).sum::<f64>() / classes.len() as f64;
        let sum = |value: fn(&ClassCounts) -> u64| classes.iter().map(|class| value(&class.1)).sum::<u64>();
        let rows = sum(|counts| counts.support);
        Self {
            rows: rows as usize,
            accuracy: ratio(sum(|counts| counts.hits), rows),
            macro_precision: mean(|class| class.precision),
            macro_recall: mean(|class| class.recall),
            macro_f1: mean(|class| class.f1),
            log_loss,
            roc_auc,
            per_class,
        }
    }
}

/// Returns the log loss of one row: `-ln` of the probability given to its true class, clipped at f32's epsilon.
pub fn row_log_loss(probability: f64) -> f64 {
    const EPSILON: f64 = f32::EPSILON as f64;
    // scikit-learn clips in the input's own precision, where 1 - epsilon is a number of its own.
    -probability.clamp(EPSILON, 1.0 - EPSILON).ln()
}

/// Returns the area under the ROC curve: the probability that a positive row scores above a negative one, ties counting
/// one half (Mann-Whitney U). None unless there are rows of both; NaN where a score is. Sorts the scores.
pub fn roc_auc(positives: &mut [f64], negatives: &mut [f64]) -> Option<f64> {
    if positives.is_empty() || negatives.is_empty() {
        return None;
    }
    if positives.iter().chain(negatives.iter()).any(|score| score.is_nan()) {
        return Some(f64::NAN);
    }
    positives.sort_unstable_by(f64::total_cmp);
    negatives.sort_unstable_by(f64::total_cmp);
    // Twice the number of won pairs, so that a tie is a whole number.
    let (mut won, mut below, mut up_to) = (0u128, 0, 0);
    for score in positives.iter() {
        below += negatives[below..].iter().take_while(|negative| *negative < score).count();
        up_to += negatives[up_to..].iter().take_while(|negative| *negative <= score).count();
        won += (below + up_to) as u128;
    }
    Some(won as f64 / 2.0 / (positives.len() as f64 * negatives.len() as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[track_caller]
    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-6, "{found}, expected {expected}");
    }

    // truth = [0,1,2,2,1,0,2,1]; p = np.array([...]) as below; pred = p.argmax(1)
    // accuracy_score(truth, pred)                                              -> 0.625
    // precision_recall_fscore_support(truth, pred, zero_division=0)            -> [1/2, 2/3, 2/3] three
    // times, [2, 3, 3] precision_recall_fscore_support(..., average='macro')                    ->
    // 0.611111111111111 three times log_loss(truth, p)
    // -> 0.9622868506938415
    #[test]
    fn three_classes_agree_with_scikit_learn() {
        let p = [
            0.7, 0.2, 0.1, 0.1, 0.6, 0.3, 0.2, 0.2, 0.6, 0.5, 0.3, 0.2, 0.3, 0.4, 0.3, 0.1, 0.8, 0.1, 0.05,
            0.05, 0.9, 0.25, 0.25, 0.5,
        ];
        let report = classification_report(&[0, 1, 2, 2, 1, 0, 2, 1], &p, &labels(&["a", "b", "c"])).unwrap();
        assert_eq!((report.rows, report.roc_auc), (8, None));
        near(report.accuracy, 0.625);
        for value in [report.macro_precision, report.macro_recall, report.macro_f1] {
            near(value, 0.611_111_111);
        }
        near(report.log_loss, 0.962_286_850_7);
        for (class, (value, support)) in
            report.per_class.iter().zip([(0.5, 2), (2.0 / 3.0, 3), (2.0 / 3.0, 3)])
        {
            assert_eq!(class.support, support);
            [class.precision, class.recall, class.f1].into_iter().for_each(|found| near(found, value));
        }
    }

    // truth = [0,0,1,1,1,0]; s = [.1,.4,.35,.8,.4,.2]
    // roc_auc_score(truth, s)                    -> 0.8333333333333334
    // log_loss(truth, np.c_[1-s, s])             -> 0.5047643501612881
    #[test]
    fn area_under_the_curve_counts_ties_by_half() {
        let p: Vec<f32> =
            [0.1, 0.4, 0.35, 0.8, 0.4, 0.2].into_iter().flat_map(|s: f32| [1.0 - s, s]).collect();
        let report = classification_report(&[0, 0, 1, 1, 1, 0], &p, &labels(&["no", "yes"])).unwrap();
        near(report.roc_auc.unwrap(), 0.833_333_333_3);
        near(report.log_loss, 0.504_764_350_2);
        let one_sided = classification_report(&[1, 1], &p[..4], &labels(&["no", "yes"])).unwrap();
        assert_eq!(one_sided.roc_auc, None);
    }

    // truth = [0,0,1]; p = [[.9,.1,0],[.8,.1,.1],[.6,.3,.1]]; pred = p.argmax(1)
    // precision_recall_fscore_support(truth, pred, labels=[0,1,2], average='macro', zero_division=0)
    //                                            -> (0.2222222222222222, 0.3333333333333333,
    // 0.26666666666666666) log_loss(truth, p, labels=[0,1,2])         -> 0.5108256237659907
    #[test]
    fn classes_without_rows_or_predictions_count_as_zero() {
        let p = [0.9, 0.1, 0.0, 0.8, 0.1, 0.1, 0.6, 0.3, 0.1];
        let report = classification_report(&[0, 0, 1], &p, &labels(&["a", "b", "c"])).unwrap();
        near(report.macro_precision, 0.222_222_222);
        near(report.macro_recall, 0.333_333_333);
        near(report.macro_f1, 0.266_666_667);
        near(report.log_loss, 0.510_825_623_8);
    }

    // log_loss([0,1], np.array([[0,1],[0,1]], dtype=np.float32)) -> 7.971192359924316
    #[test]
    fn impossible_truths_are_clipped() {
        let report = classification_report(&[0, 1], &[0.0, 1.0, 0.0, 1.0], &labels(&["a", "b"])).unwrap();
        near(report.log_loss, 7.971_192_419_5);
    }

    // -0 and 0 are one score.
    #[test]
    fn odd_scores_have_a_defined_area() {
        assert_eq!(roc_auc(&mut [0.0, 1.0], &mut [-0.0, -1.0]), Some(0.875));
        assert_eq!(roc_auc(&mut [f64::INFINITY], &mut [f64::NEG_INFINITY]), Some(1.0));
        assert!(roc_auc(&mut [0.5], &mut [f64::NAN]).is_some_and(f64::is_nan));
        assert_eq!(roc_auc(&mut [], &mut [1.0]), None);
    }

    #[test]
    fn unfitting_input_is_refused() {
        let names = labels(&["a", "b"]);
        assert!(matches!(classification_report(&[], &[], &names), Err(ModelError::TrainingData { .. })));
        assert!(matches!(classification_report(&[0], &[1.0], &names), Err(ModelError::SizeMismatch { .. })));
        assert!(matches!(
            classification_report(&[2], &[0.5, 0.5], &names),
            Err(ModelError::SizeMismatch { .. })
        ));
    }
}
