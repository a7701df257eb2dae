//! What runs the queries of materialized views.

use async_trait::async_trait;
use datafusion::prelude::DataFrame;

use crate::StatementContext;
use crate::error::Result;
use nightjar_sql::{CreateMaterializedView, RefreshMaterializedView};

/// Makes and refreshes materialized views: the session does, because only it knows which files a plan reads.
#[async_trait]
pub trait MaterializedViews: Send + Sync {
    /// Plans the view's query, fills the view and stores it.
    async fn create(
        &self,
        context: &StatementContext,
        statement: &CreateMaterializedView,
    ) -> Result<DataFrame>;

    /// Brings the view's rows up to date, and returns one row that says what was done.
    async fn refresh(
        &self,
        context: &StatementContext,
        statement: &RefreshMaterializedView,
    ) -> Result<DataFrame>;
}
