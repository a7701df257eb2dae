//! A session: a store opened for work.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{CatalogProviderList, MemoryCatalogProviderList};
use datafusion::common::TableReference;
use datafusion::config::Dialect;
use datafusion::datasource::provider_as_source;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::StreamExt;
use nightjar_catalog::Store;
use nightjar_functions::Models;
use nightjar_statements::{
    Chart, Parsed, ParsedStatement, StatementContext, Unwatched, Watch, execute_watched,
};

use crate::dataframe::DataFrame;
use crate::definitions;
use crate::error::Result;
use crate::materialized::Refresher;
use crate::prepared::PreparedParameters;
use crate::registration::{self, CATALOG, Placement};
use crate::replaced_files::Planned;
use crate::tables::{LakeCatalog, SessionHandle, SystemSchema, open};
use crate::write::{HideOutput, OutputKey};

/// A store opened for work: plans and runs SQL and dataframes over its tables and models. Cheap to clone.
///
/// ```no_run
/// # async fn run() -> nightjar_engine::Result<()> {
/// use nightjar_engine::Session;
///
/// let session = Session::open(None)?;
/// session.sql("SELECT classify('what a day', ['praise', 'complaint'])").await?.show().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Session {
    context: SessionContext,
    store: Store,
    models: Models,
    watch: Arc<dyn Watch>,
}

/// A statement that is running: its columns, its rows as they come, and the plan whose metrics tell how far
/// it is.
pub struct Running {
    /// The plan that runs.
    pub plan: Arc<dyn ExecutionPlan>,
    /// The rows.
    pub rows: SendableRecordBatchStream,
    _watched: nightjar_statements::WatchedPlan,
}

impl Running {
    /// Returns the columns of the result.
    pub fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }
}

impl Session {
    /// Opens the store at `uri`, or the default one.
    ///
    /// Errors: a store that can't be made or read, a catalog of a newer version.
    pub fn open(uri: Option<&str>) -> Result<Self> {
        Ok(Self::new(Store::open(uri)?, registration::session_config()))
    }

    /// Returns a session over an open store, with settings that start from
    /// [`session_config`](crate::session_config).
    pub fn new(store: Store, config: SessionConfig) -> Self {
        Self::placed(store, config, Placement::default())
    }

    /// Returns a session whose plans run where `placement` has them run.
    pub fn placed(store: Store, config: SessionConfig, placement: Placement) -> Self {
        let models = Models::new(store.clone());
        let handle = SessionHandle::default();
        let system = SystemSchema::new(store.clone(), Arc::clone(&placement.executors));
        let catalog = LakeCatalog::new(store.clone(), handle.clone(), system);
        let catalogs = Arc::new(MemoryCatalogProviderList::new());
        catalogs.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
        let config = config.with_extension(Arc::new(PreparedParameters::default()));
        let state = registration::placed_session_state(config, &models, placement);
        let context = SessionContext::new_with_state(state);
        context.register_catalog_list(catalogs);
        handle.set(context.state_weak_ref());
        Self { context, store, models, watch: Arc::new(Unwatched) }
    }

    /// Returns the session with a listener for progress, notes and warnings.
    pub fn with_watch(self, watch: Arc<dyn Watch>) -> Self {
        Self { watch, ..self }
    }

    /// Returns the store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Returns the DataFusion session, to read its settings and tables.
    pub fn context(&self) -> &SessionContext {
        &self.context
    }

    /// Returns a table or view as a dataframe; a name outside the schema `public` is `schema.name`. [`Session::read`] returns files.
    pub async fn table(&self, name: &str) -> Result<DataFrame> {
        Ok(DataFrame::new(self.context.table(name).await?, self.clone()))
    }

    /// Returns the files at a path, folder, glob or URL as a dataframe.
    pub async fn read(&self, path: &str) -> Result<DataFrame> {
        let state = self.context.state();
        let files = open(path, &state).await?;
        let plan = LogicalPlanBuilder::scan(TableReference::bare(path), provider_as_source(files), None)?;
        let rows = datafusion::prelude::DataFrame::new(state, plan.build()?);
        Ok(DataFrame::new(rows, self.clone()))
    }

    /// Returns the dialect in which this session reads statements: that of its setting `datafusion.sql_parser.dialect`.
    pub fn dialect(&self) -> Dialect {
        self.context.copied_config().options().sql_parser.dialect
    }

    /// Returns the statements of a script, read in this session's dialect.
    pub fn parse(&self, sql: &str) -> Result<Vec<ParsedStatement>> {
        Ok(nightjar_statements::parse_in(sql, &mut self.dialect())?)
    }

    /// Runs one statement and returns its rows as a dataframe: a query's are computed when it is collected, any
    /// other statement is done when this returns.
    pub async fn sql(&self, sql: &str) -> Result<DataFrame> {
        let mut statements = self.parse(sql)?;
        match (statements.pop(), statements.is_empty()) {
            (Some(statement), true) => self.statement(statement).await,
            _ => Err(nightjar_statements::StatementError::NotOne { found: sql.to_owned() }.into()),
        }
    }

    /// Runs one parsed statement, as [`Session::sql`] does.
    pub async fn statement(&self, statement: ParsedStatement) -> Result<DataFrame> {
        let rows = self.plan(statement).await?;
        if !matches!(rows.logical_plan(), LogicalPlan::Copy(_) | LogicalPlan::Dml(_)) {
            return Ok(DataFrame::new(rows, self.clone()));
        }
        // DataFusion writes when somebody collects the count of rows.
        let written = rows.collect().await?;
        Ok(DataFrame::new(self.context.read_batches(written)?, self.clone()))
    }

    /// Returns the rows of a statement: those of a query, COPY or INSERT when they are asked for, any other's as it ran.
    async fn plan(&self, statement: ParsedStatement) -> Result<datafusion::prelude::DataFrame> {
        Ok(match statement.parsed {
            Parsed::Nightjar(ours) => ours.run(&self.statement_context(statement.sql)).await?,
            Parsed::Sql(sql) => definitions::run(&self.statement_context(statement.sql), sql).await?,
        })
    }

    /// Starts one parsed statement and returns its rows as they come.
    pub async fn start(&self, statement: ParsedStatement) -> Result<Running> {
        self.begin(statement, None).await
    }

    /// As [`Session::start`]; the files that a COPY or INSERT adds to a folder bear the key, and replace those that bear it already.
    pub async fn start_as(&self, statement: ParsedStatement, key: OutputKey) -> Result<Running> {
        self.begin(statement, Some(key)).await
    }

    async fn begin(&self, statement: ParsedStatement, key: Option<OutputKey>) -> Result<Running> {
        let rows = self.plan(statement).await?;
        let mut context = rows.task_ctx();
        let (mut state, plan) = rows.into_parts();
        if let Some(key) = key {
            if key.is_again() {
                state = registration::with_first_rule(state, Arc::new(HideOutput::new(key.clone())));
            }
            let settings = context.session_config().clone().with_extension(Arc::new(key));
            context = context.with_session_config(settings);
        }
        let (logical, context) = (plan, Arc::new(context));
        let plan = state.create_physical_plan(&logical).await?;
        let watch = Arc::clone(&self.watch);
        let (rows, watched) = execute_watched(Arc::clone(&plan), Arc::clone(&context), Arc::clone(&watch))?;
        let planned = Planned { state, logical, physical: Arc::clone(&plan) };
        let rows = planned.rows(rows, move |anew| {
            let (rows, watched) = execute_watched(anew, context, watch)?;
            let schema = rows.schema();
            let rows = rows.inspect(move |_| {
                // Watched as long as there are rows to come.
                let _ = &watched;
            });
            Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
        });
        Ok(Running { plan, rows, _watched: watched })
    }

    /// Returns what may be drawn under a statement's rows, if it has anything to draw.
    pub fn chart(&self, statement: &ParsedStatement) -> Result<Option<Chart>> {
        match &statement.parsed {
            Parsed::Nightjar(ours) => Ok(ours.chart(&self.statement_context(statement.sql.clone()))?),
            Parsed::Sql(_) => Ok(None),
        }
    }

    pub(crate) fn models(&self) -> &Models {
        &self.models
    }

    fn statement_context(&self, sql: String) -> StatementContext {
        StatementContext {
            session: self.context.clone(),
            store: self.store.clone(),
            models: self.models.clone(),
            views: Arc::new(Refresher),
            watch: Arc::clone(&self.watch),
            sql,
            resuming: None,
        }
    }
}
