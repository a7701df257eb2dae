//! The stages of a plan as a tree that EXPLAIN shows: what runs elsewhere, with what it counted there.

use std::fmt;
use std::sync::Arc;

use ballista_core::JobId;
use ballista_core::execution_plans::ShuffleWriter;
use ballista_core::serde::protobuf::{JobStageMetrics, OperatorMetricsSet};
use ballista_scheduler::planner::{DefaultDistributedPlanner, DistributedPlanner};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PhysicalExpr, PlanProperties,
    SendableRecordBatchStream,
};
use parking_lot::Mutex;

/// An operator that runs in a stage on the cluster: it is shown, and counts what its tasks counted, but never runs here.
#[derive(Debug)]
pub(crate) struct RemoteOperator {
    operator: Arc<dyn ExecutionPlan>,
    /// The number of the stage that it is the head of.
    stage: Option<usize>,
    children: Vec<Arc<dyn ExecutionPlan>>,
    counted: Mutex<Option<MetricsSet>>,
}

/// The stages of a plan, in the order in which they may run; each reads what earlier ones wrote.
#[derive(Debug, Clone)]
pub(crate) struct Stages {
    pub(crate) heads: Vec<Arc<dyn ExecutionPlan>>,
    numbers: Vec<usize>,
}

impl Stages {
    /// Cuts a plan as the scheduler will.
    pub(crate) fn of(plan: &Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Self> {
        let job = JobId::new("explain".to_owned());
        let cut = DefaultDistributedPlanner::new().plan_query_stages(&job, Arc::clone(plan), config);
        let stages = cut.map_err(|error| DataFusionError::Plan(error.to_string()))?;
        let numbers = stages.iter().map(|stage| stage.stage_id()).collect();
        let heads = stages.iter().map(|stage| remote(stage_plan(stage), Some(stage.stage_id()))).collect();
        Ok(Self { heads, numbers })
    }

    /// Returns how many partitions the stages read, all together: the pieces in which the work gets done.
    pub(crate) fn partitions(&self) -> usize {
        self.heads.iter().map(|head| inputs(head.as_ref())).sum()
    }

    /// Takes over what the stages of a finished job have counted.
    pub(crate) fn count(&self, counted: Vec<JobStageMetrics>) {
        for stage in counted {
            let Some(place) = self.numbers.iter().position(|number| *number == stage.stage_id as usize)
            else {
                continue;
            };
            let mut operators = stage.operators.into_iter();
            assign(self.heads[place].as_ref(), &mut |_| {
                let metrics = OperatorMetricsSet { metrics: operators.next()?.metrics };
                metrics.try_into().ok()
            });
        }
    }
}

/// Returns how many partitions the head of a stage reads, a task each at most; how it deals them out is the writer's to say.
fn inputs(head: &dyn ExecutionPlan) -> usize {
    head.children().first().map_or(1, |input| input.output_partitioning().partition_count())
}

fn stage_plan(stage: &Arc<dyn ShuffleWriter>) -> Arc<dyn ExecutionPlan> {
    Arc::clone(stage) as Arc<dyn ExecutionPlan>
}

fn remote(operator: Arc<dyn ExecutionPlan>, stage: Option<usize>) -> Arc<dyn ExecutionPlan> {
    let children = operator.children().into_iter().map(|child| remote(Arc::clone(child), None)).collect();
    Arc::new(RemoteOperator { operator, stage, children, counted: Mutex::new(None) })
}

/// Gives each operator of a tree, parents first, what `next` has for it.
fn assign(node: &dyn ExecutionPlan, next: &mut dyn FnMut(&dyn ExecutionPlan) -> Option<MetricsSet>) {
    if let Some(remote) = node.downcast_ref::<RemoteOperator>() {
        *remote.counted.lock() = next(node);
    }
    for child in node.children() {
        assign(child.as_ref(), next);
    }
}

impl DisplayAs for RemoteOperator {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(stage) = self.stage {
            let partitions = inputs(self.operator.as_ref());
            write!(f, "Stage {stage}, {partitions} partition{}: ", if partitions == 1 { "" } else { "s" })?;
        }
        self.operator.fmt_as(format, f)
    }
}

impl ExecutionPlan for RemoteOperator {
    fn name(&self) -> &str {
        self.operator.name()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.operator.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.children.iter().collect()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        Err(DataFusionError::Internal(format!("{} runs on the cluster", self.name())))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        self.counted.lock().clone()
    }
}
