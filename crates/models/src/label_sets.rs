//! How often rows with any number of labels were given the right ones.

use std::collections::BTreeMap;

use crate::ClassCounts;
use crate::confusion::ratio;

/// Counts over rows whose label and prediction are sets of labels; counts of parts add up to the counts of the whole.
///
/// Cost: memory for each label that occurs, none for a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelSetCounts {
    rows: u64,
    exact: u64,
    classes: BTreeMap<String, ClassCounts>,
}

impl LabelSetCounts {
    /// Counts a row; both sets are sorted and name each label once.
    pub fn add(&mut self, labels: &[&str], predictions: &[&str]) {
        self.rows += 1;
        self.exact += u64::from(labels == predictions);
        for label in labels {
            let hits = u64::from(predictions.binary_search(label).is_ok());
            self.add_class(label, ClassCounts { hits, predicted: 0, support: 1 });
        }
        for prediction in predictions {
            self.add_class(prediction, ClassCounts { hits: 0, predicted: 1, support: 0 });
        }
    }

    /// Takes back a row that was counted before.
    pub fn remove(&mut self, labels: &[&str], predictions: &[&str]) {
        self.rows -= 1;
        self.exact -= u64::from(labels == predictions);
        for label in labels {
            let hits = u64::from(predictions.binary_search(label).is_ok());
            self.remove_class(label, ClassCounts { hits, predicted: 0, support: 1 });
        }
        for prediction in predictions {
            self.remove_class(prediction, ClassCounts { hits: 0, predicted: 1, support: 0 });
        }
    }

    /// Adds rows that were counted elsewhere, `exact` of them with the very labels; their labels follow one by one.
    pub fn add_rows(&mut self, rows: u64, exact: u64) {
        self.rows += rows;
        self.exact += exact;
    }

    /// Adds what was counted elsewhere of a label.
    pub fn add_class(&mut self, label: &str, counts: ClassCounts) {
        // Not `entry`, which wants a new string for each row.
        if let Some(known) = self.classes.get_mut(label) {
            *known = known.plus(counts);
        } else {
            self.classes.insert(label.to_owned(), counts);
        }
    }

    fn remove_class(&mut self, label: &str, counts: ClassCounts) {
        let Some(known) = self.classes.get_mut(label) else { return };
        known.hits -= counts.hits;
        known.predicted -= counts.predicted;
        known.support -= counts.support;
        if *known == ClassCounts::default() {
            self.classes.remove(label);
        }
    }

    /// Returns the number of rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Returns the rows whose prediction is their very set of labels.
    pub fn exact(&self) -> u64 {
        self.exact
    }

    /// Returns the counts of each label that occurs in a set, sorted as text.
    pub fn classes(&self) -> &BTreeMap<String, ClassCounts> {
        &self.classes
    }

    /// Returns the share of rows whose prediction is their very set of labels; none without rows.
    pub fn accuracy(&self) -> Option<f64> {
        (self.rows > 0).then(|| ratio(self.exact, self.rows))
    }

    /// Returns a metric of the counts of all labels together; none without rows.
    pub fn micro(&self, metric: fn(ClassCounts) -> f64) -> Option<f64> {
        let all = self.classes.values().copied().fold(ClassCounts::default(), ClassCounts::plus);
        (self.rows > 0).then(|| metric(all))
    }

    /// Returns the mean of a metric over the labels that occur, each of the same weight: 0 where none does, none without
    /// rows.
    pub fn macro_mean(&self, metric: fn(ClassCounts) -> f64) -> Option<f64> {
        let sum: f64 = self.classes.values().map(|counts| metric(*counts)).sum();
        (self.rows > 0).then(|| sum / self.classes.len().max(1) as f64)
    }

    /// Returns the bytes on the heap, roughly.
    pub fn heap_bytes(&self) -> usize {
        // A node of a B-tree holds up to eleven entries; half full, each costs twice its size.
        const ENTRY: usize = 2 * (size_of::<String>() + size_of::<ClassCounts>());
        self.classes.keys().map(|label| label.len() + ENTRY).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Row<'a> = (&'a [&'a str], &'a [&'a str]);

    const ROWS: [Row<'static>; 6] = [
        (&["a", "b"], &["a", "b"]),
        (&["a"], &["a", "c"]),
        (&[], &[]),
        (&["b", "c"], &["c"]),
        (&["d"], &[]),
        (&["a", "c"], &["b"]),
    ];

    fn counts(rows: &[Row<'_>]) -> LabelSetCounts {
        let mut counts = LabelSetCounts::default();
        rows.iter().for_each(|(labels, predictions)| counts.add(labels, predictions));
        counts
    }

    // y, p: ROWS by MultiLabelBinarizer(classes=list('abcd'))
    // accuracy_score(y, p) -> 0.3333333333333333
    // precision_recall_fscore_support(y, p, average='micro', zero_division=0)
    //   -> 0.6666666666666666 0.5 0.5714285714285714
    // precision_recall_fscore_support(y, p, average='macro', zero_division=0)
    //   -> 0.5 0.41666666666666663 0.45
    #[test]
    fn sets_of_labels_agree_with_scikit_learn() {
        let counts = counts(&ROWS);
        let near = |found: Option<f64>, expected: f64| {
            assert!((found.unwrap() - expected).abs() < 1e-12, "{found:?}, expected {expected}")
        };
        near(counts.accuracy(), 1.0 / 3.0);
        near(counts.micro(ClassCounts::precision), 0.666_666_666_666_666_6);
        near(counts.micro(ClassCounts::recall), 0.5);
        near(counts.micro(ClassCounts::f1), 0.571_428_571_428_571_4);
        near(counts.macro_mean(ClassCounts::precision), 0.5);
        near(counts.macro_mean(ClassCounts::recall), 0.416_666_666_666_666_63);
        near(counts.macro_mean(ClassCounts::f1), 0.45);
        assert_eq!(counts.classes()["c"], ClassCounts { hits: 1, predicted: 2, support: 2 });
    }

    #[test]
    fn parts_add_up_and_what_is_taken_back_leaves_nothing() {
        for cut in 0..=ROWS.len() {
            let mut whole = counts(&ROWS[cut..]);
            let part = counts(&ROWS[..cut]);
            whole.add_rows(part.rows(), part.exact());
            part.classes().iter().for_each(|(label, counts)| whole.add_class(label, *counts));
            assert_eq!(whole, counts(&ROWS));
            ROWS.iter().rev().for_each(|(labels, predictions)| whole.remove(labels, predictions));
            assert_eq!(whole, LabelSetCounts::default());
        }
    }

    #[test]
    fn rows_without_any_label_are_right_and_score_nothing() {
        let counts = counts(&[(&[], &[])]);
        assert_eq!(counts.accuracy(), Some(1.0));
        assert_eq!(
            (counts.micro(ClassCounts::f1), counts.macro_mean(ClassCounts::f1)),
            (Some(0.0), Some(0.0))
        );
        let nothing = LabelSetCounts::default();
        assert_eq!((nothing.accuracy(), nothing.micro(ClassCounts::f1)), (None, None));
        assert_eq!(nothing.macro_mean(ClassCounts::f1), None);
    }
}
