//! INSERT OVERWRITE: what a table of files holds is replaced by the rows of a query.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::datasource::physical_plan::FileOutputMode;
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
use crate::tables::file_table;

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
    if file_table(provider.as_ref()).is_none() {
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
        let files = file_table(self.files.as_ref());
        let files = files.ok_or_else(|| refused("it is not made of files"))?;
        let [place] = files.places() else {
            return Err(refused("its files lie in several places"));
        };
        if place.get_glob().is_some() {
            return Err(refused("its files are named by a pattern"));
        }
        let one_file = !place.is_collection();
        if one_file && (place.file_extension().is_none() || !files.partitions().is_empty()) {
            return Err(refused("its location is neither a folder nor a file with an ending"));
        }
        let settings = &state.config_options().execution;
        let replaced = (!one_file).then(|| Replaced {
            folder: place.clone(),
            ending: files.ending().to_owned(),
            ignores_subfolders: settings.listing_table_ignore_subdirectory,
            partitions: files.partitions().clone(),
        });
        let mode = if one_file { FileOutputMode::SingleFile } else { FileOutputMode::Automatic };
        // What the formats can write is rows that are added; what goes is for the coordinator to know.
        let plan = files.writer(state, input, mode, InsertOp::Append).await?;
        let sink = plan.downcast_ref::<DataSinkExec>();
        match sink.and_then(|sink| Some((sink, FileWriter::of(sink)?))) {
            Some((sink, writer)) => write(sink, writer, replaced),
            None => Err(refused("it is of a format that is only read")),
        }
    }
}
