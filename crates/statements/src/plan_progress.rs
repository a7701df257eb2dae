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

/// Returns how many rows the plan's costliest operators have done, and of how many where statistics tell.
///
/// Where models run, their texts are what time goes to; elsewhere the rows read from the leaves.
pub fn plan_progress(plan: &dyn ExecutionPlan) -> (u64, Option<u64>) {
    let mut models = Vec::new();
    let mut leaves = Vec::new();
    visit(plan, &mut models, &mut leaves);
    let (nodes, metric) = if models.is_empty() { (leaves, "output_rows") } else { (models, "encoded_texts") };
    let mut done = 0;
    let mut total = Some(0);
    for node in nodes {
        let value = node.metrics().and_then(|metrics| metrics.sum_by_name(metric));
        done += value.map_or(0, |value| value.as_usize() as u64);
        total = total.zip(rows(node)).map(|(total, rows)| total + rows);
    }
    (done, total.map(|total| total.max(done)))
}

/// Returns how many texts of a plan that has run were longer than their model's window.
pub fn truncated_texts(plan: &dyn ExecutionPlan) -> usize {
    let own = plan.metrics().and_then(|metrics| metrics.sum_by_name("truncated_texts"));
    let below = plan.children().into_iter().map(|child| truncated_texts(child.as_ref())).sum::<usize>();
    own.map_or(0, |sum| sum.as_usize()) + below
}

fn visit<'a>(
    node: &'a dyn ExecutionPlan,
    models: &mut Vec<&'a dyn ExecutionPlan>,
    leaves: &mut Vec<&'a dyn ExecutionPlan>,
) {
    if node.name() == "InferExec" {
        models.push(node);
    }
    let children = node.children();
    if children.is_empty() {
        leaves.push(node);
    }
    for child in children {
        visit(child.as_ref(), models, leaves);
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
            watch.position(plan_progress(plan.as_ref()).0);
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
