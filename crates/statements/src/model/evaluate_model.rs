//! `EVALUATE MODEL`.

use crate::StatementContext;
use crate::error::Result;
use crate::evaluation::{evaluate, metric_rows};
use crate::execute::Execute;
use datafusion::prelude::DataFrame;
use nightjar_sql::EvaluateModel;

impl Execute for EvaluateModel {
    async fn check(&self, context: &StatementContext) -> Result<()> {
        context.store.catalog().model_version(&self.model)?;
        context.rows(&self.data).await.map(drop)
    }

    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        let version = context.store.catalog().model_version(&self.model)?;
        let metrics = evaluate(context, &version, &self.data, self.target.as_deref()).await?;
        Ok(context.session.read_batch(metric_rows(metrics)?)?)
    }
}
