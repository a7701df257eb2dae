//! `CREATE MATERIALIZED VIEW`.

use crate::StatementContext;
use crate::error::Result;
use crate::execute::Execute;
use datafusion::prelude::DataFrame;
use nightjar_sql::CreateMaterializedView;

impl Execute for CreateMaterializedView {
    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        context.views.create(context, self).await
    }
}
