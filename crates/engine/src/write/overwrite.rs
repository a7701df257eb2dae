//! INSERT OVERWRITE: what a table of files holds is replaced by the rows of a query.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::SchemaExt;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::datasource::physical_plan::{FileOutputMode, FileSinkConfig};
use datafusion::datasource::sink::DataSinkExec;
use datafusion::datasource::{TableProvider, TableType, provider_as_source, source_as_provider};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{DmlStatement, Expr, LogicalPlan, WriteOp};
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_plan::ExecutionPlan;

use super::replaced::Replaced;
use super::rule::write;
use super::sink::FileWriter;
use crate::error::EngineError;
use crate::tables::listing;

/// Gives INSERT OVERWRITE tables that can do it: DataFusion's writers of files only add.
#[derive(Debug, Default)]
pub struct OverwriteFiles;

impl AnalyzerRule for OverwriteFiles {
    fn name(&self) -> &str {
        "overwrite_files"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let analyzed = plan.transform_up(|plan| match plan {
            LogicalPlan::Dml(statement) if statement.op == WriteOp::Insert(InsertOp::Overwrite) => {
                Ok(Transformed::yes(LogicalPlan::Dml(overwriting(statement)?)))
            }
            other => Ok(Transformed::no(other)),
        });
        analyzed.data()
    }
}

fn overwriting(statement: DmlStatement) -> Result<DmlStatement> {
    let provider = source_as_provider(&statement.target)?;
    if provider.is::<OverwrittenTable>() {
        return Ok(statement);
    }
    let table = statement.table_name.to_string();
    if listing(provider.as_ref()).is_none() {
        return Err(not_overwritable(table, "it is not made of files"));
    }
    let target = provider_as_source(Arc::new(OverwrittenTable { table, files: provider }));
    Ok(DmlStatement { target, ..statement })
}

fn not_overwritable(table: String, reason: &str) -> DataFusionError {
    let reason = reason.to_owned();
    DataFusionError::External(Box::new(EngineError::NotOverwritable { table, reason }))
}

/// A table of files as the target of INSERT OVERWRITE.
#[derive(Debug)]
struct OverwrittenTable {
    table: String,
    files: Arc<dyn TableProvider>,
}

#[async_trait]
impl TableProvider for OverwrittenTable {
    fn schema(&self) -> SchemaRef {
        self.files.schema()
    }

    fn table_type(&self) -> TableType {
        self.files.table_type()
    }

    fn get_column_default(&self, column: &str) -> Option<&Expr> {
        self.files.get_column_default(column)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.files.scan(state, projection, filters, limit).await
    }

    /// Plans as DataFusion does for rows that are added, with what they replace.
    async fn insert_into(
        &self,
        state: &dyn Session,
        input: Arc<dyn ExecutionPlan>,
        _: InsertOp,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let refused = |reason: &str| not_overwritable(self.table.clone(), reason);
        let files = listing(self.files.as_ref());
        let files = files.ok_or_else(|| refused("it is not made of files"))?;
        self.schema().logically_equivalent_names_and_types(&input.schema())?;
        let [place] = files.table_paths().as_slice() else {
            return Err(refused("its files lie in several places"));
        };
        if place.get_glob().is_some() {
            return Err(refused("its files are named by a pattern"));
        }
        let options = files.options();
        let one_file = !place.is_collection();
        if one_file && (place.file_extension().is_none() || !options.table_partition_cols.is_empty()) {
            return Err(refused("its location is neither a folder nor a file with an ending"));
        }
        let settings = &state.config_options().execution;
        let replaced = (!one_file).then(|| Replaced {
            folder: place.clone(),
            ending: options.file_extension.clone(),
            ignores_subfolders: settings.listing_table_ignore_subdirectory,
            partitions: options.table_partition_cols.clone(),
        });
        let config = FileSinkConfig {
            original_url: String::new(),
            object_store_url: place.object_store(),
            file_group: Default::default(),
            table_paths: files.table_paths().clone(),
            output_schema: self.schema(),
            table_partition_cols: options.table_partition_cols.clone(),
            // What the formats can write; what goes is for the coordinator to know.
            insert_op: InsertOp::Append,
            keep_partition_by_columns: settings.keep_partition_by_columns,
            file_extension: options.format.get_ext(),
            file_output_mode: if one_file { FileOutputMode::SingleFile } else { FileOutputMode::Automatic },
        };
        let orders = files.try_create_output_ordering(state.execution_props(), &[])?;
        let order = orders.into_iter().next().map(Into::into);
        let plan = options.format.create_writer_physical_plan(input, state, config, order).await?;
        let sink = plan.downcast_ref::<DataSinkExec>();
        match sink.and_then(|sink| Some((sink, FileWriter::of(sink)?))) {
            Some((sink, writer)) => write(sink, writer, replaced),
            None => Err(refused("it is of a format that is only read")),
        }
    }
}
