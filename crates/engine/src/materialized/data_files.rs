//! The files that hold the rows of a materialized view.

use std::fs::File;
use std::sync::{Mutex, PoisonError};

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::WriterProperties;
use futures::StreamExt;
use nightjar_catalog::{CatalogError, ViewFiles};

use crate::error::EngineError;

/// The name of their format in DataFusion.
pub(super) const FORMAT: &str = "parquet";

/// The data files that a refresh writes. Dropped before they are [kept](DataFiles::keep), they are removed.
#[derive(Debug)]
pub(super) struct DataFiles {
    files: ViewFiles,
    written: Mutex<Vec<String>>,
}

impl DataFiles {
    pub(super) fn new(files: ViewFiles) -> Self {
        Self { files, written: Mutex::default() }
    }

    /// Writes a file that has the columns and no rows, and returns its name. All columns may be NULL: the table's rows
    /// come from several plans, and not all of them know as much.
    pub(super) fn write_columns(&self, schema: &Schema) -> Result<String> {
        let fields: Vec<_> =
            schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
        let open = self.create(SchemaRef::new(Schema::new(fields)))?;
        self.finish(open)
    }

    /// Writes rows into a file, and returns its name and how many there were; no name where there were none.
    pub(super) async fn write(&self, mut rows: SendableRecordBatchStream) -> Result<(Option<String>, u64)> {
        let mut open = None;
        let mut count = 0;
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            if batch.num_rows() == 0 {
                continue;
            }
            count += batch.num_rows() as u64;
            let (_, writer) = match &mut open {
                Some(open) => open,
                None => open.insert(self.create(batch.schema())?),
            };
            writer.write(&batch)?;
        }
        let Some(open) = open else { return Ok((None, 0)) };
        Ok((Some(self.finish(open)?), count))
    }

    /// Makes sure of the files' names: what follows is the ledger that has them.
    pub(super) fn sync(&self) -> Result<()> {
        self.files.sync().map_err(failed)
    }

    /// The ledger names the files now.
    pub(super) fn keep(self) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn create(&self, schema: SchemaRef) -> Result<(String, ArrowWriter<File>)> {
        let name = format!("{}.{FORMAT}", uuid::Uuid::new_v4().simple());
        let path = self.files.folder().join(&name);
        self.written.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
        let properties =
            WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        Ok((name, ArrowWriter::try_new(File::create_new(path)?, schema, Some(properties))?))
    }

    fn finish(&self, (name, writer): (String, ArrowWriter<File>)) -> Result<String> {
        writer.into_inner()?.sync_all()?;
        self.files.publish(&name).map_err(failed)?;
        Ok(name)
    }
}

fn failed(error: CatalogError) -> datafusion::error::DataFusionError {
    EngineError::from(error).into_datafusion()
}

impl Drop for DataFiles {
    fn drop(&mut self) {
        let written = std::mem::take(&mut *self.written.lock().unwrap_or_else(PoisonError::into_inner));
        if !written.is_empty() {
            // What can't be removed is swept later.
            let _ = self.files.remove(&written);
        }
    }
}
