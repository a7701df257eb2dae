//! Tables of files, listed while nobody is in the middle of changing them.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{ScanArgs, ScanResult, Session};
use datafusion::common::{Constraints, Statistics};
use datafusion::datasource::listing::{ListingTable, ListingTableUrl};
use datafusion::datasource::{TableProvider, TableType};
use datafusion::error::Result;
use datafusion::execution::runtime_env::RuntimeEnv;
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

/// Lists folders as a whole: what `list` returns has all of what a statement has published into them, or nothing.
pub(crate) async fn whole<T, F>(
    runtime: &RuntimeEnv,
    folders: &[ListingTableUrl],
    list: impl Fn() -> F,
) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    for _ in 1..MOST_LISTINGS {
        let before = activity(runtime, folders).await?;
        let listed = list().await?;
        let after = activity(runtime, folders).await?;
        if !before.iter().zip(&after).any(|(before, after)| before.may_have_published(after)) {
            return Ok(listed);
        }
        for folder in folders {
            settle(runtime, folder).await?;
        }
    }
    list().await
}

/// Looks at who is at work in folders.
async fn activity(runtime: &RuntimeEnv, folders: &[ListingTableUrl]) -> Result<Vec<Activity>> {
    let mut all = Vec::new();
    for folder in folders {
        all.push(Activity::of(runtime, folder).await?);
    }
    Ok(all)
}

impl SettledTable {
    fn folders(&self) -> &[ListingTableUrl] {
        listing(self).map(|files| files.table_paths().as_slice()).unwrap_or_default()
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
        let list = || self.files.scan_with_args(state, args.clone());
        whole(state.runtime_env(), self.folders(), list).await
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
