//! What a statement runs with.

use std::sync::Arc;

use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{DataFrame, SessionContext};
use nightjar_catalog::Store;
use nightjar_functions::{Models, NightjarOptions};

use crate::error::Result;
use crate::{TrainingData, Watch};

/// The session, the store and the listener of one statement.
#[derive(Clone)]
pub struct StatementContext {
    /// Plans and runs queries.
    pub session: SessionContext,
    /// What exists.
    pub store: Store,
    /// Resolves and loads models.
    pub models: Models,
    /// Is told how it goes.
    pub watch: Arc<dyn Watch>,
    /// The statement as the user wrote it, for the catalog's history.
    pub sql: String,
}

impl StatementContext {
    /// Returns the session's Nightjar settings.
    pub fn options(&self) -> NightjarOptions {
        let config = self.session.copied_config();
        config.options().extensions.get::<NightjarOptions>().cloned().unwrap_or_default()
    }

    /// Returns the rows of a system query.
    pub async fn query(&self, sql: &str) -> Result<DataFrame> {
        Ok(self.session.sql(sql).await?)
    }

    /// Returns the labelled rows as a dataframe.
    pub async fn rows(&self, data: &TrainingData) -> Result<DataFrame> {
        let plan: LogicalPlan = self.session.state().statement_to_plan(data.statement()?).await?;
        Ok(self.session.execute_logical_plan(plan).await?)
    }
}

/// Returns the rows of a statement that has none.
pub(crate) fn done(context: &StatementContext) -> Result<DataFrame> {
    Ok(context.session.read_empty()?.limit(0, Some(0))?)
}
