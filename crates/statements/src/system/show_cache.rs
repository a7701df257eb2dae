//! `SHOW CACHE`.

use crate::StatementContext;
use crate::error::Result;
use crate::execute::Execute;
use datafusion::prelude::DataFrame;
use nightjar_sql::ShowCache;

impl Execute for ShowCache {
    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        context.query("SELECT * FROM nightjar.cache ORDER BY last_used DESC, body, precision").await
    }
}
