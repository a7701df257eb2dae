//! Where DataFusion would write from one task.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::datasource::file_format::write::get_writer_schema;
use datafusion::datasource::sink::DataSinkExec;
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;

use super::destination::{Destination, Kind};
use super::file_name::check_name;
use super::publish_exec::PublishExec;
use super::replaced::Replaced;
use super::sink::FileWriter;
use super::types::check_types;
use super::write_files_exec::{Shape, WriteFilesExec};
use crate::error::EngineError;

/// Has each partition of what COPY and INSERT write be written by its own task, and the whole be published at once.
///
/// The first of the physical rules: those that follow settle partitions and orders for the operators that it plans.
#[derive(Debug, Default)]
pub struct WriteInTasks;

impl PhysicalOptimizerRule for WriteInTasks {
    fn name(&self) -> &str {
        "write_in_tasks"
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let planned = plan.transform_down(|node| match node.downcast_ref::<DataSinkExec>() {
            Some(sink) => match FileWriter::of(sink) {
                Some(writer) => Ok(Transformed::yes(write(sink, writer, None)?)),
                None => Ok(Transformed::no(node)),
            },
            None => Ok(Transformed::no(node)),
        });
        planned.data()
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Returns the operators that write where `sink` would. `replaced` are the files that go when the new ones come.
pub(super) fn write(
    sink: &DataSinkExec,
    writer: FileWriter,
    replaced: Option<Replaced>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let config = writer.config()?;
    let destination = Destination::of(config)?;
    if destination.kind == Kind::File {
        check_name(&writer, &destination.target.to_string()).map_err(EngineError::into_datafusion)?;
    }
    check_types(writer.format(), &get_writer_schema(config)).map_err(EngineError::into_datafusion)?;
    let table = config.table_paths[0].get_table_ref().as_ref().map(ToString::to_string);
    let target = table.unwrap_or_else(|| destination.target.to_string());
    // COPY's writers were made for one URL, INSERT's for a table.
    let insert = config.original_url.is_empty();
    let input = Arc::clone(sink.input());
    let shape = match destination.kind {
        Kind::File => Shape::File,
        Kind::Folder | Kind::NewFolder if is_ordered(input.as_ref()) => Shape::OrderedFolder,
        Kind::Folder | Kind::NewFolder => Shape::Folder,
    };
    let files = WriteFilesExec::new(input, writer.clone(), target, destination.staging.clone(), shape);
    Ok(Arc::new(PublishExec::new(Arc::new(files), writer, destination, insert, replaced)))
}

/// Returns whether rows come in an order that was asked for: it would be lost between the files of several partitions.
fn is_ordered(plan: &dyn ExecutionPlan) -> bool {
    if plan.is::<SortExec>() || plan.is::<SortPreservingMergeExec>() {
        return true;
    }
    match (plan.children().as_slice(), plan.maintains_input_order().as_slice()) {
        ([input], [true]) => is_ordered(input.as_ref()),
        _ => false,
    }
}
