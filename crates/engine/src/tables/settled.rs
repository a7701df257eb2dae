//! Tables of files, listed while nobody is in the middle of changing them.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{ScanArgs, ScanResult, Session};
use datafusion::common::{Constraints, Statistics};
use datafusion::datasource::listing::{ListingTable, ListingTableUrl};
use datafusion::datasource::{TableProvider, TableType};
use datafusion::error::Result;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;

use crate::write::{Activity, settle};

/// How often a folder is listed anew in which statements end all the time. What is read then may have a part of one.
const MOST_LISTINGS: usize = 10;

/// DataFusion's table of files, whose scan has all of what a statement has published into the folder, or nothing.
///
/// Files come and go one by one; a listing that was made meanwhile is made again.
#[derive(Debug)]
pub(crate) struct SettledTable {
    files: Arc<dyn TableProvider>,
}

/// Returns a table of files that is listed as a whole; any other as it is.
pub(crate) fn settled(table: Arc<dyn TableProvider>) -> Arc<dyn TableProvider> {
    match table.downcast_ref::<ListingTable>() {
        Some(files) if files.table_paths().iter().any(|path| path.is_collection()) => {
            Arc::new(SettledTable { files: table })
        }
        _ => table,
    }
}

/// Returns a table as one of files, if it is.
pub(crate) fn listing(table: &dyn TableProvider) -> Option<&ListingTable> {
    match table.downcast_ref::<SettledTable>() {
        Some(settled) => settled.files.downcast_ref(),
        None => table.downcast_ref(),
    }
}

impl SettledTable {
    fn folders(&self) -> &[ListingTableUrl] {
        listing(self).map(|files| files.table_paths().as_slice()).unwrap_or_default()
    }

    /// Looks at who is at work in the table's folders.
    async fn activity(&self, state: &dyn Session) -> Result<Vec<Activity>> {
        let mut all = Vec::new();
        for folder in self.folders() {
            all.push(Activity::of(state.runtime_env(), folder).await?);
        }
        Ok(all)
    }

    async fn settle(&self, state: &dyn Session) -> Result<()> {
        for folder in self.folders() {
            settle(state.runtime_env(), folder).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl TableProvider for SettledTable {
    fn schema(&self) -> SchemaRef {
        self.files.schema()
    }

    fn constraints(&self) -> Option<&Constraints> {
        self.files.constraints()
    }

    fn table_type(&self) -> TableType {
        self.files.table_type()
    }

    fn get_table_definition(&self) -> Option<&str> {
        self.files.get_table_definition()
    }

    fn get_column_default(&self, column: &str) -> Option<&Expr> {
        self.files.get_column_default(column)
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        self.files.supports_filters_pushdown(filters)
    }

    fn statistics(&self) -> Option<Statistics> {
        self.files.statistics()
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let args = ScanArgs::default()
            .with_projection(projection.map(Vec::as_slice))
            .with_filters(Some(filters))
            .with_limit(limit);
        Ok(self.scan_with_args(state, args).await?.into_inner())
    }

    async fn scan_with_args<'a>(&self, state: &dyn Session, args: ScanArgs<'a>) -> Result<ScanResult> {
        for _ in 1..MOST_LISTINGS {
            let before = self.activity(state).await?;
            let scan = self.files.scan_with_args(state, args.clone()).await?;
            let after = self.activity(state).await?;
            if !before.iter().zip(&after).any(|(before, after)| before.may_have_published(after)) {
                return Ok(scan);
            }
            self.settle(state).await?;
        }
        self.files.scan_with_args(state, args).await
    }

    async fn insert_into(
        &self,
        state: &dyn Session,
        input: Arc<dyn ExecutionPlan>,
        op: InsertOp,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.files.insert_into(state, input, op).await
    }
}
