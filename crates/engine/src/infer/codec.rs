//! How the model operator travels to another process: a tag, then a protobuf message.
//!
//! A call is its function's name, its pinned model, its labels, and its texts' expressions. Where it arrives, the functions
//! and the store are that process's own: the model is found by its digest, and no catalog is read.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::{DataFusionError, Result, ScalarValue, TableReference, plan_err};
use datafusion::datasource::file_format::FileFormatFactory;
use datafusion::execution::{FunctionRegistry, TaskContext};
use datafusion::logical_expr::{
    AggregateUDF, Expr, Extension, HigherOrderUDF, LogicalPlan, ScalarUDF, WindowUDF,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::logical_plan::LogicalExtensionCodec;
use datafusion_proto::logical_plan::from_proto::parse_expr;
use datafusion_proto::logical_plan::to_proto::serialize_expr;
use datafusion_proto::physical_plan::{
    PhysicalExtensionCodec, PhysicalPlanDecodeContext, PhysicalProtoConverterExtension,
};
use datafusion_proto::protobuf::{LogicalExprNode, PhysicalExprNode};
use nightjar_functions::{BoundCall, ModelUdf, PinnedModel};
use prost::Message;

use super::exec::PhysicalCall;
use super::{InferCall, InferExec, InferNode};

/// What our bytes begin with; the last one is the version of the messages.
pub(crate) const TAG: &[u8] = b"nightjar-infer\x01";

/// Encodes and decodes [`InferNode`]; everything else is another codec's.
#[derive(Debug)]
pub struct InferLogicalCodec {
    inner: Arc<dyn LogicalExtensionCodec>,
}

#[derive(Clone, PartialEq, Message)]
struct InferExecMessage {
    #[prost(message, repeated, tag = "1")]
    calls: Vec<PhysicalCallMessage>,
    /// None where the inference cache is not used.
    #[prost(uint64, optional, tag = "2")]
    cache_bytes: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct PhysicalCallMessage {
    #[prost(string, tag = "1")]
    function: String,
    #[prost(string, tag = "2")]
    model: String,
    /// None where the call is not zero-shot: it has at least two then.
    #[prost(string, repeated, tag = "3")]
    labels: Vec<String>,
    #[prost(message, repeated, tag = "4")]
    texts: Vec<PhysicalExprNode>,
    #[prost(string, tag = "5")]
    column: String,
}

#[derive(Clone, PartialEq, Message)]
struct InferNodeMessage {
    #[prost(message, repeated, tag = "1")]
    calls: Vec<LogicalCallMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct LogicalCallMessage {
    #[prost(message, optional, tag = "1")]
    expr: Option<LogicalExprNode>,
    #[prost(string, tag = "2")]
    column: String,
}

fn write(message: &impl Message, buf: &mut Vec<u8>) {
    buf.extend_from_slice(TAG);
    // A vector grows as needed: this can't run out of room.
    let _ = message.encode(buf);
}

fn read<M: Message + Default>(bytes: &[u8]) -> Result<M> {
    M::decode(bytes).map_err(|error| broken(&error))
}

/// Returns the error of a plan that can't be read where it has arrived.
pub(crate) fn broken(what: &dyn std::fmt::Display) -> DataFusionError {
    DataFusionError::Plan(format!("a plan that came from another process can't be read: {what}"))
}

/// Returns the message of an operator.
pub(crate) fn encode(
    operator: &InferExec,
    codec: &dyn PhysicalExtensionCodec,
    converter: &dyn PhysicalProtoConverterExtension,
) -> Result<Vec<u8>> {
    let calls = operator.calls().iter().map(|call| encode_call(call, codec, converter));
    let message =
        InferExecMessage { calls: calls.collect::<Result<_>>()?, cache_bytes: operator.cache_bytes() };
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
    let message: InferExecMessage = read(message)?;
    let [input] = inputs else { return Err(broken(&"the model operator has one input")) };
    let schema = input.schema();
    let calls = message.calls.iter().map(|call| decode_call(call, &schema, context, codec, converter));
    let operator = InferExec::try_new(Arc::clone(input), calls.collect::<Result<_>>()?)?;
    Ok(Arc::new(operator.with_cache(message.cache_bytes)))
}

fn encode_call(
    call: &PhysicalCall,
    codec: &dyn PhysicalExtensionCodec,
    converter: &dyn PhysicalProtoConverterExtension,
) -> Result<PhysicalCallMessage> {
    let texts = call.args().iter().map(|text| converter.physical_expr_to_proto(text, codec));
    Ok(PhysicalCallMessage {
        function: call.bound().name().to_owned(),
        model: call.bound().model().pinned.to_string(),
        labels: call.bound().labels().unwrap_or_default().to_vec(),
        texts: texts.collect::<Result<_>>()?,
        column: call.column().to_owned(),
    })
}

fn decode_call(
    call: &PhysicalCallMessage,
    input: &Schema,
    context: &TaskContext,
    codec: &dyn PhysicalExtensionCodec,
    converter: &dyn PhysicalProtoConverterExtension,
) -> Result<PhysicalCall> {
    let function = context.udf(&call.function)?;
    let Some(udf) = ModelUdf::of(&function) else {
        return Err(broken(&format!("{} is no model function", call.function)));
    };
    if !udf.function().takes(call.texts.len()) {
        return Err(broken(&format!("{} with {} texts", call.function, call.texts.len())));
    }
    require_pinned(&call.model)?;
    let decoding = PhysicalPlanDecodeContext::new(context, codec);
    let texts = call.texts.iter().map(|text| converter.proto_to_physical_expr(text, input, &decoding));
    let texts = texts.collect::<Result<Vec<_>>>()?;
    let mut types = texts.iter().map(|text| text.data_type(input)).collect::<Result<Vec<_>>>()?;
    let mut constants = Vec::new();
    if !call.labels.is_empty() {
        let labels: Vec<_> = call.labels.iter().map(|label| ScalarValue::from(label.as_str())).collect();
        constants.push(ScalarValue::List(ScalarValue::new_list_nullable(&labels, &DataType::Utf8)));
    }
    constants.push(ScalarValue::from(call.model.as_str()));
    types.extend(constants.iter().map(ScalarValue::data_type));
    let varying = texts.iter().map(|_| None);
    let arguments: Vec<_> = varying.chain(constants.iter().map(Some)).collect();
    let bound = BoundCall::new(udf, &types, &arguments)?;
    Ok(PhysicalCall::new(bound, texts, call.column.clone()))
}

impl InferLogicalCodec {
    /// Returns the codec over the one that reads and writes all other nodes and tables.
    pub fn new(inner: Arc<dyn LogicalExtensionCodec>) -> Self {
        Self { inner }
    }

    fn decode_call(&self, call: LogicalCallMessage, context: &TaskContext) -> Result<InferCall> {
        let expr = call.expr.ok_or_else(|| broken(&"a call without its expression"))?;
        let expr = parse_expr(&expr, context, self).map_err(|error| broken(&error))?;
        if let Expr::ScalarFunction(function) = &expr {
            match function.args.last() {
                Some(Expr::Literal(model, _)) if ModelUdf::of(&function.func).is_some() => {
                    require_pinned(model.try_as_str().flatten().unwrap_or_default())?;
                }
                _ => return Err(broken(&format!("{expr} is no call of a model"))),
            }
        }
        Ok(InferCall { expr, column: call.column })
    }
}

/// Refuses a model's name that would have to be looked up.
fn require_pinned(model: &str) -> Result<()> {
    if PinnedModel::is_pinned(model) { Ok(()) } else { Err(broken(&format!("'{model}' is no pinned model"))) }
}

impl LogicalExtensionCodec for InferLogicalCodec {
    fn try_decode(&self, buf: &[u8], inputs: &[LogicalPlan], ctx: &TaskContext) -> Result<Extension> {
        let Some(message) = buf.strip_prefix(TAG) else {
            return self.inner.try_decode(buf, inputs, ctx);
        };
        let message: InferNodeMessage = read(message)?;
        let [input] = inputs else { return plan_err!("the model operator has one input") };
        let calls = message.calls.into_iter().map(|call| self.decode_call(call, ctx));
        let node = InferNode::try_new(input.clone(), calls.collect::<Result<_>>()?)?;
        Ok(Extension { node: Arc::new(node) })
    }

    fn try_encode(&self, node: &Extension, buf: &mut Vec<u8>) -> Result<()> {
        let Some(infer) = node.node.as_any().downcast_ref::<InferNode>() else {
            return self.inner.try_encode(node, buf);
        };
        let calls = infer.calls().iter().map(|call| {
            let expr =
                serialize_expr(&call.expr, self).map_err(|error| DataFusionError::External(error.into()))?;
            Ok(LogicalCallMessage { expr: Some(expr), column: call.column.clone() })
        });
        write(&InferNodeMessage { calls: calls.collect::<Result<_>>()? }, buf);
        Ok(())
    }

    fn try_decode_table_provider(
        &self,
        buf: &[u8],
        table_ref: &TableReference,
        schema: SchemaRef,
        ctx: &TaskContext,
    ) -> Result<Arc<dyn TableProvider>> {
        self.inner.try_decode_table_provider(buf, table_ref, schema, ctx)
    }

    fn try_encode_table_provider(
        &self,
        table_ref: &TableReference,
        node: Arc<dyn TableProvider>,
        buf: &mut Vec<u8>,
    ) -> Result<()> {
        self.inner.try_encode_table_provider(table_ref, node, buf)
    }

    fn try_decode_file_format(&self, buf: &[u8], ctx: &TaskContext) -> Result<Arc<dyn FileFormatFactory>> {
        self.inner.try_decode_file_format(buf, ctx)
    }

    fn try_encode_file_format(&self, buf: &mut Vec<u8>, node: Arc<dyn FileFormatFactory>) -> Result<()> {
        self.inner.try_encode_file_format(buf, node)
    }

    fn try_decode_udf(&self, name: &str, buf: &[u8]) -> Result<Arc<ScalarUDF>> {
        self.inner.try_decode_udf(name, buf)
    }

    fn try_encode_udf(&self, node: &ScalarUDF, buf: &mut Vec<u8>) -> Result<()> {
        self.inner.try_encode_udf(node, buf)
    }

    fn try_decode_higher_order_function(&self, name: &str, buf: &[u8]) -> Result<Arc<HigherOrderUDF>> {
        self.inner.try_decode_higher_order_function(name, buf)
    }

    fn try_encode_higher_order_function(&self, node: &HigherOrderUDF, buf: &mut Vec<u8>) -> Result<()> {
        self.inner.try_encode_higher_order_function(node, buf)
    }

    fn try_decode_udaf(&self, name: &str, buf: &[u8]) -> Result<Arc<AggregateUDF>> {
        self.inner.try_decode_udaf(name, buf)
    }

    fn try_encode_udaf(&self, node: &AggregateUDF, buf: &mut Vec<u8>) -> Result<()> {
        self.inner.try_encode_udaf(node, buf)
    }

    fn try_decode_udwf(&self, name: &str, buf: &[u8]) -> Result<Arc<WindowUDF>> {
        self.inner.try_decode_udwf(name, buf)
    }

    fn try_encode_udwf(&self, node: &WindowUDF, buf: &mut Vec<u8>) -> Result<()> {
        self.inner.try_encode_udwf(node, buf)
    }
}
