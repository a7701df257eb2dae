//! How often each true label met each predicted one, and the metrics that follow from those counts alone.

use std::collections::BTreeMap;

/// The counts of one class that precision, recall and F1 follow from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClassCounts {
    /// Rows of the class that were predicted so.
    pub hits: u64,
    /// Rows predicted as the class.
    pub predicted: u64,
    /// Rows of the class.
    pub support: u64,
}

impl ClassCounts {
    /// Returns the share of the rows predicted as the class that are of it; 0 where none was predicted.
    pub fn precision(self) -> f64 {
        ratio(self.hits, self.predicted)
    }

    /// Returns the share of the class's rows that were predicted so; 0 where there are none.
    pub fn recall(self) -> f64 {
        ratio(self.hits, self.support)
    }

    /// Returns the harmonic mean of precision and recall; 0 where both are 0.
    pub fn f1(self) -> f64 {
        ratio(2 * self.hits, self.predicted + self.support)
    }

    /// Returns the counts of two classes, or of two parts of the rows, together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            hits: self.hits + other.hits,
            predicted: self.predicted + other.predicted,
            support: self.support + other.support,
        }
    }
}

pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The number of rows for each pair of true label and prediction; counts of parts add up to the counts of the whole.
///
/// Cost: memory for each pair that occurs, none for a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfusionMatrix {
    counts: BTreeMap<String, BTreeMap<String, u64>>,
}

impl ConfusionMatrix {
    /// Counts `rows` more rows with this label and this prediction.
    pub fn add(&mut self, label: &str, prediction: &str, rows: u64) {
        // Not `entry`, which wants a new string for each row.
        if let Some(count) = self.counts.get_mut(label).and_then(|row| row.get_mut(prediction)) {
            *count += rows;
        } else if rows > 0 {
            self.counts.entry(label.to_owned()).or_default().insert(prediction.to_owned(), rows);
        }
    }

    /// Takes back one row that was counted before.
    pub fn remove(&mut self, label: &str, prediction: &str) {
        let Some(row) = self.counts.get_mut(label) else { return };
        if let Some(count) = row.get_mut(prediction) {
            *count -= 1;
            if *count == 0 {
                row.remove(prediction);
            }
        }
        if row.is_empty() {
            self.counts.remove(label);
        }
    }

    /// Returns label, prediction and count of each pair that occurs, sorted by label and prediction.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        self.counts.iter().flat_map(|(label, row)| {
            row.iter().map(move |(prediction, count)| (label.as_str(), prediction.as_str(), *count))
        })
    }

    /// Returns the number of rows.
    pub fn rows(&self) -> u64 {
        self.pairs().map(|(_, _, count)| count).sum()
    }

    /// Returns the true labels that occur, sorted as text.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.counts.keys().map(String::as_str)
    }

    /// Returns the share of rows whose prediction is their label; none without rows.
    pub fn accuracy(&self) -> Option<f64> {
        let rows = self.rows();
        let hits = self.pairs().filter(|(label, prediction, _)| label == prediction).map(|pair| pair.2).sum();
        (rows > 0).then(|| ratio(hits, rows))
    }

    /// Returns the counts of each class that occurs as a label or as a prediction.
    pub fn classes(&self) -> BTreeMap<&str, ClassCounts> {
        let mut classes = BTreeMap::<&str, ClassCounts>::new();
        for (label, prediction, count) in self.pairs() {
            classes.entry(label).or_default().support += count;
            let predicted = classes.entry(prediction).or_default();
            predicted.predicted += count;
            predicted.hits += if label == prediction { count } else { 0 };
        }
        classes
    }

    /// Returns the mean of a metric over the classes that occur as a label or as a prediction, each of the same weight;
    /// none without rows.
    pub fn macro_mean(&self, metric: fn(ClassCounts) -> f64) -> Option<f64> {
        let classes = self.classes();
        let sum: f64 = classes.values().map(|counts| metric(*counts)).sum();
        (!classes.is_empty()).then(|| sum / classes.len() as f64)
    }

    /// Returns a metric of the counts of all classes together; none without rows. Where each row has one label and one
    /// prediction, precision, recall and F1 are all the accuracy.
    pub fn micro(&self, metric: fn(ClassCounts) -> f64) -> Option<f64> {
        let classes = self.classes();
        let all = classes.values().copied().fold(ClassCounts::default(), ClassCounts::plus);
        (!classes.is_empty()).then(|| metric(all))
    }

    /// Returns the bytes on the heap, roughly.
    pub fn heap_bytes(&self) -> usize {
        // A node of a B-tree holds up to eleven entries; half full, each costs twice its size.
        const ENTRY: usize = 2 * (size_of::<String>() + size_of::<BTreeMap<String, u64>>());
        let words: usize = self.pairs().map(|(label, prediction, _)| label.len() + prediction.len()).sum();
        words + self.pairs().count() * ENTRY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(pairs: &[(&str, &str)]) -> ConfusionMatrix {
        let mut matrix = ConfusionMatrix::default();
        pairs.iter().for_each(|(label, prediction)| matrix.add(label, prediction, 1));
        matrix
    }

    // y = ['a','b','c','c','b','a','c','b']; p = ['a','b','c','a','b','b','c','d']
    // accuracy_score(y, p) -> 0.625
    // precision_recall_fscore_support(y, p, average='macro', zero_division=0)
    //   -> 0.5416666666666666 0.4583333333333333 0.49166666666666664
    // precision_recall_fscore_support(y, p, labels=['b'], average=None, zero_division=0) -> 2/3 2/3 2/3
    #[test]
    fn macro_means_run_over_labels_and_predictions_as_in_scikit_learn() {
        let pairs =
            [("a", "a"), ("b", "b"), ("c", "c"), ("c", "a"), ("b", "b"), ("a", "b"), ("c", "c"), ("b", "d")];
        let matrix = matrix(&pairs);
        let near = |found: Option<f64>, expected: f64| {
            assert!((found.unwrap() - expected).abs() < 1e-12, "{found:?}")
        };
        near(matrix.accuracy(), 0.625);
        near(matrix.macro_mean(ClassCounts::precision), 0.541_666_666_666_666_6);
        near(matrix.macro_mean(ClassCounts::recall), 0.458_333_333_333_333_3);
        near(matrix.macro_mean(ClassCounts::f1), 0.491_666_666_666_666_64);
        assert_eq!(matrix.classes()["b"], ClassCounts { hits: 2, predicted: 3, support: 3 });
        assert_eq!(matrix.classes()["d"], ClassCounts { hits: 0, predicted: 1, support: 0 });
    }

    #[test]
    fn parts_add_up_and_what_is_taken_back_leaves_nothing() {
        let mut whole = matrix(&[("a", "a"), ("a", "b")]);
        for (label, prediction, count) in matrix(&[("a", "b"), ("é", "")]).pairs() {
            whole.add(label, prediction, count);
        }
        assert_eq!(whole.pairs().collect::<Vec<_>>(), [("a", "a", 1), ("a", "b", 2), ("é", "", 1)]);
        assert_eq!((whole.rows(), whole.labels().collect::<Vec<_>>()), (4, vec!["a", "é"]));
        for (label, prediction) in [("a", "b"), ("a", "a"), ("é", ""), ("a", "b")] {
            whole.remove(label, prediction);
        }
        assert_eq!(whole, ConfusionMatrix::default());
        assert_eq!((whole.accuracy(), whole.macro_mean(ClassCounts::f1)), (None, None));
    }
}
