//! `SHOW VERSIONS OF`.

use crate::StatementContext;
use crate::error::Result;
use crate::execute::Execute;
use datafusion::prelude::DataFrame;
use nightjar_sql::{ShowVersions, quote_literal};

impl Execute for ShowVersions {
    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        // Asked first, so that an unknown name is an error and not an empty table.
        context.store.catalog().versions(&self.model)?;
        let model = quote_literal(&self.model);
        let columns =
            "version, current, task, base, method, rows, accuracy, macro_f1, validation_loss, created_at";
        let rows =
            format!("SELECT {columns} FROM nightjar.model_versions WHERE model = {model} ORDER BY version");
        context.query(&rows).await
    }
}
