//! How far a job is.

use std::collections::BTreeSet;

use ballista_core::JobId;
use serde::Deserialize;

use crate::error::Result;
use crate::{Address, rest};

/// How far a job is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct JobProgress {
    /// Of how many stages.
    pub(crate) stages: usize,
    pub(crate) stages_done: usize,
    pub(crate) tasks_running: usize,
    pub(crate) partitions_done: usize,
    /// What the stages that are known have read, from files and from each other: a task tells when it is done.
    pub(crate) rows_read: usize,
}

#[derive(Deserialize)]
struct Stages {
    stages: Vec<Stage>,
}

#[derive(Deserialize)]
struct Stage {
    #[serde(default)]
    stage_status: String,
    #[serde(default)]
    input_rows: usize,
    #[serde(default)]
    tasks: Option<Vec<Task>>,
}

#[derive(Deserialize)]
struct Task {
    /// A word, or for a failed task its failure.
    status: serde_json::Value,
    /// Those that the task covers.
    partition_id: Vec<u32>,
}

impl Stage {
    /// A partition counts once, however often its task was tried.
    fn partitions_done(&self) -> usize {
        let tasks = self.tasks.iter().flatten().filter(|task| task.status == "Successful");
        tasks.flat_map(|task| &task.partition_id).collect::<BTreeSet<_>>().len()
    }
}

#[derive(Deserialize)]
struct Job {
    /// A line `=====…Stage[stage_id=2.0, …` for each stage, with its attempt after the point, and its plan.
    #[serde(default)]
    stage_plan: Option<String>,
}

/// Returns whether a job has run one of its stages again as a whole.
///
/// Ballista does so when an executor with a stage's input is lost while the stage runs, and then keeps what the stage's first
/// attempt has handed on beside what the second does: rows come twice. Such a job's result must not be used.
pub(crate) async fn has_rerun(scheduler: &Address, job: &JobId) -> Result<bool> {
    let job: Job = rest::get(scheduler, format!("/api/job/{job}")).await?;
    Ok(job.stage_plan.is_some_and(|stages| stages.lines().filter_map(attempt).any(|attempt| attempt > 0)))
}

/// Returns the attempt that a line of a stage tells.
fn attempt(line: &str) -> Option<usize> {
    let (_, rest) = line.strip_prefix("=====")?.split_once("Stage[stage_id=")?;
    let (stage, _) = rest.split_once([',', ']'])?;
    stage.split_once('.')?.1.parse().ok()
}

/// Returns how far a job is.
pub(crate) async fn job_progress(scheduler: &Address, job: &JobId) -> Result<JobProgress> {
    let stages: Stages = rest::get(scheduler, format!("/api/job/{job}/stages")).await?;
    Ok(progress(&stages.stages))
}

fn progress(stages: &[Stage]) -> JobProgress {
    let running = |stage: &Stage| {
        let tasks = stage.tasks.iter().flatten();
        tasks.filter(|task| task.status == "Running").count()
    };
    JobProgress {
        stages: stages.len(),
        stages_done: stages.iter().filter(|stage| stage.stage_status == "Successful").count(),
        tasks_running: stages.iter().map(running).sum(),
        partitions_done: stages.iter().map(Stage::partitions_done).sum(),
        rows_read: stages.iter().map(|stage| stage.input_rows).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_told_by_the_lines_of_stages() {
        assert_eq!(
            attempt("=========RunningStage[stage_id=2.0, partitions=2, successful_tasks=1]========="),
            Some(0)
        );
        assert_eq!(attempt("=========UnResolvedStage[stage_id=12.3, children=1]========="), Some(3));
        assert_eq!(attempt("  ProjectionExec: expr=[=========RunningStage[stage_id=2.1, x as t]"), None);
    }

    #[test]
    fn partitions_count_once() {
        let stages: Stages = serde_json::from_str(
            r#"{"stages": [
                {"stage_id": "1", "tasks": [
                    {"status": "Successful", "partition_id": [0, 1]}, {"status": "Running", "partition_id": [2]},
                    {"status": "Successful", "partition_id": [1]},
                    {"status": {"Failed": {"reason": "IoError"}}, "partition_id": [3]}]},
                {"stage_id": "2", "tasks": null}, {"stage_id": "3", "stage_status": "Successful", "input_rows": 70}]}"#,
        )
        .unwrap();
        let expected =
            JobProgress { stages: 3, stages_done: 1, tasks_running: 1, partitions_done: 2, rows_read: 70 };
        assert_eq!(progress(&stages.stages), expected);
    }
}
