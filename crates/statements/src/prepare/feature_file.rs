//! Writing one Parquet file of features.

use std::fs::File;
use std::path::{Path, PathBuf};

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::properties::WriterProperties;

use super::prepared::{FeatureFile, file_error};
use crate::error::Result;

/// Rows that a file gathers in memory before it writes them: some megabytes of long texts.
const ROW_GROUP_ROWS: usize = 8192;

/// A file in the making. Dropped before [`FeatureWriter::finish`], it stays behind cut short.
pub(crate) struct FeatureWriter {
    path: PathBuf,
    writer: ArrowWriter<File>,
    rows: u64,
    tokens: u64,
}

impl FeatureWriter {
    /// Makes the file, in place of one that is there.
    pub(crate) fn create(path: &Path, schema: SchemaRef) -> Result<Self> {
        let file = File::create(path).map_err(|error| file_error(path, error))?;
        // Token ids are few hundred to some thousand different numbers: a dictionary makes them small, and reading
        // them once an epoch is faster without compression.
        let properties =
            WriterProperties::builder().set_max_row_group_row_count(Some(ROW_GROUP_ROWS)).build();
        let writer = ArrowWriter::try_new(file, schema, Some(properties)).map_err(DataFusionError::from)?;
        Ok(Self { path: path.to_owned(), writer, rows: 0, tokens: 0 })
    }

    /// Adds rows.
    pub(crate) fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        self.rows += rows.num_rows() as u64;
        if let Some(ids) = rows.column_by_name("ids") {
            let offsets = ids.as_list::<i32>().value_offsets();
            let tokens = offsets.last().copied().unwrap_or(0) - offsets.first().copied().unwrap_or(0);
            self.tokens += u64::try_from(tokens).unwrap_or_default();
        }
        Ok(self.writer.write(rows).map_err(DataFusionError::from)?)
    }

    /// Completes the file, which is on the disk when this returns.
    pub(crate) fn finish(self) -> Result<FeatureFile> {
        let Self { path, writer, rows, tokens } = self;
        let file = writer.into_inner().map_err(DataFusionError::from)?;
        let synced = file.sync_all().and_then(|()| file.metadata());
        let bytes = synced.map_err(|error| file_error(&path, error))?.len();
        Ok(FeatureFile { path, rows, tokens, bytes })
    }
}
