//! The operator that gives the rows of a stage the columns that its plan declares.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties, SendableRecordBatchStream,
    replace_children_if_necessary,
};
use futures::StreamExt;

/// Relabels batches whose columns are NOT NULL where the plan's may be NULL.
///
/// Operators need not: a scan gives the value of a partition column as a literal, which is not NULL, and a union passes the batches of its
/// branches on. Ballista's shuffle refuses such batches. It has no metrics, so that the metrics of a stage are those of the plan that was sent.
#[derive(Debug)]
pub(crate) struct DeclaredRows {
    input: Arc<dyn ExecutionPlan>,
}

impl DeclaredRows {
    /// Puts the operator under the writer of a stage.
    pub(crate) fn under(writer: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        let inputs = writer.children().into_iter().cloned();
        let declared = inputs.map(|input| Arc::new(Self { input }) as Arc<dyn ExecutionPlan>).collect();
        replace_children_if_necessary(writer, declared)
    }
}

impl DisplayAs for DeclaredRows {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeclaredRows")
    }
}

impl ExecutionPlan for DeclaredRows {
    fn name(&self) -> &str {
        "DeclaredRows"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
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
            (Some(input), true) => Ok(Arc::new(Self { input })),
            _ => Err(DataFusionError::Internal("DeclaredRows has one child".to_owned())),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let declared = self.schema();
        let columns = Arc::clone(&declared);
        let rows = self.input.execute(partition, context)?;
        let rows = rows.map(move |batch| Ok(as_declared(batch?, &declared)));
        Ok(Box::pin(RecordBatchStreamAdapter::new(columns, rows)))
    }
}

/// Returns the batch with the declared columns, or as it is where it has others: who takes it says so.
fn as_declared(batch: RecordBatch, declared: &SchemaRef) -> RecordBatch {
    if batch.schema_ref() == declared {
        return batch;
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let columns = batch.columns().to_vec();
    RecordBatch::try_new_with_options(Arc::clone(declared), columns, &options).unwrap_or(batch)
}
