//! What a statement runs with.

use std::sync::Arc;

use datafusion::common::TableReference;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{DataFrame, SessionContext};
use nightjar_catalog::{Digest, RunId, Store, TrainingRun};
use nightjar_functions::{Models, NightjarOptions};
use nightjar_names::TableName;

use crate::error::Result;
use crate::planning::{plan_over_tables, plan_statement, table_name};
use crate::training_error::TrainingError;
use crate::{MaterializedViews, Watch};
use nightjar_sql::TrainingData;

/// The session, the store and the listener of one statement.
#[derive(Clone)]
pub struct StatementContext {
    /// Plans and runs queries.
    pub session: SessionContext,
    /// What exists.
    pub store: Store,
    /// Resolves and loads models.
    pub models: Models,
    /// Runs the queries of materialized views.
    pub views: Arc<dyn MaterializedViews>,
    /// Is told how it goes.
    pub watch: Arc<dyn Watch>,
    /// The statement as the user wrote it, for the catalog's history.
    pub sql: String,
    /// The training run that the statement has to go on with; `None` where it may also begin one.
    pub resuming: Option<RunId>,
}

impl StatementContext {
    /// Returns the session's Nightjar settings.
    pub fn options(&self) -> NightjarOptions {
        let config = self.session.copied_config();
        config.options().extensions.get::<NightjarOptions>().cloned().unwrap_or_default()
    }

    /// Returns the resumable run of `model` with this fingerprint, if there is one.
    ///
    /// # Errors
    /// When RESUME TRAINING asked for a run that had another fingerprint: to begin anew was not asked for.
    pub fn resumable_run(&self, model: &str, fingerprint: &Digest) -> Result<Option<TrainingRun>> {
        let found = self.store.catalog().resumable_run(model, Some(fingerprint))?;
        match self.resuming {
            Some(run) if found.as_ref().is_none_or(|found| found.run_id != run) => {
                let (model, statement) = (model.to_owned(), self.sql.clone());
                Err(TrainingError::RunDiffers { model, run, statement }.into())
            }
            _ => Ok(found),
        }
    }

    /// Returns the full name of a table that a statement names by one to three names.
    ///
    /// # Errors
    /// A catalog that is not there.
    pub fn table_name(&self, names: &[String]) -> Result<TableName> {
        let name = match names {
            [catalog, schema, table] => TableReference::full(&**catalog, &**schema, &**table),
            [schema, table] => TableReference::partial(&**schema, &**table),
            _ => TableReference::bare(names.concat()),
        };
        table_name(&self.session.state(), name)
    }

    /// Returns the rows of a system query.
    pub async fn query(&self, sql: &str) -> Result<DataFrame> {
        Ok(self.session.sql(sql).await?)
    }

    /// Returns the labelled rows as a dataframe.
    pub async fn rows(&self, data: &TrainingData) -> Result<DataFrame> {
        let (state, statement) = (self.session.state(), data.statement()?);
        let plan: LogicalPlan = match data.may_be_file() {
            true => plan_statement(&state, &statement).await?,
            false => plan_over_tables(&state, &statement).await?,
        };
        Ok(self.session.execute_logical_plan(plan).await?)
    }
}

/// Returns the rows of a statement that has none.
pub(crate) fn done(context: &StatementContext) -> Result<DataFrame> {
    Ok(context.session.read_empty()?.limit(0, Some(0))?)
}
