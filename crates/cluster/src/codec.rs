//! How plans travel: Ballista's codec for its operators, ours for the model operator over it.

use std::sync::Arc;

use ballista_core::serde::{BallistaLogicalExtensionCodec, BallistaPhysicalExtensionCodec};
use datafusion_proto::logical_plan::LogicalExtensionCodec;
use datafusion_proto::physical_plan::PhysicalExtensionCodec;

/// Returns the codec of physical plans.
pub(crate) fn physical() -> Arc<dyn PhysicalExtensionCodec> {
    nightjar_engine::physical_codec(Arc::new(BallistaPhysicalExtensionCodec::default()))
}

/// Returns the codec of logical plans.
pub(crate) fn logical() -> Arc<dyn LogicalExtensionCodec> {
    nightjar_engine::logical_codec(Arc::new(BallistaLogicalExtensionCodec::default()))
}
