//! Measuring an epoch whose rows have any number of labels: thresholds are chosen first, then the metrics follow from them.

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Float32Type, Float64Type, Int32Type};
use datafusion::prelude::DataFrame;
use nightjar_models::{ClassCounts, DEFAULT_THRESHOLD, LabelSetCounts, ScoredLabels};

use super::queries::collected;
use crate::error::{Result, StatementError};
use crate::one_sided::OneSided;

/// What a validation says.
#[derive(Debug, Default)]
pub(super) struct Validation {
    /// By name; one that is undefined is left out.
    pub(super) metrics: Vec<(String, f64)>,
    /// Of each label, where a row has any number of them.
    pub(super) thresholds: Vec<f32>,
    /// Whether one class alone is predicted, or none.
    pub(super) one_sided: Option<OneSided>,
}

/// The rows with their labels, as positions, and the probabilities of all.
#[derive(Debug)]
pub(crate) struct LabelRows {
    truth: Vec<Vec<i32>>,
    scored: ScoredLabels,
    labels: usize,
    losses: f64,
}

impl LabelRows {
    /// Returns no rows, of so many labels.
    pub(crate) fn new(labels: usize) -> Self {
        Self { truth: Vec::new(), scored: ScoredLabels::new(labels), labels, losses: 0.0 }
    }

    /// Adds a row; a label that training has never seen is -1.
    pub(crate) fn add(&mut self, truth: Vec<i32>, probabilities: impl IntoIterator<Item = f32>, loss: f64) {
        self.scored.add(probabilities, truth.iter().filter_map(|label| usize::try_from(*label).ok()));
        self.truth.push(truth);
        self.losses += loss;
    }

    /// Returns the number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.truth.len()
    }

    /// Returns the threshold given for all labels, or those that suit these rows.
    pub(crate) fn thresholds(&self, given: Option<f32>) -> Vec<f32> {
        match given {
            Some(threshold) => vec![threshold; self.labels],
            None if self.truth.is_empty() => vec![DEFAULT_THRESHOLD; self.labels],
            None => self.scored.thresholds(),
        }
    }

    /// Returns the metrics of predictions by these thresholds.
    pub(crate) fn metrics(&self, thresholds: &[f32]) -> (Vec<(String, f64)>, Option<OneSided>) {
        // Names sort as numbers do; that of a label never seen comes first.
        let name = |label: i32| format!("{label:010}");
        let mut counts = LabelSetCounts::default();
        let mut predicted_rows = vec![0_u64; self.labels];
        for (truth, probabilities) in self.truth.iter().zip(self.scored.rows()) {
            let predicted: Vec<usize> =
                (0..self.labels).filter(|i| probabilities[*i] >= thresholds[*i]).collect();
            predicted.iter().for_each(|label| predicted_rows[*label] += 1);
            let mut truth: Vec<String> = truth.iter().map(|label| name(*label)).collect();
            truth.sort();
            truth.dedup();
            let predicted: Vec<String> = predicted.iter().map(|label| name(*label as i32)).collect();
            counts.add(&refs(&truth), &refs(&predicted));
        }
        let learned = counts.classes().values().filter(|class| class.support > 0).count();
        let one_sided = OneSided::of(&predicted_rows).filter(|_| learned > 1);
        let measured = [
            ("validation_loss", (!self.truth.is_empty()).then(|| self.losses / self.truth.len() as f64)),
            ("accuracy", counts.accuracy()),
            ("micro_precision", counts.micro(ClassCounts::precision)),
            ("micro_recall", counts.micro(ClassCounts::recall)),
            ("micro_f1", counts.micro(ClassCounts::f1)),
            ("macro_precision", counts.macro_mean(ClassCounts::precision)),
            ("macro_recall", counts.macro_mean(ClassCounts::recall)),
            ("macro_f1", counts.macro_mean(ClassCounts::f1)),
        ];
        let metrics = measured.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        (metrics.collect(), one_sided)
    }
}

fn refs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

/// Runs a validation of rows with lists of labels. Memory: 5 bytes for each row and label.
pub(super) async fn run_label_validation(
    query: DataFrame,
    labels: usize,
    threshold: Option<f32>,
) -> Result<Validation> {
    let mut rows = LabelRows::new(labels);
    for batch in collected(query).await? {
        read(&batch, &mut rows)?;
    }
    let thresholds = rows.thresholds(threshold);
    let (metrics, one_sided) = rows.metrics(&thresholds);
    Ok(Validation { metrics, thresholds, one_sided })
}

fn read(batch: &RecordBatch, rows: &mut LabelRows) -> Result<()> {
    let wrong = || StatementError::Internal("a validation of lists of labels without its columns".to_owned());
    let column = |name| batch.column_by_name(name).ok_or_else(wrong);
    let truth = column("label")?.as_list_opt::<i32>().ok_or_else(wrong)?;
    let probabilities = column("prediction")?.as_list_opt::<i32>().ok_or_else(wrong)?;
    let losses = column("loss")?.as_primitive_opt::<Float64Type>().ok_or_else(wrong)?;
    for row in 0..batch.num_rows() {
        let (truth, probabilities) = (truth.value(row), probabilities.value(row));
        let truth = truth.as_primitive_opt::<Int32Type>().ok_or_else(wrong)?;
        let probabilities = probabilities.as_primitive_opt::<Float32Type>().ok_or_else(wrong)?;
        rows.add(truth.values().to_vec(), probabilities.values().iter().copied(), losses.value(row));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    // y = MultiLabelBinarizer([0, 1, 2, -1]) of the truth below, p by the thresholds 0.3, 0.5, 0.5
    // f1_score(y, p, average='micro', zero_division=0) -> 0.6666666666666666; accuracy_score(y, p) -> 0.25
    #[test]
    fn metrics_follow_from_the_thresholds() {
        let mut rows = LabelRows::new(3);
        rows.add(vec![0], [0.4, 0.1, 0.1], 0.5);
        rows.add(vec![0, 1], [0.4, 0.4, 0.1], 0.5);
        rows.add(vec![2], [0.4, 0.1, 0.9], 0.5);
        rows.add(vec![-1], [0.1, 0.1, 0.1], 0.5);
        let of = |found: &[(String, f64)], name: &str| found.iter().find(|(of, _)| of == name).unwrap().1;
        let (metrics, one_sided) = rows.metrics(&[0.3, 0.5, 0.5]);
        assert!((of(&metrics, "micro_f1") - 2.0 / 3.0).abs() < 1e-12, "{metrics:?}");
        assert_eq!((of(&metrics, "accuracy"), of(&metrics, "validation_loss")), (0.25, 0.5));
        assert_eq!(one_sided, None);
        assert_eq!(rows.metrics(&[0.3, 0.5, 1.0]).1, Some(OneSided::Only(0)));
        assert_eq!(rows.metrics(&rows.thresholds(Some(0.95))).1, Some(OneSided::Nothing));
    }
}
