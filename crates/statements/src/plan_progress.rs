//! How far a running plan has got, read from its metrics.

use std::sync::Arc;
use std::time::Duration;

use datafusion::common::stats::Precision;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream, execute_stream};

use crate::Watch;

/// How often a running plan is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The metrics of an operator whose work is done elsewhere: how many partitions are done there, and of how many.
pub const PARTITIONS_DONE: &str = "partitions_done";
/// See [`PARTITIONS_DONE`].
pub const PARTITIONS: &str = "partitions";

/// How far a plan has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanProgress {
    /// How many units are done.
    pub done: u64,
    /// Of how many, where it is known.
    pub total: Option<u64>,
    /// What is counted: `texts` where models run, `partitions` where the work is done elsewhere, else `rows`.
    pub unit: &'static str,
}

/// Returns how much the plan's costliest operators have done, and of how much where statistics tell.
///
/// Where models run, their texts are what time goes to; elsewhere the rows read from the leaves.
pub fn plan_progress(plan: &dyn ExecutionPlan) -> PlanProgress {
    let mut found = Operators::default();
    found.visit(plan);
    if !found.remote.is_empty() {
        let sum = |name| found.remote.iter().map(|node| metric(*node, name)).sum::<u64>();
        // Known once it runs.
        let total = Some(sum(PARTITIONS)).filter(|total| *total > 0);
        return PlanProgress { done: sum(PARTITIONS_DONE), total, unit: "partitions" };
    }
    let (nodes, name, unit) = match found.models.is_empty() {
        true => (found.leaves, "output_rows", "rows"),
        false => (found.models, "encoded_texts", "texts"),
    };
    let done = nodes.iter().map(|node| metric(*node, name)).sum();
    let total = nodes.iter().map(|node| rows(*node)).sum::<Option<u64>>();
    PlanProgress { done, total: total.map(|total| total.max(done)), unit }
}

fn metric(node: &dyn ExecutionPlan, name: &str) -> u64 {
    let value = node.metrics().and_then(|metrics| metrics.sum_by_name(name));
    value.map_or(0, |value| value.as_usize() as u64)
}

/// Returns how many texts of a plan that has run were longer than their model's window.
pub fn truncated_texts(plan: &dyn ExecutionPlan) -> usize {
    let own = plan.metrics().and_then(|metrics| metrics.sum_by_name("truncated_texts"));
    let below = plan.children().into_iter().map(|child| truncated_texts(child.as_ref())).sum::<usize>();
    own.map_or(0, |sum| sum.as_usize()) + below
}

/// The operators of a plan whose metrics tell how far it is.
#[derive(Default)]
struct Operators<'a> {
    remote: Vec<&'a dyn ExecutionPlan>,
    models: Vec<&'a dyn ExecutionPlan>,
    leaves: Vec<&'a dyn ExecutionPlan>,
}

impl<'a> Operators<'a> {
    fn visit(&mut self, node: &'a dyn ExecutionPlan) {
        match node.name() {
            "ClusterExec" => return self.remote.push(node),
            "InferExec" => self.models.push(node),
            _ => {}
        }
        let children = node.children();
        if children.is_empty() {
            self.leaves.push(node);
        }
        for child in children {
            self.visit(child.as_ref());
        }
    }
}

fn rows(node: &dyn ExecutionPlan) -> Option<u64> {
    let statistics = StatisticsContext::new().compute(node, &StatisticsArgs::new()).ok();
    match statistics?.num_rows {
        Precision::Exact(rows) => Some(rows as u64),
        // An estimate, such as a filter's, is passed by the rows that come, and a bar that says 7 of 3 tells nothing.
        Precision::Inexact(_) | Precision::Absent => None,
    }
}

/// Runs a plan as one stream while telling `watch` how far it has got.
pub fn execute_watched(
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    watch: Arc<dyn Watch>,
) -> Result<(SendableRecordBatchStream, WatchedPlan)> {
    let stream = execute_stream(Arc::clone(&plan), context)?;
    let looking = tokio::spawn(async move {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            watch.position(plan_progress(plan.as_ref()).done);
        }
    });
    Ok((stream, WatchedPlan(looking)))
}

/// Stops looking at the plan when dropped.
#[derive(Debug)]
pub struct WatchedPlan(tokio::task::JoinHandle<()>);

impl Drop for WatchedPlan {
    fn drop(&mut self) {
        self.0.abort();
    }
}
