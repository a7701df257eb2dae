//! The writer of CSV files.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::csv::WriterBuilder;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::file_options::csv_writer::CsvWriterOptions;
use datafusion::common::runtime::SpawnedTask;
use datafusion::datasource::file_format::write::BatchSerializer;
use datafusion::datasource::file_format::write::demux::DemuxedStreamReceiver;
use datafusion::datasource::file_format::write::orchestration::spawn_writer_tasks_and_join;
use datafusion::datasource::physical_plan::{FileSink, FileSinkConfig};
use datafusion::datasource::sink::DataSink;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, SendableRecordBatchStream};
use object_store::ObjectStore;
use prost::bytes::Bytes;

use super::csv_rows::{has_lone_null, write_csv};
use crate::error::EngineError;

/// Writes as DataFusion's sink does, by [`write_csv`].
#[derive(Debug)]
pub(super) struct CsvRowsSink {
    config: FileSinkConfig,
    options: CsvWriterOptions,
}

impl CsvRowsSink {
    pub(super) fn new(config: FileSinkConfig, options: CsvWriterOptions) -> Self {
        Self { config, options }
    }
}

struct Rows(WriterBuilder);

impl BatchSerializer for Rows {
    fn serialize(&self, batch: RecordBatch, initial: bool) -> Result<Bytes> {
        if has_lone_null(&batch, &self.0) {
            let column = batch.schema().field(0).name().clone();
            return Err(EngineError::LoneNull { column }.into_datafusion());
        }
        let mut out = Vec::with_capacity(4096);
        write_csv(&batch, &self.0, initial && self.0.header(), &mut out)?;
        Ok(Bytes::from(out))
    }
}

impl DisplayAs for CsvRowsSink {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CsvRowsSink")
    }
}

#[async_trait]
impl FileSink for CsvRowsSink {
    fn config(&self) -> &FileSinkConfig {
        &self.config
    }

    async fn spawn_writer_tasks_and_join(
        &self,
        context: &Arc<TaskContext>,
        demux_task: SpawnedTask<Result<()>>,
        files: DemuxedStreamReceiver,
        store: Arc<dyn ObjectStore>,
    ) -> Result<u64> {
        let options = &self.options;
        let rows = Arc::new(Rows(options.writer_options.clone()));
        let (compression, level) = (options.compression.into(), options.compression_level);
        spawn_writer_tasks_and_join(context, rows, compression, level, store, demux_task, files).await
    }
}

#[async_trait]
impl DataSink for CsvRowsSink {
    fn schema(&self) -> &SchemaRef {
        self.config.output_schema()
    }

    async fn write_all(&self, rows: SendableRecordBatchStream, context: &Arc<TaskContext>) -> Result<u64> {
        FileSink::write_all(self, rows, context).await
    }
}
