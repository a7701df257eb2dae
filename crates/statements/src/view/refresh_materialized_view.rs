//! `REFRESH MATERIALIZED VIEW`.

use crate::StatementContext;
use crate::error::Result;
use crate::execute::Execute;
use datafusion::prelude::DataFrame;
use nightjar_sql::RefreshMaterializedView;

impl Execute for RefreshMaterializedView {
    async fn check(&self, context: &StatementContext) -> Result<()> {
        let catalog = context.store.catalog();
        let name = context.table_name(&self.name)?;
        match catalog.materialized_view(&name)? {
            Some(_) => Ok(()),
            None => Err(catalog.not_materialized(&name).into()),
        }
    }

    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        context.views.refresh(context, self).await
    }
}
