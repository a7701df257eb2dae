//! `SHOW RUNS`.

use crate::StatementContext;
use crate::error::Result;
use crate::execute::Execute;
use datafusion::prelude::DataFrame;
use nightjar_sql::{ShowRuns, quote_literal};

impl Execute for ShowRuns {
    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        let condition = match &self.job {
            None => String::new(),
            Some(job) => {
                let known =
                    context.store.catalog().read_jobs(|ledger| Ok(!ledger.runs(Some(job), 1)?.is_empty()))?;
                if !known {
                    // Either no such job, which is an error, or one that has not run.
                    context.store.catalog().read_jobs(|ledger| ledger.job(job))?;
                }
                format!("WHERE job = {}", quote_literal(job))
            }
        };
        context
            .query(&format!("SELECT * FROM nightjar.job_runs {condition} ORDER BY run_id DESC LIMIT 1000"))
            .await
    }
}
