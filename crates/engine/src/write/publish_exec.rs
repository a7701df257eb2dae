//! The operator that makes what tasks have written visible.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::physical_plan::{FileGroup, FileOutputMode, FileScanConfig};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::{Distribution, EquivalenceProperties, Partitioning};
use datafusion::physical_plan::execution_plan::EmissionType;
use datafusion::physical_plan::stream::{EmptyRecordBatchStream, RecordBatchStreamAdapter};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements,
    PhysicalExpr, PlanProperties, SendableRecordBatchStream,
};
use futures::{StreamExt, stream};
use nightjar_functions::readable;
use object_store::path::Path;

use super::destination::{Destination, Kind, unwritable};
use super::hide_output::scanned;
use super::output_key::OutputKey;
use super::publish::{publish, settle};
use super::replaced::Replaced;
use super::sink::FileWriter;
use super::staged::{StagedFile, hear};
use super::staging::Staging;
use crate::tables::check_place;

/// Runs the tasks that write, and moves their files to where they belong once all have written. Returns how many rows.
///
/// A statement that fails, or whose stream is dropped, leaves nothing. One without rows leaves a file that has the columns,
/// unless it adds to a table or replaces partitions of one. With an [`OutputKey`] among the extensions of the task's settings, the files
/// bear it, and those that bear it already go.
#[derive(Debug, Clone)]
pub struct PublishExec {
    input: Arc<dyn ExecutionPlan>,
    writer: FileWriter,
    destination: Destination,
    /// Whether the files are a table's.
    insert: bool,
    /// The files of the table that go when the new ones come.
    replaced: Option<Replaced>,
    /// Whether the rows come from what they replace.
    reads_target: bool,
    properties: Arc<PlanProperties>,
}

impl PublishExec {
    pub(super) fn new(
        input: Arc<dyn ExecutionPlan>,
        writer: FileWriter,
        destination: Destination,
        insert: bool,
        replaced: Option<Replaced>,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(count_schema()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            input.boundedness(),
        );
        let reads_target = replaced.is_some() && reads(&input, destination.target.path());
        let properties = Arc::new(properties);
        Self { input, writer, destination, insert, replaced, reads_target, properties }
    }

    /// Whether files of a table go when the new ones come.
    pub(super) fn overwrites(&self) -> bool {
        self.replaced.is_some()
    }
}

/// As DataFusion's own writers have it.
fn count_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("count", DataType::UInt64, false)]))
}

/// Returns whether a plan reads files of a folder.
fn reads(plan: &Arc<dyn ExecutionPlan>, folder: &Path) -> bool {
    let of_folder = |scan: &FileScanConfig| {
        let mut files = scan.file_groups.iter().flat_map(FileGroup::iter);
        files.any(|file| file.object_meta.location.prefix_matches(folder))
    };
    plan.exists(|node| Ok(scanned(node.as_ref()).is_some_and(of_folder))).unwrap_or(false)
}

fn count(rows: u64) -> Result<RecordBatch> {
    Ok(RecordBatch::try_new(count_schema(), vec![Arc::new(UInt64Array::from(vec![rows]))])?)
}

impl DisplayAs for PublishExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublishExec: to={}", self.destination.target)?;
        match &self.replaced {
            Some(replaced) if replaced.partitions.is_empty() => write!(f, ", replaces=all"),
            Some(_) => write!(f, ", replaces=partitions"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for PublishExec {
    fn name(&self) -> &str {
        "PublishExec"
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
                let (writer, destination) = (self.writer.clone(), self.destination.clone());
                let replaced = self.replaced.clone();
                let new = Self::new(input, writer, destination, self.insert, replaced);
                // What has left for the cluster shows its files no more.
                Ok(Arc::new(Self { reads_target: self.reads_target, ..new }))
            }
            _ => Err(DataFusionError::Internal("PublishExec has one child".to_owned())),
        }
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![Distribution::SinglePartition])
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return Err(DataFusionError::Internal(format!("PublishExec has no partition {partition}")));
        }
        let count = stream::once(self.clone().run(context));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), count)))
    }
}

impl PublishExec {
    async fn run(self, context: Arc<TaskContext>) -> Result<RecordBatch> {
        let runtime = context.runtime_env();
        let destination = &self.destination;
        check_place(&runtime, &destination.target.listing()?).await?;
        if destination.kind == Kind::Folder {
            settle(&runtime, &destination.target.listing()?).await?;
        }
        let key = context.session_config().get_extension::<OutputKey>();
        if let Some(key) = key.as_ref().filter(|key| key.is_again())
            && self.reads_target
            && !key.files(&destination.target.store(&runtime)?, &destination.target).await?.is_empty()
        {
            // An earlier attempt has done it: the rows that it was made from are gone.
            return count(0);
        }
        let staging = Staging::open(&destination.staging, &runtime).await;
        let staging = staging.map_err(|error| unwritable(&destination.target, &readable(&error)))?;
        let (mut files, mut rows) = (Vec::new(), 0);
        let mut told = self.input.execute(0, Arc::clone(&context))?;
        while let Some(batch) = told.next().await {
            rows += hear(&batch?, &mut files)?;
        }
        drop(told);
        if files.is_empty() && (!self.insert || self.replaced.is_some()) {
            files.extend(self.write_none(&context).await?);
        }
        // What it has added before goes, also where there is nothing new.
        let is_again = destination.kind != Kind::File && key.as_ref().is_some_and(|key| key.is_again());
        if !files.is_empty() || is_again {
            publish(&staging, destination, self.replaced.as_ref(), key.as_deref(), files).await?;
        }
        staging.end().await;
        count(rows)
    }

    /// Writes a file without rows, so that who reads it sees the columns. There is none where the values of columns would
    /// name its folder.
    async fn write_none(&self, context: &Arc<TaskContext>) -> Result<Option<StagedFile>> {
        let config = self.writer.config()?;
        if !config.table_partition_cols.is_empty() {
            return Ok(None);
        }
        let path = format!("none/file.{}", config.file_extension);
        let place = self.destination.staging.folder(&["none"])?;
        let place = place.file(&format!("file.{}", config.file_extension))?;
        let sink = self.writer.to(&place, FileOutputMode::SingleFile)?;
        let none = EmptyRecordBatchStream::new(Arc::clone(config.output_schema()));
        sink.write_all(Box::pin(none), context).await?;
        Ok(Some(StagedFile { partition: 0, path }))
    }
}
