//! How the operator that writes files travels to another process.

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::{
    PhysicalExtensionCodec, PhysicalPlanDecodeContext, PhysicalProtoConverterExtension,
};
use datafusion_proto::protobuf::PhysicalPlanNode;
use prost::Message;

use super::location::Location;
use super::sink::FileWriter;
use super::write_files_exec::{Shape, WriteFilesExec};
use crate::infer::broken;

/// What the bytes of the operator begin with; the last one is the version of the message.
pub(crate) const TAG: &[u8] = b"nightjar-write\x02";

#[derive(Clone, PartialEq, Message)]
struct WriteFilesMessage {
    /// DataFusion's own operator, over no rows.
    #[prost(message, optional, tag = "1")]
    writer: Option<PhysicalPlanNode>,
    #[prost(string, tag = "2")]
    staging: String,
    #[prost(enumeration = "ShapeMessage", tag = "3")]
    shape: i32,
    #[prost(string, tag = "4")]
    target: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
enum ShapeMessage {
    Folder = 0,
    OrderedFolder = 1,
    File = 2,
}

/// Returns the operator's message.
pub(crate) fn encode(
    operator: &WriteFilesExec,
    codec: &dyn PhysicalExtensionCodec,
    converter: &dyn PhysicalProtoConverterExtension,
) -> Result<Vec<u8>> {
    let shape = match operator.shape() {
        Shape::Folder => ShapeMessage::Folder,
        Shape::OrderedFolder => ShapeMessage::OrderedFolder,
        Shape::File => ShapeMessage::File,
    };
    let message = WriteFilesMessage {
        writer: Some(converter.execution_plan_to_proto(&operator.writer().plan(), codec)?),
        staging: operator.staging().url().to_owned(),
        shape: shape.into(),
        target: operator.target().to_owned(),
    };
    Ok(message.encode_to_vec())
}

/// Returns the operator of a message.
pub(crate) fn decode(
    message: &[u8],
    inputs: &[Arc<dyn ExecutionPlan>],
    context: &TaskContext,
    codec: &dyn PhysicalExtensionCodec,
    converter: &dyn PhysicalProtoConverterExtension,
) -> Result<Arc<dyn ExecutionPlan>> {
    let message = WriteFilesMessage::decode(message).map_err(|error| broken(&error))?;
    let [input] = inputs else { return Err(broken(&"what writes files has one input")) };
    let shape = match message.shape() {
        ShapeMessage::Folder => Shape::Folder,
        ShapeMessage::OrderedFolder => Shape::OrderedFolder,
        ShapeMessage::File => Shape::File,
    };
    let WriteFilesMessage { writer, staging, target, .. } = message;
    let writer = writer.ok_or_else(|| broken(&"nothing says how files are written"))?;
    let writer =
        converter.proto_to_execution_plan(&writer, &PhysicalPlanDecodeContext::new(context, codec))?;
    let writer = FileWriter::from_plan(&writer).ok_or_else(|| broken(&"no writer of files"))?;
    let staging = Location::parse(&staging)?;
    Ok(Arc::new(WriteFilesExec::new(Arc::clone(input), writer, target, staging, shape)))
}
