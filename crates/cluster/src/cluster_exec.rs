//! The operator whose input runs on the cluster.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use ballista_core::serde::protobuf::KeyValuePair;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PhysicalExpr, PlanProperties,
    SendableRecordBatchStream,
};
use datafusion_proto::physical_plan::AsExecutionPlan;
use datafusion_proto::protobuf::PhysicalPlanNode;
use futures::{TryStreamExt, stream};

use nightjar_statements::RemoteWork;

use crate::client::{Client, Submission};
use crate::job_progress::JobProgress;
use crate::stages::Stages;
use crate::wire_literals::has_changed_literal;
use crate::{codec, result_rows};

/// Sends a physical plan to the scheduler and returns its rows, as one partition, once it is done.
///
/// Its children are the stages that the plan is cut into; they are shown, and after the run they have what their tasks
/// counted. Rows come in the order of the plan's partitions. Dropping the stream cancels the job.
#[derive(Debug)]
pub struct ClusterExec {
    client: Client,
    encoded: Arc<[u8]>,
    stages: Stages,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl ClusterExec {
    /// Returns the operator over `plan`, or what keeps the plan from leaving this process: that it can't be written, or not be
    /// read by a process that knows what `receiver` knows.
    pub(crate) fn try_new(
        client: Client,
        plan: &Arc<dyn ExecutionPlan>,
        receiver: &TaskContext,
        config: &ConfigOptions,
    ) -> Result<Self> {
        if has_changed_literal(plan.as_ref())? {
            return Err(DataFusionError::NotImplemented("a literal that the wire changes".to_owned()));
        }
        let codec = codec::physical();
        let message = PhysicalPlanNode::try_from_physical_plan(Arc::clone(plan), codec.as_ref())?;
        message.try_into_physical_plan(receiver, codec.as_ref())?;
        let mut encoded = Vec::new();
        message.try_encode(&mut encoded)?;
        let stages = Stages::of(plan, config)?;
        let mut equivalences = EquivalenceProperties::new(plan.schema());
        // Several partitions are read one after the other: only a single one has an order to keep.
        if plan.output_partitioning().partition_count() == 1
            && let Some(order) = plan.output_ordering()
        {
            equivalences.add_ordering(order.clone());
        }
        let partitioning = Partitioning::UnknownPartitioning(1);
        let properties =
            PlanProperties::new(equivalences, partitioning, EmissionType::Final, Boundedness::Bounded);
        let metrics = ExecutionPlanMetricsSet::new();
        Ok(Self { client, encoded: encoded.into(), stages, properties: Arc::new(properties), metrics })
    }
}

impl DisplayAs for ClusterExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClusterExec: scheduler={}", self.client.scheduler())
    }
}

impl ExecutionPlan for ClusterExec {
    fn name(&self) -> &str {
        "ClusterExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.stages.heads.iter().rev().collect()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        // The stages are a picture of what was sent: no rule changes it.
        Ok(self)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return Err(DataFusionError::Internal(format!("ClusterExec has no partition {partition}")));
        }
        let entries = context.session_config().options().entries();
        let settings =
            entries.into_iter().map(|entry| KeyValuePair { key: entry.key, value: entry.value }).collect();
        let submission = Submission { plan: self.encoded.to_vec(), settings, session: context.session_id() };
        let (client, stages) = (self.client.clone(), self.stages.clone());
        let told = RemoteWork::new(&self.metrics, self.stages.partitions());
        let rows = stream::once(async move {
            let began = Instant::now();
            let told = |progress: JobProgress| {
                told.partitions_done.set(progress.partitions_done);
                told.stages.set(progress.stages);
                told.stages_done.set(progress.stages_done);
                told.tasks_running.set(progress.tasks_running);
                told.rows_read.set(progress.rows_read);
                let seconds = began.elapsed().as_secs_f64().max(f64::EPSILON);
                told.rows_per_second.set((progress.rows_read as f64 / seconds) as usize);
            };
            let (finished, rows) = result_rows::run(&client, &submission, &told).await?;
            // Without them the rows are as good.
            if let Ok(counted) = client.metrics(&finished.job).await {
                stages.count(counted.stages);
            }
            Ok::<_, DataFusionError>(rows)
        });
        let counted = BaselineMetrics::new(&self.metrics, partition);
        let rows = rows.try_flatten().inspect_ok(move |batch| counted.record_output(batch.num_rows()));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}
