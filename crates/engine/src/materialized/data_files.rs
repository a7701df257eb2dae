//! The files that hold the rows of a materialized view.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::WriterProperties;
use futures::StreamExt;

/// The name of their format in DataFusion.
pub(super) const FORMAT: &str = "parquet";

/// The data files that a refresh writes. Dropped before they are [kept](DataFiles::keep), they are removed.
#[derive(Debug)]
pub(super) struct DataFiles {
    folder: PathBuf,
    written: Mutex<Vec<PathBuf>>,
}

impl DataFiles {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), written: Mutex::default() }
    }

    /// Writes a file that has the columns and no rows, and returns its name. All columns may be NULL: the table's rows
    /// come from several plans, and not all of them know as much.
    pub(super) fn write_columns(&self, schema: &Schema) -> Result<String> {
        let fields: Vec<_> =
            schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
        let (name, writer) = self.create(SchemaRef::new(Schema::new(fields)))?;
        finish(writer)?;
        Ok(name)
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
        let Some((name, writer)) = open else { return Ok((None, 0)) };
        finish(writer)?;
        Ok((Some(name), count))
    }

    /// Brings the folder to the disk: what follows is the ledger that names the files.
    pub(super) fn sync(&self) -> Result<()> {
        if cfg!(unix) {
            File::open(&self.folder)?.sync_all()?;
        }
        Ok(())
    }

    /// The ledger names the files now.
    pub(super) fn keep(self) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn create(&self, schema: SchemaRef) -> Result<(String, ArrowWriter<File>)> {
        let name = format!("{}.{FORMAT}", uuid::Uuid::new_v4().simple());
        let path = self.folder.join(&name);
        self.written.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
        let properties =
            WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        Ok((name, ArrowWriter::try_new(File::create_new(path)?, schema, Some(properties))?))
    }
}

fn finish(writer: ArrowWriter<File>) -> Result<()> {
    writer.into_inner()?.sync_all()?;
    Ok(())
}

impl Drop for DataFiles {
    fn drop(&mut self) {
        for path in self.written.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // What can't be removed is swept later.
            let _ = fs::remove_file(path);
        }
    }
}
