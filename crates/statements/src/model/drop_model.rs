//! `DROP MODEL`.

use crate::StatementContext;
use crate::context::done;
use crate::dependents::{Used, release};
use crate::error::Result;
use crate::execute::Execute;
use datafusion::prelude::DataFrame;
use nightjar_sql::DropModel;

impl Execute for DropModel {
    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        let catalog = context.store.catalog();
        if catalog.model_version(&self.model).is_ok() {
            release(context, &Used::Model(self.model.clone()), self.cascade)?;
        }
        if !catalog.drop_model(&self.model.name, self.model.version, self.if_exists)? {
            context.watch.note(&format!("there is no model {}; nothing was done", self.model));
        }
        done(context)
    }
}
