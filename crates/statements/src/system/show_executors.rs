//! `SHOW EXECUTORS`.

use crate::StatementContext;
use crate::error::Result;
use crate::execute::Execute;
use datafusion::prelude::DataFrame;
use nightjar_sql::ShowExecutors;

impl Execute for ShowExecutors {
    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        context.query("SELECT * FROM nightjar.executors ORDER BY address").await
    }
}
