//! Ballista's way of running a stage, with failures that can be read where they arrive.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use ballista_core::JobId;
use ballista_core::serde::protobuf::{
    RuntimeStatsReport, ShuffleWritePartition, TaskColumnStats, WindowStateReport,
};
use ballista_executor::execution_engine::{DefaultExecutionEngine, ExecutionEngine, QueryStageExecutor};
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::prelude::SessionConfig;
use nightjar_engine::with_amended_metadata;

use crate::connections::Connections;
use crate::declared_rows::DeclaredRows;
use crate::failure::TaskFailure;

/// Runs stages as Ballista does, with our reading of Parquet files.
pub(crate) struct StageRunner {
    inner: DefaultExecutionEngine,
    /// Where its tasks find files, and keep what they know of them.
    runtime: Arc<RuntimeEnv>,
}

impl StageRunner {
    pub(crate) fn new(runtime: Arc<RuntimeEnv>) -> Self {
        let inner = DefaultExecutionEngine::with_client_pool(Arc::new(Connections::default()));
        Self { inner, runtime }
    }
}

impl ExecutionEngine for StageRunner {
    fn create_query_stage_exec(
        &self,
        job_id: JobId,
        stage_id: usize,
        task_id: usize,
        global_output_partition_ids: Vec<usize>,
        plan: Arc<dyn ExecutionPlan>,
        work_dir: &str,
        config: &SessionConfig,
    ) -> Result<Arc<dyn QueryStageExecutor>> {
        let plan = with_amended_metadata(plan, &self.runtime).map_err(TaskFailure::tell)?;
        let plan = DeclaredRows::under(plan).map_err(TaskFailure::tell)?;
        let stage = self.inner.create_query_stage_exec(
            job_id,
            stage_id,
            task_id,
            global_output_partition_ids,
            plan,
            work_dir,
            config,
        );
        Ok(Arc::new(Stage(stage.map_err(TaskFailure::tell)?)))
    }
}

/// A stage of a task.
#[derive(Debug)]
struct Stage(Arc<dyn QueryStageExecutor>);

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl QueryStageExecutor for Stage {
    async fn execute_query_stage(
        &self,
        task: usize,
        context: Arc<TaskContext>,
    ) -> Result<Vec<ShuffleWritePartition>> {
        self.0.execute_query_stage(task, context).await.map_err(TaskFailure::tell)
    }

    fn collect_plan_metrics(&self) -> Vec<MetricsSet> {
        self.0.collect_plan_metrics()
    }

    fn collect_runtime_stats_reports(&self) -> Vec<RuntimeStatsReport> {
        self.0.collect_runtime_stats_reports()
    }

    fn collect_window_state_reports(&self) -> Result<Vec<WindowStateReport>> {
        self.0.collect_window_state_reports()
    }

    fn collect_column_stats(&self) -> Vec<TaskColumnStats> {
        self.0.collect_column_stats()
    }
}
