//! What an operator counts whose work is done elsewhere.

use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, Gauge, MetricBuilder};

const PARTITIONS: &str = "partitions";
const PARTITIONS_DONE: &str = "partitions_done";
const STAGES: &str = "stages";
const STAGES_DONE: &str = "stages_done";
const TASKS_RUNNING: &str = "tasks_running";
const ROWS_READ: &str = "rows_read";
const ROWS_PER_SECOND: &str = "rows_per_second";

/// The metrics of an operator whose work is done elsewhere, by which [`plan_progress`](crate::plan_progress) tells how far
/// it is.
#[derive(Debug, Clone)]
pub struct RemoteWork {
    /// How many partitions of stages are done.
    pub partitions_done: Gauge,
    /// How many stages there are.
    pub stages: Gauge,
    /// How many of them are done.
    pub stages_done: Gauge,
    /// How many tasks run now.
    pub tasks_running: Gauge,
    /// The rows that tasks have read, from files and from each other; a task tells when it is done.
    pub rows_read: Gauge,
    /// How many of them in a second since the work began.
    pub rows_per_second: Gauge,
}

impl RemoteWork {
    /// Returns the metrics of work on so many partitions.
    pub fn new(metrics: &ExecutionPlanMetricsSet, partitions: usize) -> Self {
        let gauge = |name| MetricBuilder::new(metrics).gauge(name, 0);
        gauge(PARTITIONS).set(partitions);
        Self {
            partitions_done: gauge(PARTITIONS_DONE),
            stages: gauge(STAGES),
            stages_done: gauge(STAGES_DONE),
            tasks_running: gauge(TASKS_RUNNING),
            rows_read: gauge(ROWS_READ),
            rows_per_second: gauge(ROWS_PER_SECOND),
        }
    }
}

/// How far work is that is done elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RemoteProgress {
    pub(crate) partitions_done: u64,
    pub(crate) partitions: u64,
    /// In words.
    pub(crate) detail: String,
}

impl RemoteProgress {
    /// Returns how far the work of these operators is.
    pub(crate) fn of(operators: &[&dyn ExecutionPlan]) -> Self {
        let sum = |name| operators.iter().map(|operator| metric(*operator, name)).sum::<u64>();
        let (partitions_done, partitions) = (sum(PARTITIONS_DONE), sum(PARTITIONS));
        let (stages, done) = (sum(STAGES), sum(STAGES_DONE));
        let (running, rows, rate) = (sum(TASKS_RUNNING), sum(ROWS_READ), sum(ROWS_PER_SECOND));
        let tasks = if running == 1 { "task" } else { "tasks" };
        let mut detail = format!("{partitions_done} of {partitions} partitions, {running} {tasks} running");
        if stages > 0 {
            detail = format!("stage {} of {stages}, {detail}", (done + 1).min(stages));
        }
        // Until a task is done none has told what it read.
        if rows > 0 {
            detail = format!("{detail}, {rows} rows read, {rate} rows/s");
        }
        Self { partitions_done, partitions, detail }
    }
}

/// Returns what an operator has counted under a name.
pub(crate) fn metric(operator: &dyn ExecutionPlan, name: &str) -> u64 {
    let value = operator.metrics().and_then(|metrics| metrics.sum_by_name(name));
    value.map_or(0, |value| value.as_usize() as u64)
}
