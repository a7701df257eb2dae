//! `SHOW JOBS`.

use crate::StatementContext;
use crate::error::Result;
use crate::execute::Execute;
use datafusion::prelude::DataFrame;
use nightjar_sql::ShowJobs;

impl Execute for ShowJobs {
    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        context.query("SELECT * EXCEPT (options, statement, created_at, updated_at) FROM nightjar.jobs ORDER BY name").await
    }
}
