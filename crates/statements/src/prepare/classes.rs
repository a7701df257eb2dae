//! The labels of the staged rows, and how many rows of each are held out.

use std::collections::HashMap;

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::prelude::DataFrame;
use futures::TryStreamExt;
use nightjar_functions::TextColumn;

use super::plans;
use crate::error::Result;
use crate::labelled_rows::{check_labels, sort_labels};
use crate::split::held_out;
use crate::training_error::TrainingError;

/// The most classes of a model: beyond, a target is an identifier or a text, and the head would outgrow the encoder.
const MAX_CLASSES: usize = 65_536;

/// The strata of the rows: a class for each label, or one for all numbers.
#[derive(Debug)]
pub(crate) struct Classes {
    /// In sorted order; none for numbers.
    pub(crate) labels: Vec<String>,
    /// The rows of each stratum.
    rows: Vec<u64>,
    index: HashMap<String, i32>,
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
        Ok(Self { labels, rows, index })
    }

    /// Returns the one stratum of numbers.
    pub(crate) fn numbers(rows: u64) -> Self {
        Self { labels: Vec::new(), rows: vec![rows], index: HashMap::new() }
    }

    /// Returns the index of a label, none where training never sees it.
    pub(crate) fn of(&self, label: &str) -> Option<i32> {
        self.index.get(label).copied()
    }

    /// Returns how many rows of each stratum are held out: `fraction` of them, and never all.
    pub(crate) fn held_out(&self, fraction: f64) -> Vec<u64> {
        self.rows.iter().map(|rows| held_out(*rows as usize, fraction) as u64).collect()
    }

    /// Returns the rows of each stratum without those held out.
    pub(crate) fn learned(&self, held_out: &[u64]) -> Vec<u64> {
        self.rows.iter().zip(held_out).map(|(rows, held_out)| rows - held_out).collect()
    }
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
