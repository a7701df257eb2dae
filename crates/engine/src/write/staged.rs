//! What tasks tell of the files they wrote, as rows.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::cast::{as_string_array, as_uint64_array};
use datafusion::error::Result;

/// The columns of what a task tells.
pub(super) static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("partition", DataType::UInt64, false),
        Field::new("file", DataType::Utf8, false),
        Field::new("rows", DataType::UInt64, false),
    ]))
});

/// A file that lies in the staging of its statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StagedFile {
    /// The partition whose rows it holds.
    pub(super) partition: u64,
    /// Where it lies below the staging: the task's folder, those of its partition values, its name.
    pub(super) path: String,
}

/// Returns the files of one task with the rows that it wrote to all of them.
pub(super) fn tell(partition: u64, files: &[String], rows: u64) -> Result<RecordBatch> {
    // A task's rows stand at its first file.
    let counts = files.iter().enumerate().map(|(index, _)| if index == 0 { rows } else { 0 });
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt64Array::from(vec![partition; files.len()])),
        Arc::new(StringArray::from_iter_values(files)),
        Arc::new(UInt64Array::from_iter_values(counts)),
    ];
    Ok(RecordBatch::try_new(Arc::clone(&SCHEMA), columns)?)
}

/// Adds the files that a task told of, and returns its rows.
pub(super) fn hear(told: &RecordBatch, files: &mut Vec<StagedFile>) -> Result<u64> {
    let partitions = as_uint64_array(told.column(0))?;
    let paths = as_string_array(told.column(1))?;
    for (partition, path) in partitions.values().iter().zip(paths.iter().flatten()) {
        files.push(StagedFile { partition: *partition, path: path.to_owned() });
    }
    Ok(as_uint64_array(told.column(2))?.values().iter().sum())
}
