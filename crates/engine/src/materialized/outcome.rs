//! What a refresh did, as the row that it returns.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use datafusion::error::Result;

/// What a refresh did.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) mode: &'static str,
    /// Why all rows were made anew.
    pub(super) reason: Option<String>,
    pub(super) files_added: usize,
    pub(super) files_removed: usize,
    pub(super) files_kept: usize,
    pub(super) rows_written: u64,
}

impl Outcome {
    /// Returns what a refresh did that found none of the files that the rows had come from.
    pub(super) fn without_files(files_removed: usize) -> Self {
        let mode = if files_removed == 0 { "nothing" } else { "incremental" };
        Self { mode, files_removed, ..Self::default() }
    }

    pub(super) fn batch(&self) -> Result<RecordBatch> {
        let text = |value: Option<&str>| -> ArrayRef { Arc::new(StringArray::from(vec![value])) };
        let number = |value: u64| -> ArrayRef { Arc::new(UInt64Array::from(vec![value])) };
        let columns = [
            ("mode", text(Some(self.mode))),
            ("reason", text(self.reason.as_deref())),
            ("files_added", number(self.files_added as u64)),
            ("files_removed", number(self.files_removed as u64)),
            ("files_kept", number(self.files_kept as u64)),
            ("rows_written", number(self.rows_written)),
        ];
        let columns = columns.into_iter().map(|(name, column)| (name, column, true));
        Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
    }
}
