//! From which probability on a label is predicted, where a text may have any number of labels.

/// What a label is predicted from where nothing else is known.
pub const DEFAULT_THRESHOLD: f32 = 0.5;

/// The fewest rows with a label that choose its threshold: fewer would choose by chance.
pub const MIN_THRESHOLD_ROWS: usize = 10;

/// The probabilities of labels in rows, and which of the labels the rows have.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredLabels {
    labels: usize,
    /// `[rows, labels]`, row-major.
    probabilities: Vec<f32>,
    /// As long as the probabilities.
    truth: Vec<bool>,
}

impl ScoredLabels {
    /// Returns no rows, of so many labels.
    pub fn new(labels: usize) -> Self {
        Self { labels, probabilities: Vec::new(), truth: Vec::new() }
    }

    /// Adds a row. Probabilities beyond the labels do not count, and missing ones are 0; nor do labels that the model does not know.
    pub fn add(
        &mut self,
        probabilities: impl IntoIterator<Item = f32>,
        truth: impl IntoIterator<Item = usize>,
    ) {
        let start = self.truth.len();
        self.probabilities.extend(probabilities.into_iter().take(self.labels));
        self.probabilities.resize(start + self.labels, 0.0);
        self.truth.resize(start + self.labels, false);
        truth
            .into_iter()
            .filter(|label| *label < self.labels)
            .for_each(|label| self.truth[start + label] = true);
    }

    /// Returns the probabilities of each row.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.probabilities.chunks_exact(self.labels.max(1))
    }

    /// Returns the threshold of each label that gives it the greatest F1 on these rows, the highest of equals.
    ///
    /// A label of fewer than [`MIN_THRESHOLD_ROWS`] rows gets the one threshold that gives all labels together the greatest micro F1,
    /// and [`DEFAULT_THRESHOLD`] where no row has any label.
    pub fn thresholds(&self) -> Vec<f32> {
        let shared =
            best_threshold(self.probabilities.iter().copied().zip(self.truth.iter().copied()).collect());
        let of_label = |label: usize| {
            let picked = self.rows().zip(self.truth.chunks_exact(self.labels));
            let scored: Vec<(f32, bool)> = picked.map(|(row, truth)| (row[label], truth[label])).collect();
            let support = scored.iter().filter(|(_, has)| *has).count();
            if support < MIN_THRESHOLD_ROWS { shared } else { best_threshold(scored) }
        };
        (0..self.labels).map(of_label).collect()
    }
}

/// Returns the threshold with the greatest F1: halfway to the next lower probability, so that rounding elsewhere does not cross it.
fn best_threshold(mut scored: Vec<(f32, bool)>) -> f32 {
    let support = scored.iter().filter(|(_, has)| *has).count();
    // What is not a number is never predicted.
    scored.retain(|(score, _)| score.is_finite());
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut best, mut best_f1, mut hits) = (DEFAULT_THRESHOLD, 0.0, 0_usize);
    for (index, (score, has)) in scored.iter().enumerate() {
        hits += usize::from(*has);
        let next = scored.get(index + 1).map_or(0.0, |next| next.0);
        // Equal probabilities stand on one side.
        if next == *score && index + 1 < scored.len() {
            continue;
        }
        let f1 = 2.0 * hits as f64 / (index + 1 + support) as f64;
        if f1 > best_f1 {
            let halfway = score + (next - score) / 2.0;
            (best, best_f1) = (if halfway > next { halfway } else { *score }, f1);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(rows: &[(f32, bool)]) -> Vec<(f32, bool)> {
        rows.to_vec()
    }

    // y = [1, 0, 1, 1, 0, 0]; s = [.9, .8, .7, .4, .3, .1]
    // p, r, t = precision_recall_curve(y, s); f = 2 * p * r / (p + r); t[f.argmax()], f.max() -> 0.4 0.8571428571428571
    #[test]
    fn the_threshold_is_that_of_the_greatest_f1() {
        let rows = [(0.9, true), (0.8, false), (0.7, true), (0.4, true), (0.3, false), (0.1, false)];
        assert!((best_threshold(scored(&rows)) - 0.35).abs() < 1e-6);
        let mut reversed = rows;
        reversed.reverse();
        assert_eq!(best_threshold(scored(&reversed)), best_threshold(scored(&rows)));
    }

    #[test]
    fn equal_probabilities_are_never_parted_and_no_row_gives_the_default() {
        let rows = [(0.2, true), (0.2, false), (0.2, true), (0.1, false)];
        let threshold = best_threshold(scored(&rows));
        assert!(threshold > 0.1 && threshold <= 0.2, "{threshold}");
        assert_eq!(best_threshold(scored(&[(0.9, false)])), DEFAULT_THRESHOLD);
        assert_eq!(best_threshold(Vec::new()), DEFAULT_THRESHOLD);
        assert!(best_threshold(scored(&[(0.9, true), (f32::NAN, false)])).is_finite());
    }

    #[test]
    fn a_rare_label_takes_the_threshold_of_all_labels_together() {
        let mut rows = ScoredLabels::new(2);
        for row in 0..40 {
            // The first label is in every other row, from 0.3 on; the second in one.
            let has = row % 2 == 0;
            let truth: &[usize] = if row == 0 {
                &[0, 1]
            } else if has {
                &[0, 9]
            } else {
                &[]
            };
            rows.add(
                [if has { 0.3 } else { 0.1 }, if row == 0 { 0.05 } else { 0.02 }],
                truth.iter().copied(),
            );
        }
        let thresholds = rows.thresholds();
        assert!((thresholds[0] - 0.2).abs() < 1e-6, "{thresholds:?}");
        assert!((thresholds[1] - 0.2).abs() < 1e-6, "{thresholds:?}");
        assert_eq!(ScoredLabels::new(2).thresholds(), [DEFAULT_THRESHOLD; 2]);
    }
}
