//! `SHOW MATERIALIZED VIEWS`.

use crate::StatementContext;
use crate::error::Result;
use crate::execute::Execute;
use datafusion::prelude::DataFrame;
use nightjar_sql::ShowMaterializedViews;

impl Execute for ShowMaterializedViews {
    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        context.query("SELECT * FROM nightjar.materialized_views ORDER BY name").await
    }
}
