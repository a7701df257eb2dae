//! Models that say the same of every row: what is warned of after a training, and in an evaluation.

use nightjar_catalog::TrainingWarning;
use serde::{Deserialize, Serialize};

/// What a model predicts that does not tell rows apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OneSided {
    /// No label in any row.
    Nothing,
    /// This class alone, by its position.
    Only(usize),
}

impl OneSided {
    /// Returns what the rows predicted of each class say; none where there are several classes, and without classes.
    pub(crate) fn of(predicted: &[u64]) -> Option<Self> {
        let mut classes = predicted.iter().enumerate().filter(|(_, rows)| **rows > 0).map(|(class, _)| class);
        match (classes.next(), classes.next()) {
            (None, _) if !predicted.is_empty() => Some(Self::Nothing),
            (Some(class), None) => Some(Self::Only(class)),
            _ => None,
        }
    }

    /// Returns the warning about a model with these labels, with what to do next.
    pub(crate) fn message(self, labels: &[String]) -> String {
        match self {
            Self::Nothing => {
                "the model predicts no label for any row; train it for more epochs, on more rows, or WITH \
                              (threshold = 'auto')"
                    .to_owned()
            }
            Self::Only(class) => {
                let label = labels.get(class).map_or("", String::as_str);
                format!(
                    "the model predicts no label but '{label}'; train it for more epochs, on more rows, or WITH \
                     (class_weights = 'balanced')"
                )
            }
        }
    }

    /// Returns that as a warning of a run, measured on so many rows.
    pub(crate) fn warning(self, labels: &[String], rows: u64) -> TrainingWarning {
        TrainingWarning { check: "one_sided".to_owned(), rows, message: self.message(labels) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predictions_of_one_class_or_none_are_one_sided() {
        assert_eq!(OneSided::of(&[0, 3, 0]), Some(OneSided::Only(1)));
        assert_eq!(OneSided::of(&[0, 0]), Some(OneSided::Nothing));
        assert_eq!((OneSided::of(&[1, 3]), OneSided::of(&[])), (None, None));
    }
}
