//! `DROP MATERIALIZED VIEW`.

use crate::StatementContext;
use crate::context::done;
use crate::dependents::{Used, release};
use crate::error::Result;
use crate::execute::Execute;
use datafusion::prelude::DataFrame;
use nightjar_sql::DropMaterializedView;

impl Execute for DropMaterializedView {
    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        let name = context.table_name(&self.name)?;
        if context.store.catalog().materialized_view(&name)?.is_some() {
            release(context, &Used::Table(name.clone()), self.cascade)?;
        }
        if !context.store.catalog().drop_materialized_view(&name, self.if_exists)? {
            context.watch.note(&format!("there is no materialized view {name}; nothing was done"));
        }
        done(context)
    }
}
