//! What each executor has free, counted from the tasks that run.
//!
//! Ballista 55 adds and subtracts: a task takes vcores when it is handed out and gives them back when its executor reports. A
//! task of a stage that was rolled back meanwhile (an executor was lost that it read from) gives back nothing, since the stage
//! no longer knows it, or what another task took that has its number now. An executor of one vcore then never gets a task
//! again, and a statement that has no other one waits for ever. Here nothing is given back by report: what is free is the whole
//! less what the tasks that the jobs know of take.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use ballista_core::JobId;
use ballista_core::error::Result;
use ballista_core::serde::protobuf::ExecutorHeartbeat;
use ballista_core::serde::scheduler::{ExecutorData, ExecutorMetadata};
use ballista_scheduler::cluster::memory::InMemoryClusterState;
use ballista_scheduler::cluster::{BoundTask, ClusterState, ClusterStateEventStream, ExecutorSlot};
use ballista_scheduler::config::TaskDistributionPolicy;
use ballista_scheduler::state::task_manager::JobInfoCache;
use tokio::sync::Mutex;

/// The executors of a cluster, kept in memory.
#[derive(Default)]
pub(crate) struct CountedVcores {
    /// Everything but what [`Vcores`] is right about.
    kept: InMemoryClusterState,
    vcores: Mutex<HashMap<String, Vcores>>,
}

/// The vcores of one executor. What `kept` believes to be free is at most what is.
struct Vcores {
    total: u32,
    believed_free: u32,
}

impl CountedVcores {
    /// Tells `kept` of vcores that are free and that it believes taken. Cost: a look at each task of the stages that run.
    async fn count(
        &self,
        vcores: &mut HashMap<String, Vcores>,
        jobs: &HashMap<JobId, JobInfoCache>,
    ) -> Result<()> {
        let mut taken: HashMap<String, u32> = HashMap::new();
        for job in jobs.values() {
            let graph = job.execution_graph.read().await;
            for task in graph.running_tasks() {
                *taken.entry(task.executor_id).or_default() +=
                    graph.task_vcores(task.stage_id, task.task_id).unwrap_or(0);
            }
        }
        let mut returned = Vec::new();
        for (executor, vcores) in vcores {
            let free = vcores.total.saturating_sub(taken.get(executor).copied().unwrap_or(0));
            if let Some(more @ 1..) = free.checked_sub(vcores.believed_free) {
                vcores.believed_free = free;
                returned.push((executor.clone(), more));
            }
        }
        self.kept.unbind_tasks(returned).await
    }
}

#[async_trait]
impl ClusterState for CountedVcores {
    async fn bind_schedulable_tasks(
        &self,
        distribution: TaskDistributionPolicy,
        active_jobs: Arc<HashMap<JobId, JobInfoCache>>,
        executors: Option<HashSet<String>>,
    ) -> Result<Vec<BoundTask>> {
        let mut vcores = self.vcores.lock().await;
        self.count(&mut vcores, &active_jobs).await?;
        let bound = self.kept.bind_schedulable_tasks(distribution, active_jobs, executors).await?;
        for (executor, task) in &bound {
            if let Some(vcores) = vcores.get_mut(executor) {
                vcores.believed_free = vcores.believed_free.saturating_sub(task.vcores_consumed);
            }
        }
        Ok(bound)
    }

    async fn unbind_tasks(&self, _: Vec<ExecutorSlot>) -> Result<()> {
        // Counted when tasks are handed out next; Ballista does that after each of these.
        Ok(())
    }

    async fn register_executor(&self, metadata: ExecutorMetadata, spec: ExecutorData) -> Result<()> {
        let mut vcores = self.vcores.lock().await;
        let executor = metadata.id.clone();
        let (total, believed_free) = (spec.total_vcores, spec.available_vcores);
        self.kept.register_executor(metadata, spec).await?;
        vcores.insert(executor, Vcores { total, believed_free });
        Ok(())
    }

    async fn remove_executor(&self, executor_id: &str) -> Result<()> {
        self.vcores.lock().await.remove(executor_id);
        self.kept.remove_executor(executor_id).await
    }

    async fn save_executor_metadata(&self, metadata: ExecutorMetadata) -> Result<()> {
        self.kept.save_executor_metadata(metadata).await
    }

    async fn get_executor_metadata(&self, executor_id: &str) -> Result<ExecutorMetadata> {
        self.kept.get_executor_metadata(executor_id).await
    }

    async fn registered_executor_metadata(&self) -> Vec<ExecutorMetadata> {
        self.kept.registered_executor_metadata().await
    }

    async fn save_executor_heartbeat(&self, heartbeat: ExecutorHeartbeat) -> Result<()> {
        self.kept.save_executor_heartbeat(heartbeat).await
    }

    fn executor_heartbeats(&self) -> HashMap<String, ExecutorHeartbeat> {
        self.kept.executor_heartbeats()
    }

    fn get_executor_heartbeat(&self, executor_id: &str) -> Option<ExecutorHeartbeat> {
        self.kept.get_executor_heartbeat(executor_id)
    }

    async fn cluster_state_events(&self) -> Result<ClusterStateEventStream> {
        self.kept.cluster_state_events().await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use ballista_core::serde::scheduler::{ExecutorOperatingSystemSpecification, ExecutorSpecification};
    use ballista_scheduler::planner::DefaultDistributedPlanner;
    use ballista_scheduler::state::execution_graph::{ExecutionGraph, StaticExecutionGraph};
    use datafusion::arrow::datatypes::Schema;
    use datafusion::datasource::memory::MemorySourceConfig;

    use super::*;
    use crate::settings::session_config;

    /// A job of one stage of so many partitions, each a task.
    fn job(partitions: usize) -> HashMap<JobId, JobInfoCache> {
        let id = JobId::new("job");
        let rows = vec![vec![]; partitions];
        let plan = MemorySourceConfig::try_new_exec(&rows, Arc::new(Schema::empty()), None).unwrap();
        let mut graph = StaticExecutionGraph::new(
            "scheduler",
            &id,
            "",
            "session",
            plan,
            0,
            Arc::new(session_config()),
            &mut DefaultDistributedPlanner::new(),
            None,
        )
        .unwrap();
        graph.revive();
        HashMap::from([(id, JobInfoCache::new(Box::new(graph)))])
    }

    async fn executor_of(vcores: u32) -> CountedVcores {
        let cluster = CountedVcores::default();
        let metadata = ExecutorMetadata {
            id: "executor".to_owned(),
            host: String::new(),
            port: 0,
            grpc_port: 0,
            specification: ExecutorSpecification::default().with_vcores(vcores),
            os_info: ExecutorOperatingSystemSpecification::default(),
        };
        let spec = ExecutorData {
            executor_id: "executor".to_owned(),
            total_vcores: vcores,
            available_vcores: vcores,
        };
        cluster.register_executor(metadata, spec).await.unwrap();
        cluster
    }

    async fn bound(cluster: &CountedVcores, jobs: &HashMap<JobId, JobInfoCache>) -> usize {
        let bound =
            cluster.bind_schedulable_tasks(TaskDistributionPolicy::RoundRobin, Arc::new(jobs.clone()), None);
        bound.await.unwrap().len()
    }

    #[tokio::test]
    async fn tasks_of_a_stage_that_is_rolled_back_take_nothing() {
        let (cluster, jobs) = (executor_of(1).await, job(3));
        assert_eq!(bound(&cluster, &jobs).await, 1);
        assert_eq!(bound(&cluster, &jobs).await, 0, "its one vcore is taken");
        for graph in jobs.values() {
            let mut graph = graph.execution_graph.write().await;
            graph.rollback_running_stage(1, HashSet::new()).unwrap();
            assert!(graph.resolve_stage(1).unwrap() && graph.revive());
        }
        assert_eq!(bound(&cluster, &jobs).await, 1);
    }

    #[tokio::test]
    async fn reports_of_tasks_that_nobody_knows_give_nothing_back() {
        let (cluster, jobs) = (executor_of(2).await, job(5));
        assert_eq!(bound(&cluster, &jobs).await, 2);
        cluster.unbind_tasks(vec![("executor".to_owned(), 2)]).await.unwrap();
        assert_eq!(bound(&cluster, &jobs).await, 0);
        // A job that is gone has no tasks: the next one gets both vcores.
        assert_eq!(bound(&cluster, &HashMap::new()).await, 0);
        assert_eq!(bound(&cluster, &job(5)).await, 2);
    }
}
