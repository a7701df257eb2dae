//! The operator that writes a partition's rows to files, where the rows are.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::physical_plan::FileOutputMode;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::{Distribution, EquivalenceProperties, OrderingRequirements};
use datafusion::physical_plan::execution_plan::EmissionType;
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements,
    PhysicalExpr, PlanProperties, SendableRecordBatchStream,
};
use futures::{TryStreamExt, stream};

use super::finite::finite_rows;
use super::location::Location;
use super::not_null::checked_rows;
use super::partitioned::write_partitioned;
use super::sink::FileWriter;
use super::staged;
use super::staging::{below, is_open, remove};

/// Writes each partition of its input to files in the staging of a statement, and returns a row for each file.
///
/// A task has a folder of its own, named at random: one that runs twice never writes into what the first attempt wrote.
/// Memory: what the format's writer keeps, a row group for Parquet.
#[derive(Debug, Clone)]
pub struct WriteFilesExec {
    input: Arc<dyn ExecutionPlan>,
    writer: FileWriter,
    /// The table, or the place, that the rows are for, as messages name it.
    target: String,
    staging: Location,
    shape: Shape,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

/// How many files there are to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// One or more for each partition that has rows.
    Folder,
    /// As `Folder`, from one partition: the rows have an order to keep.
    OrderedFolder,
    /// One, without rows too.
    File,
}

impl WriteFilesExec {
    pub(super) fn new(
        input: Arc<dyn ExecutionPlan>,
        writer: FileWriter,
        target: String,
        staging: Location,
        shape: Shape,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&staged::SCHEMA)),
            datafusion::physical_expr::Partitioning::UnknownPartitioning(
                input.output_partitioning().partition_count(),
            ),
            EmissionType::Final,
            input.boundedness(),
        );
        let metrics = ExecutionPlanMetricsSet::new();
        Self { input, writer, target, staging, shape, properties: Arc::new(properties), metrics }
    }

    pub(super) fn writer(&self) -> &FileWriter {
        &self.writer
    }

    pub(super) fn target(&self) -> &str {
        &self.target
    }

    pub(super) fn staging(&self) -> &Location {
        &self.staging
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }
}

impl DisplayAs for WriteFilesExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = self.writer.config().map(|config| config.file_extension.as_str()).unwrap_or_default();
        write!(f, "WriteFilesExec: format={format}")
    }
}

impl ExecutionPlan for WriteFilesExec {
    fn name(&self) -> &str {
        "WriteFilesExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(input), true) => {
                let (writer, target) = (self.writer.clone(), self.target.clone());
                Ok(Arc::new(Self::new(input, writer, target, self.staging.clone(), self.shape)))
            }
            _ => Err(DataFusionError::Internal("WriteFilesExec has one child".to_owned())),
        }
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![match self.shape {
            Shape::Folder => Distribution::UnspecifiedDistribution,
            Shape::OrderedFolder | Shape::File => Distribution::SinglePartition,
        }])
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        vec![self.writer.order().map(Into::into)]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        // Encoding is work too, and so are the projections below.
        vec![self.shape == Shape::Folder]
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let attempt = uuid::Uuid::new_v4().simple().to_string();
        let task = Task {
            partition,
            folder: self.staging.folder(&[&format!("{partition:05}-{attempt}")])?,
            staging: self.staging.clone(),
            writer: self.writer.clone(),
            shape: self.shape,
            files: MetricBuilder::new(&self.metrics).counter("files", partition),
            rows: MetricBuilder::new(&self.metrics).counter("rows_written", partition),
            bytes: MetricBuilder::new(&self.metrics).counter("bytes_written", partition),
        };
        let rows = self.input.execute(partition, Arc::clone(&context))?;
        let config = self.writer.config()?;
        let rows = checked_rows(rows, config.output_schema(), &self.target);
        let rows = if self.writer.format() == "json" { finite_rows(rows) } else { rows };
        let told = stream::once(task.run(rows, context));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), told)))
    }
}

/// One attempt to write one partition.
struct Task {
    partition: usize,
    folder: Location,
    staging: Location,
    writer: FileWriter,
    shape: Shape,
    files: Count,
    rows: Count,
    bytes: Count,
}

impl Task {
    async fn run(self, rows: SendableRecordBatchStream, context: Arc<TaskContext>) -> Result<RecordBatch> {
        let written = self.write(rows, one_file_at_a_time(&context)).await.map_err(retryable)?;
        let store = self.folder.store(&context.runtime_env())?;
        let found: Vec<_> = store.list(Some(self.folder.path())).try_collect().await?;
        // A statement that was given up has removed what was there, and nobody would remove what came since.
        if !is_open(store.as_ref(), &self.staging).await? {
            remove(&store, &self.folder).await;
            return Err(DataFusionError::Execution(
                "the statement that these rows are for has ended".to_owned(),
            ));
        }
        let mut files: Vec<_> =
            found.iter().filter_map(|file| below(self.staging.path(), &file.location)).collect();
        files.sort();
        self.files.add(files.len());
        self.bytes.add(found.iter().map(|file| usize::try_from(file.size).unwrap_or(usize::MAX)).sum());
        self.rows.add(usize::try_from(written).unwrap_or(usize::MAX));
        staged::tell(self.partition as u64, &files, written)
    }

    async fn write(&self, rows: SendableRecordBatchStream, context: Arc<TaskContext>) -> Result<u64> {
        if !self.writer.config()?.table_partition_cols.is_empty() {
            return write_partitioned(&self.writer, &self.folder, rows, &context).await;
        }
        let sink = match self.shape {
            Shape::Folder | Shape::OrderedFolder => {
                self.writer.to(&self.folder, FileOutputMode::Directory)?
            }
            Shape::File => {
                let name = format!("file.{}", self.writer.config()?.file_extension);
                self.writer.to(&self.folder.file(&name)?, FileOutputMode::SingleFile)?
            }
        };
        sink.write_all(rows, &context).await
    }
}

/// DataFusion would deal a partition's batches out to several files, to encode them at once: here partitions are.
fn one_file_at_a_time(context: &Arc<TaskContext>) -> Arc<TaskContext> {
    let config = context.session_config().clone();
    let config = config.set_usize("datafusion.execution.minimum_parallel_output_files", 1);
    Arc::new(TaskContext::default().with_session_config(config).with_runtime(context.runtime_env()))
}

/// Makes what a store reports an error that may pass: another attempt, elsewhere perhaps, finds a store that answers or a
/// disk with room.
fn retryable(error: DataFusionError) -> DataFusionError {
    match error {
        DataFusionError::ObjectStore(error) => match *error {
            object_store::Error::Generic { .. } => DataFusionError::IoError(std::io::Error::other(error)),
            _ => DataFusionError::ObjectStore(error),
        },
        other => other,
    }
}
