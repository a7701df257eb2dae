//! The labels of the staged rows, their strata, and how many rows of each are held out.

use std::collections::HashMap;

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::prelude::DataFrame;
use futures::TryStreamExt;
use nightjar_functions::{LabelLists, TextColumn};

use super::plans;
use crate::error::Result;
use crate::labelled_rows::{check_labels, sort_labels};
use crate::split::held_out;
use crate::training_error::TrainingError;

/// The most classes of a model: beyond, a target is an identifier or a text, and the head would outgrow the encoder.
const MAX_CLASSES: usize = 65_536;

/// The strata of the rows: a class for each label, or one for all numbers. A row with a list of labels belongs to the rarest
/// of them, the first in sorted order of equals, and to a stratum of its own without any.
#[derive(Debug)]
pub(crate) struct Classes {
    /// In sorted order; none for numbers.
    pub(crate) labels: Vec<String>,
    /// The rows of each stratum.
    rows: Vec<u64>,
    index: HashMap<String, i32>,
    /// The rows that bear each label, where a row has any number.
    bearing: Vec<u64>,
}

impl Classes {
    /// Counts the labels.
    ///
    /// # Errors
    /// `OneClass`, and `TooManyClasses` where each row has a label of its own or the labels are beyond any use.
    pub(crate) async fn count(staged: DataFrame, target: &str) -> Result<Self> {
        let mut counted: HashMap<String, u64> = HashMap::new();
        let mut stream = plans::classes(staged)?.execute_stream().await?;
        while let Some(batch) = stream.try_next().await? {
            read(&batch, &mut counted)?;
            if counted.len() > MAX_CLASSES {
                let rows = counted.values().sum::<u64>() as usize;
                let (target, classes) = (target.to_owned(), counted.len());
                return Err(TrainingError::TooManyClasses { target, classes, rows }.into());
            }
        }
        let mut labels: Vec<String> = counted.keys().cloned().collect();
        sort_labels(&mut labels);
        let rows: Vec<u64> = labels.iter().map(|label| counted[label]).collect();
        check_labels(&labels, rows.iter().sum::<u64>() as usize, target)?;
        let index = labels.iter().cloned().zip(0..).collect();
        Ok(Self { labels, rows, index, bearing: Vec::new() })
    }

    /// Counts the labels of lists.
    ///
    /// # Errors
    /// `NoLabels`, `OneLabelSet`, and `TooManyClasses` where each row has labels of its own or the labels are beyond any use.
    pub(crate) async fn count_lists(staged: DataFrame, target: &str) -> Result<Self> {
        let mut counted: HashMap<String, u64> = HashMap::new();
        let (mut rows, mut sets) = (0, 0);
        each_set(staged.clone(), |labels, set_rows| {
            (rows, sets) = (rows + set_rows, sets + 1);
            for label in labels {
                match counted.get_mut(*label) {
                    Some(bearing) => *bearing += set_rows,
                    None => _ = counted.insert((*label).to_owned(), set_rows),
                }
            }
            counted.len() <= MAX_CLASSES
        })
        .await?;
        let mut labels: Vec<String> = counted.keys().cloned().collect();
        sort_labels(&mut labels);
        if labels.is_empty() {
            return Err(TrainingError::NoLabels { rows, target: target.to_owned() }.into());
        }
        // Labels that never repeat teach nothing: these are identifiers, or texts.
        let unique =
            rows > 20 && labels.len() as u64 >= rows && counted.values().all(|bearing| *bearing == 1);
        if unique || labels.len() > MAX_CLASSES {
            let (target, classes, rows) = (target.to_owned(), labels.len(), rows as usize);
            return Err(TrainingError::TooManyClasses { target, classes, rows }.into());
        }
        if sets == 1 {
            return Err(TrainingError::OneLabelSet { rows, labels }.into());
        }
        let bearing = labels.iter().map(|label| counted[label]).collect();
        let index = labels.iter().cloned().zip(0..).collect();
        let mut classes = Self { rows: vec![0; labels.len() + 1], labels, index, bearing };
        let mut rows = std::mem::take(&mut classes.rows);
        each_set(staged, |labels, set_rows| {
            let of: Vec<i32> = labels.iter().filter_map(|label| classes.of(label)).collect();
            rows[classes.stratum(&of)] += set_rows;
            true
        })
        .await?;
        Ok(Self { rows, ..classes })
    }

    /// Returns the stratum of a row with these classes.
    pub(crate) fn stratum(&self, classes: &[i32]) -> usize {
        let known = classes.iter().filter_map(|class| usize::try_from(*class).ok());
        let rarest = known.min_by_key(|class| (self.bearing.get(*class).copied(), *class));
        rarest.unwrap_or(self.labels.len())
    }

    /// Returns the number of strata.
    pub(crate) fn strata(&self) -> usize {
        self.rows.len()
    }

    /// Returns the one stratum of numbers.
    pub(crate) fn numbers(rows: u64) -> Self {
        Self { labels: Vec::new(), rows: vec![rows], index: HashMap::new(), bearing: Vec::new() }
    }

    /// Returns the index of a label, none where training never sees it.
    pub(crate) fn of(&self, label: &str) -> Option<i32> {
        self.index.get(label).copied()
    }

    /// Returns how many rows of each stratum are held out: `fraction` of them, and never all. The strata of lists are many and
    /// thin: what one is short of, the next one gives.
    pub(crate) fn held_out(&self, fraction: f64) -> Vec<u64> {
        if !self.bearing.is_empty() {
            let mut due = 0.0;
            let of_stratum = |rows: &u64| {
                due += *rows as f64 * fraction;
                let held_out = (due.round() as u64).min(rows.saturating_sub(1));
                // At most one row, so that a large stratum does not pay for many small ones.
                due = (due - held_out as f64).min(1.0);
                held_out
            };
            return self.rows.iter().map(of_stratum).collect();
        }
        self.rows.iter().map(|rows| held_out(*rows as usize, fraction) as u64).collect()
    }

    /// Returns the rows of each stratum without those held out.
    pub(crate) fn learned(&self, held_out: &[u64]) -> Vec<u64> {
        self.rows.iter().zip(held_out).map(|(rows, held_out)| rows - held_out).collect()
    }
}

/// Calls `count` with each set of labels that staged rows have and the number of its rows, as long as it returns true.
async fn each_set(staged: DataFrame, mut count: impl FnMut(&[&str], u64) -> bool) -> Result<()> {
    let mut stream = plans::classes(staged)?.execute_stream().await?;
    while let Some(batch) = stream.try_next().await? {
        let sets = LabelLists::read("label", batch.column(0))?;
        let rows = batch.column(1).as_primitive::<Int64Type>();
        for (labels, rows) in sets.iter().zip(rows.values()) {
            if !count(&labels.unwrap_or_default(), u64::try_from(*rows).unwrap_or_default()) {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn read(batch: &RecordBatch, counted: &mut HashMap<String, u64>) -> Result<()> {
    let labels = TextColumn::read("label", batch.column(0), false)?;
    let rows = batch.column(1).as_primitive::<Int64Type>();
    for (label, rows) in labels.iter().zip(rows.values()) {
        *counted.entry(label.unwrap_or_default().to_owned()).or_default() +=
            u64::try_from(*rows).unwrap_or_default();
    }
    Ok(())
}
