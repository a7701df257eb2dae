//! `SHOW MODELS`.

use crate::StatementContext;
use crate::error::Result;
use crate::execute::Execute;
use datafusion::prelude::DataFrame;
use nightjar_sql::ShowModels;

impl Execute for ShowModels {
    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        context.query("SELECT * FROM nightjar.models ORDER BY name").await
    }
}
