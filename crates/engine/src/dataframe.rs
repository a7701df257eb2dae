//! The dataframe: the same plans as SQL, in method chains.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::JoinType;
use datafusion::dataframe::{DataFrame as Inner, DataFrameWriteOptions};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, LogicalPlan, SortExpr};
use datafusion::physical_plan::{common, execute_stream};
use nightjar_functions::NightjarOptions;

use crate::error::Result;
use crate::replaced_files::Planned;
use crate::resolve_models::ResolveModels;
use crate::session::Session;

/// Rows to come: a plan that runs when it is collected, shown or written.
///
/// ```no_run
/// # async fn run() -> nightjar_engine::Result<()> {
/// use datafusion::prelude::*;
/// use nightjar_engine::{Session, functions::*};
///
/// let session = Session::open(None)?;
/// session
///     .read("reviews.parquet").await?
///     .filter(character_length(col("review")).gt(lit(10)))?
///     .select([col("id"), classify(col("review")).alias("label")])?
///     .write_parquet("labels/").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct DataFrame {
    inner: Inner,
    session: Session,
}

impl DataFrame {
    pub(crate) fn new(inner: Inner, session: Session) -> Self {
        Self { inner, session }
    }

    /// Returns the rows with these columns.
    pub fn select(self, exprs: impl IntoIterator<Item = Expr>) -> Result<Self> {
        let exprs = self.bind_all(exprs)?;
        self.then(|inner| inner.select(exprs))
    }

    /// Returns the rows with one more column, or with a column replaced.
    pub fn with_column(self, name: &str, expr: Expr) -> Result<Self> {
        let expr = self.bind(expr)?;
        self.then(|inner| inner.with_column(name, expr))
    }

    /// Returns the rows with a column renamed.
    pub fn with_column_renamed(self, old: &str, new: &str) -> Result<Self> {
        self.then(|inner| inner.with_column_renamed(old, new))
    }

    /// Returns the rows without these columns.
    pub fn drop_columns(self, names: &[&str]) -> Result<Self> {
        self.then(|inner| inner.drop_columns(names))
    }

    /// Returns the rows for which the predicate is true.
    pub fn filter(self, predicate: Expr) -> Result<Self> {
        let predicate = self.bind(predicate)?;
        self.then(|inner| inner.filter(predicate))
    }

    /// Returns one row per group with the aggregates.
    pub fn aggregate(
        self,
        groups: impl IntoIterator<Item = Expr>,
        aggregates: impl IntoIterator<Item = Expr>,
    ) -> Result<Self> {
        let (groups, aggregates) = (self.bind_all(groups)?, self.bind_all(aggregates)?);
        self.then(|inner| inner.aggregate(groups, aggregates))
    }

    /// Returns the rows in order.
    pub fn sort(self, keys: impl IntoIterator<Item = SortExpr>) -> Result<Self> {
        let keys = keys
            .into_iter()
            .map(|key| Ok(SortExpr { expr: self.bind(key.expr.clone())?, ..key }))
            .collect::<Result<Vec<_>>>()?;
        self.then(|inner| inner.sort(keys))
    }

    /// Returns the first rows.
    pub fn limit(self, rows: usize) -> Result<Self> {
        self.then(|inner| inner.limit(0, Some(rows)))
    }

    /// Returns the distinct rows.
    pub fn distinct(self) -> Result<Self> {
        self.then(|inner| inner.distinct())
    }

    /// Returns these rows and then those.
    pub fn union(self, other: Self) -> Result<Self> {
        self.then(|inner| inner.union(other.inner))
    }

    /// Returns the join on equal columns.
    pub fn join(self, right: Self, kind: JoinType, left_on: &[&str], right_on: &[&str]) -> Result<Self> {
        self.then(|inner| inner.join(right.inner, kind, left_on, right_on, None))
    }

    /// Returns the columns.
    pub fn schema(&self) -> SchemaRef {
        Arc::new(self.inner.schema().as_arrow().clone())
    }

    /// Returns the logical plan, as DataFusion sees it before analysis.
    pub fn logical_plan(&self) -> &LogicalPlan {
        self.inner.logical_plan()
    }

    /// Returns the plan as rows of text; with `analyze` it runs and shows metrics.
    pub fn explain(self, analyze: bool) -> Result<Self> {
        self.then(|inner| inner.explain(false, analyze))
    }

    /// Runs the plan and returns all rows.
    pub async fn collect(self) -> Result<Vec<RecordBatch>> {
        Ok(common::collect(self.execute_stream().await?).await?)
    }

    /// Runs the plan and returns rows as they come.
    pub async fn execute_stream(self) -> Result<SendableRecordBatchStream> {
        let context = Arc::new(self.inner.task_ctx());
        let (state, plan) = self.inner.into_parts();
        let physical = state.create_physical_plan(&plan).await?;
        let rows = execute_stream(Arc::clone(&physical), Arc::clone(&context))?;
        let planned = Planned { state, logical: plan, physical };
        Ok(planned.rows(rows, move |anew| execute_stream(anew, context)))
    }

    /// Runs the plan and returns the number of rows.
    pub async fn count(self) -> Result<usize> {
        Ok(self.inner.count().await?)
    }

    /// Runs the plan and prints the rows as a table on stdout.
    pub async fn show(self) -> Result<()> {
        Ok(self.inner.show().await?)
    }

    /// Runs the plan and writes Parquet files at `path`: a folder, or a file where it ends in `.parquet`.
    pub async fn write_parquet(self, path: &str) -> Result<()> {
        self.inner.write_parquet(path, DataFrameWriteOptions::new(), None).await?;
        Ok(())
    }

    /// Runs the plan and writes CSV at `path`, like [`DataFrame::write_parquet`].
    pub async fn write_csv(self, path: &str) -> Result<()> {
        self.inner.write_csv(path, DataFrameWriteOptions::new(), None).await?;
        Ok(())
    }

    /// Makes the rows a table of this session, by that name.
    pub fn register(self, name: &str) -> Result<()> {
        self.session.context().register_table(name, self.inner.into_view())?;
        Ok(())
    }

    fn then(self, step: impl FnOnce(Inner) -> datafusion::error::Result<Inner>) -> Result<Self> {
        Ok(Self { inner: step(self.inner)?, session: self.session })
    }

    fn bind(&self, expr: Expr) -> Result<Expr> {
        let config = self.session.context().copied_config();
        let options = config.options().extensions.get::<NightjarOptions>().cloned().unwrap_or_default();
        Ok(ResolveModels::new(self.session.models().clone()).bind(expr, &options)?)
    }

    fn bind_all(&self, exprs: impl IntoIterator<Item = Expr>) -> Result<Vec<Expr>> {
        exprs.into_iter().map(|expr| self.bind(expr)).collect()
    }
}
