//! Queries whose files were replaced between planning and reading.
//!
//! INSERT OVERWRITE publishes new files and removes the old ones, and a query that was planned before may find its files gone. As long as it has given no
//! row it is planned anew, once: it lists the files of now, and none of the old ones is read. Later it fails, with the table's name.

use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt, stream};
use nightjar_functions::find_failure;

use crate::error::EngineError;
use crate::tables::file_table;

/// A query as it was planned.
pub(crate) struct Planned {
    pub(crate) state: SessionState,
    pub(crate) logical: LogicalPlan,
    pub(crate) physical: Arc<dyn ExecutionPlan>,
}

/// A table that lacks a file that it had.
struct Gone {
    table: String,
    file: String,
    /// Whether the table is a folder, which is listed for each query.
    is_folder: bool,
}

impl Planned {
    /// Returns the rows of the query, which `execute` has begun to run: those of another plan, if files are gone before the first row is there.
    pub(crate) fn rows(
        self,
        mut rows: SendableRecordBatchStream,
        execute: impl FnOnce(Arc<dyn ExecutionPlan>) -> Result<SendableRecordBatchStream> + Send + 'static,
    ) -> SendableRecordBatchStream {
        let schema = rows.schema();
        let all = stream::once(async move {
            let first = rows.next().await;
            let Some(Err(error)) = first else {
                let logical = self.logical;
                let rows = stream::iter(first).chain(rows);
                return Ok(rows.map_err(move |error| named(&logical, error)).boxed());
            };
            if !gone(&self.logical, &error).is_some_and(|gone| gone.is_folder) {
                return Err(named(&self.logical, error));
            }
            drop(rows);
            let physical = self.state.create_physical_plan(&self.logical).await?;
            // A table without files has no rows: whoever removed them has put none in their place.
            if scans(physical.as_ref()) < scans(self.physical.as_ref()) {
                return Err(named(&self.logical, error));
            }
            let (rows, logical) = (execute(physical)?, self.logical);
            Ok(rows.map_err(move |error| named(&logical, error)).boxed())
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, all.try_flatten()))
    }
}

/// Returns how many scans a plan has, wherever it runs.
fn scans(plan: &dyn ExecutionPlan) -> usize {
    let below: usize = plan.children().into_iter().map(|child| scans(child.as_ref())).sum();
    below + usize::from(plan.name() == "DataSourceExec")
}

/// Returns the error of a file that is gone with the name of its table; any other as it is.
fn named(logical: &LogicalPlan, error: DataFusionError) -> DataFusionError {
    match gone(logical, &error) {
        Some(Gone { table, file, .. }) => EngineError::FilesReplaced { table, file }.into_datafusion(),
        None => error,
    }
}

/// Returns the table that a file belongs to that was not there when it was read.
fn gone(logical: &LogicalPlan, error: &DataFusionError) -> Option<Gone> {
    let object_store::Error::NotFound { path, .. } = find_failure::<object_store::Error>(error)? else {
        return None;
    };
    let mut found = None;
    let _ = logical.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Ok(provider) = source_as_provider(&scan.source)
        {
            if let Some(view) = provider.get_logical_plan() {
                found = gone(&view, error);
            } else if let Some(table) = file_table(provider.as_ref()) {
                let below = |prefix: &object_store::path::Path| {
                    let path = path.trim_start_matches('/');
                    path.strip_prefix(prefix.as_ref())
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                };
                found = table.places().iter().find(|place| below(place.prefix())).map(|place| Gone {
                    table: scan.table_name.table().to_owned(),
                    file: path.clone(),
                    is_folder: place.is_collection(),
                });
            }
        }
        Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found
}
