//! How a scan of CSV or JSON files travels to another process: DataFusion's message of a CSV scan, which has files, columns and
//! most options, and what that one forgets.

use std::sync::Arc;

use datafusion::common::config::CsvOptions;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::physical_plan::{CsvSource, FileScanConfig, FileScanConfigBuilder, FileSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::{
    PhysicalExtensionCodec, PhysicalPlanDecodeContext, PhysicalProtoConverterExtension,
};
use datafusion_proto::protobuf::PhysicalPlanNode;
use prost::Message;

use super::source::{Dialect, TextSource};
use crate::infer::broken;

/// What the bytes of a scan begin with; the last one is the version of the message.
pub(crate) const TAG: &[u8] = b"nightjar-text\x01";

#[derive(Clone, PartialEq, Message)]
struct TextScanMessage {
    /// DataFusion's scan of the same files as CSV.
    #[prost(message, optional, tag = "1")]
    scan: Option<PhysicalPlanNode>,
    #[prost(bool, tag = "2")]
    json: bool,
    #[prost(bool, tag = "3")]
    exact: bool,
    /// By its name; empty for none.
    #[prost(string, tag = "4")]
    compression: String,
    #[prost(uint32, optional, tag = "5")]
    terminator: Option<u32>,
    #[prost(string, optional, tag = "6")]
    null_regex: Option<String>,
    #[prost(bool, optional, tag = "7")]
    double_quote: Option<bool>,
}

/// Returns the message of a scan of ours; None for any other operator.
pub(crate) fn encode(
    node: &dyn ExecutionPlan,
    codec: &dyn PhysicalExtensionCodec,
    converter: &dyn PhysicalProtoConverterExtension,
) -> Result<Option<Vec<u8>>> {
    let Some((config, source)) = scan(node) else { return Ok(None) };
    let (options, json) = match &source.dialect {
        Dialect::Csv(options) => (options.as_ref().clone(), false),
        Dialect::Json => (CsvOptions::default(), true),
    };
    let bare = CsvSource::new(source.table_schema().clone()).with_csv_options(options.clone());
    let mut carrier: Arc<dyn FileSource> = Arc::new(bare);
    if let Some(projection) = source.projection()
        && let Some(projected) = carrier.try_pushdown_projection(projection)?
    {
        carrier = projected;
    }
    let compression = config.file_compression_type;
    let config = FileScanConfigBuilder::from(config.clone())
        .with_source(carrier)
        .with_file_compression_type(FileCompressionType::UNCOMPRESSED)
        .build();
    let scan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(config);
    let message = TextScanMessage {
        scan: Some(converter.execution_plan_to_proto(&scan, codec)?),
        json,
        exact: source.exact,
        compression: compression.get_variant().to_string(),
        terminator: options.terminator.map(u32::from),
        null_regex: options.null_regex,
        double_quote: options.double_quote,
    };
    Ok(Some(message.encode_to_vec()))
}

/// Returns the operator of a message.
pub(crate) fn decode(
    message: &[u8],
    context: &TaskContext,
    codec: &dyn PhysicalExtensionCodec,
    converter: &dyn PhysicalProtoConverterExtension,
) -> Result<Arc<dyn ExecutionPlan>> {
    let message = TextScanMessage::decode(message).map_err(|error| broken(&error))?;
    let plan = message.scan.ok_or_else(|| broken(&"no scan in a scan of text"))?;
    let plan = converter.proto_to_execution_plan(&plan, &PhysicalPlanDecodeContext::new(context, codec))?;
    let config = plan
        .downcast_ref::<DataSourceExec>()
        .and_then(|scan| (scan.data_source().as_ref() as &dyn std::any::Any).downcast_ref::<FileScanConfig>())
        .ok_or_else(|| broken(&"no scan of files in a scan of text"))?;
    let source = (config.file_source().as_ref() as &dyn std::any::Any).downcast_ref::<CsvSource>();
    let csv = source.ok_or_else(|| broken(&"no CSV in a scan of text"))?;
    let dialect = if message.json {
        Dialect::Json
    } else {
        Dialect::Csv(Box::new(CsvOptions {
            has_header: Some(csv.has_header()),
            delimiter: csv.delimiter(),
            quote: csv.quote(),
            escape: csv.escape(),
            comment: csv.comment(),
            newlines_in_values: Some(csv.newlines_in_values()),
            truncated_rows: Some(csv.truncate_rows()),
            terminator: message.terminator.and_then(|byte| u8::try_from(byte).ok()),
            null_regex: message.null_regex,
            double_quote: message.double_quote,
            ..CsvOptions::default()
        }))
    };
    let mut source = TextSource::new(dialect, csv.table_schema().clone());
    source.exact = message.exact;
    if let Some(projection) = csv.projection() {
        source = source.projected(projection);
    }
    let compression = match message.compression.as_str() {
        "" => FileCompressionType::UNCOMPRESSED,
        name => name.parse().map_err(|error: DataFusionError| broken(&error))?,
    };
    let config = FileScanConfigBuilder::from(config.clone())
        .with_source(Arc::new(source))
        .with_file_compression_type(compression)
        .build();
    Ok(DataSourceExec::from_data_source(config))
}

/// Returns a scan of ours.
fn scan(node: &dyn ExecutionPlan) -> Option<(&FileScanConfig, &TextSource)> {
    let exec = node.downcast_ref::<DataSourceExec>()?;
    let config = (exec.data_source().as_ref() as &dyn std::any::Any).downcast_ref::<FileScanConfig>()?;
    let source = (config.file_source().as_ref() as &dyn std::any::Any).downcast_ref::<TextSource>()?;
    Some((config, source))
}
