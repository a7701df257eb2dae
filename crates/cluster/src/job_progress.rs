//! How far a job is.

use std::collections::BTreeSet;

use ballista_core::JobId;
use serde::Deserialize;

use crate::error::Result;
use crate::{Address, rest};

#[derive(Deserialize)]
struct Stages {
    stages: Vec<Stage>,
}

#[derive(Deserialize)]
struct Stage {
    #[serde(default)]
    tasks: Option<Vec<Task>>,
}

#[derive(Deserialize)]
struct Task {
    status: String,
    /// Those that the task covers.
    partition_id: Vec<u32>,
}

impl Stage {
    /// A partition counts once, however often its task was tried.
    fn done(&self) -> usize {
        let tasks = self.tasks.iter().flatten().filter(|task| task.status == "Successful");
        tasks.flat_map(|task| &task.partition_id).collect::<BTreeSet<_>>().len()
    }
}

/// Returns how many partitions of a job's stages are done. Blocks the thread.
pub(crate) fn partitions_done(scheduler: &Address, job: &JobId) -> Result<usize> {
    let stages: Stages = rest::get(scheduler, &format!("/api/job/{job}/stages"))?;
    Ok(stages.stages.iter().map(Stage::done).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_count_once() {
        let stages: Stages = serde_json::from_str(
            r#"{"stages": [
                {"stage_id": "1", "tasks": [
                    {"status": "Successful", "partition_id": [0, 1]}, {"status": "Running", "partition_id": [2]},
                    {"status": "Successful", "partition_id": [1]}]},
                {"stage_id": "2", "tasks": null}, {"stage_id": "3"}]}"#,
        )
        .unwrap();
        assert_eq!(stages.stages.iter().map(Stage::done).sum::<usize>(), 2);
    }
}
