//! The settings that scheduler, executors and the sessions of a cluster start from: one list, so that all read a plan alike.

use ballista_core::extension::SessionConfigExt;
use datafusion::prelude::SessionConfig;

/// The largest message between any two processes, in bytes: what protobuf itself allows. Ballista's own limit of 16 MiB would
/// refuse a long row.
pub(crate) const MAX_MESSAGE_BYTES: u32 = i32::MAX as u32;

/// How often an executor tells the scheduler that it lives, in seconds.
pub(crate) const HEARTBEAT_SECONDS: u64 = 5;

/// After how many seconds of silence an executor counts as lost.
pub(crate) const EXECUTOR_TIMEOUT_SECONDS: u64 = 20;

/// How many tasks a vcore gets of a stage, one after the other: the more, the less a slow one is waited for at the end, the
/// less is lost with an executor, and the finer progress is told.
pub(crate) const PARTITIONS_PER_VCORE: usize = 3;

/// Returns the settings of every process of a cluster.
pub(crate) fn session_config() -> SessionConfig {
    nightjar_engine::session_config()
        // Ballista's own changes to DataFusion's settings: no dynamic filters, no views in shuffles, no round-robin.
        .upgrade_for_ballista()
        // It would plan anew after each stage, without our rules; the plan that was made is the plan that runs.
        .with_ballista_adaptive_query_planner(false)
        .with_ballista_grpc_client_max_message_size(MAX_MESSAGE_BYTES as usize)
        // A task of several partitions is done when its slowest is.
        .set_u64("ballista.scheduler.max_partitions_per_task", 1)
        // Merge joins call columns of outer joins never NULL that can be.
        .set_bool("datafusion.optimizer.prefer_hash_join", true)
        // The scheduler makes a join of partitions one that broadcasts its small side. The other way round it would change
        // the number of partitions under operators that were planned for one.
        .set_u64("datafusion.optimizer.hash_join_single_partition_threshold", 0)
        .set_u64("datafusion.optimizer.hash_join_single_partition_threshold_rows", 0)
        .set_str("nightjar.shuffle_texts", "on")
}
