//! Reads files of a store with their amended footers.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::DefaultParquetFileReaderFactory;
use datafusion::error::Result;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::{ParquetError, Result as ParquetResult};
use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::{ObjectMeta, ObjectStore};

use super::metadata::{Footers, footer};

/// Makes a reader for each file that is opened. DataFusion's reads the bytes and counts them.
#[derive(Debug)]
pub(super) struct AmendedReaders {
    bytes: DefaultParquetFileReaderFactory,
    store: Arc<dyn ObjectStore>,
    footers: Footers,
}

impl AmendedReaders {
    pub(super) fn new(store: Arc<dyn ObjectStore>, footers: Footers) -> Self {
        Self { bytes: DefaultParquetFileReaderFactory::new(Arc::clone(&store)), store, footers }
    }
}

impl ParquetFileReaderFactory for AmendedReaders {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let object = file.object_meta.clone();
        let bytes = self.bytes.create_reader(partition, file, size_hint, metrics)?;
        let (store, footers) = (Arc::clone(&self.store), Arc::clone(&self.footers));
        Ok(Box::new(AmendedReader { bytes, store, object, footers, size_hint }))
    }
}

struct AmendedReader {
    bytes: Box<dyn AsyncFileReader + Send>,
    store: Arc<dyn ObjectStore>,
    object: ObjectMeta,
    footers: Footers,
    size_hint: Option<usize>,
}

impl AsyncFileReader for AmendedReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        self.bytes.get_bytes(range)
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        self.bytes.get_byte_ranges(ranges)
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        let pages = options.map_or(PageIndexPolicy::Skip, ArrowReaderOptions::column_index_policy);
        async move {
            footer(self.store.as_ref(), &self.object, &self.footers, self.size_hint, pages)
                .await
                .map_err(|error| ParquetError::External(Box::new(error)))
        }
        .boxed()
    }
}
