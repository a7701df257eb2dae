//! The writer of files in Arrow's format, and how it travels to another process.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::arrow::ArrowFormat;
use datafusion::datasource::physical_plan::FileSinkConfig;
use datafusion::datasource::sink::{DataSink, DataSinkExec};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, SendableRecordBatchStream};
use datafusion_proto::protobuf;
use futures::TryStreamExt;
use prost::Message;

use crate::infer::broken;
use crate::registration::bare_session_state;

/// What the bytes of the writer begin with; the last one is the version of the message, DataFusion's of a file sink.
pub(crate) const TAG: &[u8] = b"nightjar-arrow\x01";

/// Writes as DataFusion's sink of the format does, compressed by LZ4, and knows where to.
///
/// Dictionaries, in lists and structs too, are written as their values: a file has one dictionary for a column, batches have each their
/// own, and so have the folders that name a table's partitions.
#[derive(Debug)]
pub(crate) struct ArrowSink {
    config: FileSinkConfig,
}

impl ArrowSink {
    pub(crate) fn new(config: FileSinkConfig) -> Self {
        Self { config }
    }

    /// Where it writes, and what.
    pub(crate) fn config(&self) -> &FileSinkConfig {
        &self.config
    }

    /// Returns the writer of an operator that writes files of the format.
    pub(crate) fn of(plan: &dyn ExecutionPlan) -> Option<&Self> {
        plan.downcast_ref::<DataSinkExec>()?.sink().downcast_ref()
    }

    /// Returns its message.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        Ok(protobuf::FileSinkConfig::try_from(&self.config)?.encode_to_vec())
    }

    /// Returns the operator of a message. The order that rows were to have is not in it: plans that travel have been
    /// given it.
    pub(crate) fn decode(
        message: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let message = protobuf::FileSinkConfig::decode(message).map_err(|error| broken(&error))?;
        let [input] = inputs else { return Err(broken(&"what writes files has one input")) };
        let sink = Self::new(FileSinkConfig::try_from(&message)?);
        Ok(Arc::new(DataSinkExec::new(Arc::clone(input), Arc::new(sink), None)))
    }
}

impl DisplayAs for ArrowSink {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ArrowSink")
    }
}

#[async_trait]
impl DataSink for ArrowSink {
    fn schema(&self) -> &SchemaRef {
        self.config.output_schema()
    }

    async fn write_all(&self, rows: SendableRecordBatchStream, context: &Arc<TaskContext>) -> Result<u64> {
        let schema = plain(self.config.output_schema());
        let config = FileSinkConfig { output_schema: Arc::clone(&schema), ..self.config.clone() };
        // DataFusion's sink is private: its format makes one, for a session that it doesn't look at.
        let session = bare_session_state();
        let input = Arc::new(EmptyExec::new(Arc::clone(&schema)));
        let plan = ArrowFormat.create_writer_physical_plan(input, &session, config, None).await?;
        let sink = plan.downcast_ref::<DataSinkExec>();
        let sink = sink.ok_or_else(|| DataFusionError::Internal("Arrow's format has no sink".to_owned()))?;
        let batches = {
            let schema = Arc::clone(&schema);
            rows.and_then(move |batch| futures::future::ready(plain_batch(&batch, &schema)))
        };
        sink.sink().write_all(Box::pin(RecordBatchStreamAdapter::new(schema, batches)), context).await
    }
}

/// Returns a schema with the values of dictionaries in their place.
fn plain(schema: &Schema) -> SchemaRef {
    let fields: Vec<_> = schema.fields().iter().map(plain_field).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn plain_field(field: &FieldRef) -> FieldRef {
    let kind = plain_type(field.data_type());
    match kind == *field.data_type() {
        true => Arc::clone(field),
        false => Arc::new(Field::clone(field).with_data_type(kind)),
    }
}

fn plain_type(kind: &DataType) -> DataType {
    match kind {
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::List(item) => DataType::List(plain_field(item)),
        DataType::LargeList(item) => DataType::LargeList(plain_field(item)),
        DataType::ListView(item) => DataType::ListView(plain_field(item)),
        DataType::LargeListView(item) => DataType::LargeListView(plain_field(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(plain_field(item), *size),
        DataType::Map(entries, sorted) => DataType::Map(plain_field(entries), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain_field).collect()),
        other => other.clone(),
    }
}

fn plain_batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        match column.data_type() == field.data_type() {
            true => Ok(Arc::clone(column)),
            false => cast(column, field.data_type()),
        }
    });
    Ok(RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<_, _>>()?)?)
}
