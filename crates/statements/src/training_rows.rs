//! The rows that CREATE MODEL and ALTER MODEL … FINE_TUNE return: one per epoch, with the version created.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, UInt32Array, UInt64Array,
};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::Schema;
use datafusion::error::Result;
use nightjar_catalog::{CreateOutcome, Created};

use crate::evaluation::rounded;

/// Makes those rows.
pub(crate) struct TrainingRows;

/// The metrics that a row shows: the first two of which the first was measured.
const SHOWN: [[&str; 2]; 5] =
    [["rmse", "r2"], ["pearson", "spearman"], ["accuracy_at_1", "mrr"], ["micro_f1", "macro_f1"], OF_LABELS];
const OF_LABELS: [&str; 2] = ["accuracy", "macro_f1"];

fn shown<'a>(measured: impl Iterator<Item = &'a BTreeMap<String, f64>> + Clone) -> [&'static str; 2] {
    let is_there = |names: &&[&str; 2]| {
        let mut measured = measured.clone();
        measured.any(|metrics| metrics.contains_key(names[0]))
    };
    SHOWN.iter().find(is_there).copied().unwrap_or(OF_LABELS)
}

impl TrainingRows {
    /// Returns what is said when the version is there.
    pub(crate) fn conclusion(created: &Created, kept: Option<usize>, epochs: usize) -> String {
        let version = created.version.reference();
        match kept {
            _ if created.outcome == CreateOutcome::Existed => {
                format!("{version} was made meanwhile by another statement, and stays as it is")
            }
            Some(kept) if epochs > 1 => format!("made {version}, from epoch {} of {epochs}", kept + 1),
            _ => format!("made {version}"),
        }
    }

    /// Returns the row of a training: a head has one epoch.
    pub(crate) fn trained(
        created: &Created,
        metrics: &BTreeMap<String, f64>,
        rows: u64,
        rows_per_second: f64,
    ) -> Result<RecordBatch> {
        let shown = shown(std::iter::once(metrics));
        Self::row(created, Some((1, true)), metrics, shown, Some(rows), Some(rows_per_second.round()))
    }

    /// Returns the rows of a training by gradient, one for each epoch; `kept` is the one, from 0, whose weights the model has.
    pub(crate) fn epochs<'a>(
        created: &Created,
        epochs: impl Iterator<Item = &'a BTreeMap<String, f64>> + Clone,
        kept: Option<usize>,
        rows: u64,
    ) -> Result<RecordBatch> {
        let shown = shown(epochs.clone());
        let epochs = epochs.zip(1..).enumerate().map(|(index, (metrics, epoch))| {
            let rate = metrics.get("rows_per_second").map(|rate| rate.round());
            Self::row(created, Some((epoch, kept == Some(index))), metrics, shown, Some(rows), rate)
        });
        let epochs = epochs.collect::<Result<Vec<_>>>()?;
        let schema = epochs.first().map(RecordBatch::schema).unwrap_or_else(|| Arc::new(Schema::empty()));
        Ok(concat_batches(&schema, &epochs)?)
    }

    /// Returns the row of a model that was made without training.
    pub(crate) fn untrained(created: &Created) -> Result<RecordBatch> {
        Self::row(created, None, &BTreeMap::new(), OF_LABELS, None, None)
    }

    fn row(
        created: &Created,
        epoch: Option<(u32, bool)>,
        metrics: &BTreeMap<String, f64>,
        shown: [&'static str; 2],
        rows: Option<u64>,
        rows_per_second: Option<f64>,
    ) -> Result<RecordBatch> {
        let metric = |name: &str| -> ArrayRef {
            Arc::new(Float64Array::from(vec![metrics.get(name).copied().map(rounded)]))
        };
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            ("model", Arc::new(StringArray::from(vec![created.version.reference().to_string()]))),
            ("epoch", Arc::new(UInt32Array::from(vec![epoch.map(|(epoch, _)| epoch)]))),
            ("rows", Arc::new(UInt64Array::from(vec![rows]))),
            ("train_loss", metric("train_loss")),
            ("validation_loss", metric("validation_loss")),
        ];
        columns.extend(shown.map(|name| (name, metric(name))));
        columns.push(("rows_per_second", Arc::new(Float64Array::from(vec![rows_per_second]))));
        columns.push(("kept", Arc::new(BooleanArray::from(vec![epoch.map(|(_, kept)| kept)]))));
        Ok(RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, array)| (name, array, true)),
        )?)
    }
}
