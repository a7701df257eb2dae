//! How far a running plan has got, read from its metrics.

use std::sync::Arc;
use std::time::Duration;

use datafusion::common::stats::Precision;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream, execute_stream};

use crate::Watch;
use crate::remote_work::{RemoteProgress, metric};

/// How often a running plan is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How far a plan has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanProgress {
    /// How many units are done.
    pub done: u64,
    /// Of how many, where it is known.
    pub total: Option<u64>,
    /// What is counted: `texts` where models run, `partitions` where the work is done elsewhere, else `rows`.
    pub unit: &'static str,
    /// How it goes in words, where there is more to say.
    pub detail: Option<String>,
}

/// Returns how much the plan's costliest operators have done, and of how much where statistics tell.
///
/// Where models run, their texts are what time goes to; elsewhere the rows read from the leaves.
pub fn plan_progress(plan: &dyn ExecutionPlan) -> PlanProgress {
    let mut found = Operators::default();
    found.visit(plan);
    if !found.remote.is_empty() {
        let work = RemoteProgress::of(&found.remote);
        // Known once it runs.
        let running = work.partitions > 0;
        return PlanProgress {
            done: work.partitions_done,
            total: running.then_some(work.partitions),
            unit: "partitions",
            detail: running.then_some(work.detail),
        };
    }
    let (nodes, name, unit) = match found.models.is_empty() {
        true => (found.leaves, "output_rows", "rows"),
        false => (found.models, "encoded_texts", "texts"),
    };
    let done = nodes.iter().map(|node| metric(*node, name)).sum();
    let total = nodes.iter().map(|node| rows(*node)).sum::<Option<u64>>();
    PlanProgress { done, total: total.map(|total| total.max(done)), unit, detail: None }
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
            let progress = plan_progress(plan.as_ref());
            if let Some(detail) = progress.detail {
                watch.detail(&detail);
            }
            watch.position(progress.done);
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
