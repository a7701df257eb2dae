//! Fills and refreshes materialized views.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::DataFrame;
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast::{Query, Statement as SqlStatement};
use futures::{StreamExt, TryStreamExt, stream};
use nightjar_catalog::{CatalogError, MaterializedView, OnTableConflict, SourceFile, ViewFile, ViewFolder};
use nightjar_functions::find_failure;
use nightjar_names::{OnModelChange, TableName};
use nightjar_sql::{CreateMaterializedView, Parsed, RefreshMaterializedView, SyntaxTree, parse_statements};
use nightjar_statements::{MaterializedViews, Result, StatementContext, in_dialect, plan_statement};

use super::data_files::DataFiles;
use super::file_query::{FileQuery, FoundFile};
use super::models::{difference, pin, pinned_models};
use super::outcome::Outcome;
use crate::error::EngineError;
use crate::tables::{absolute_relations, check_no_cycle, defining_state};

/// Files whose queries run at once, at most.
const FILES_AT_ONCE: usize = 8;

/// Fills and refreshes views with the session that a statement runs in.
pub(crate) struct Refresher;

#[async_trait]
impl MaterializedViews for Refresher {
    async fn create(
        &self,
        context: &StatementContext,
        statement: &CreateMaterializedView,
    ) -> Result<DataFrame> {
        let on_conflict = match (statement.or_replace, statement.if_not_exists) {
            (true, _) => OnTableConflict::Replace,
            (false, true) => OnTableConflict::Ignore,
            (false, false) => OnTableConflict::Fail,
        };
        let name = &context.table_name(&statement.name)?;
        if let Some(found) = context.store.catalog().table(name)? {
            match on_conflict {
                OnTableConflict::Ignore => return Ok(context.session.read_empty()?.limit(0, Some(0))?),
                OnTableConflict::Replace if found.kind == nightjar_catalog::TableKind::Materialized => {}
                _ => return Err(CatalogError::TableExists { name: name.to_string() }.into()),
            }
        }
        let query = stored(context, name, statement)?;
        let stored =
            CreateMaterializedView { query, or_replace: false, if_not_exists: false, ..statement.clone() };
        let view = MaterializedView {
            name: name.clone(),
            sql: in_dialect(&context.session, stored.to_string()),
            folder: uuid::Uuid::new_v4().simple().to_string(),
            on_model_change: statement.on_model_change.unwrap_or_default(),
            fingerprint: String::new(),
            models: String::new(),
            generation: 0,
            refreshed_at: 0,
            columns: String::new(),
            files: Vec::new(),
        };
        let plan = plan(context, &stored.query).await?;
        check_columns(name, &plan)?;
        let folder = context.store.view_folder(&name.to_string(), &view.folder)?;
        let work = Work { context, state: context.session.state(), folder: &folder };
        let filled = work.refill(&view, plan, Some("the view is new".to_owned())).await?;
        let Some((view, data)) = filled.changed else { return Ok(context.session.read_empty()?) };
        context.store.catalog().create_materialized_view(&view, on_conflict)?;
        data.keep();
        work.sweep();
        Ok(context.session.read_batch(filled.outcome.batch()?)?)
    }

    async fn refresh(
        &self,
        context: &StatementContext,
        statement: &RefreshMaterializedView,
    ) -> Result<DataFrame> {
        let catalog = context.store.catalog();
        let name = &context.table_name(&statement.name)?;
        let read = || match catalog.materialized_view(name)? {
            Some(view) => Ok(view),
            None => Err(catalog.not_materialized(name)),
        };
        let folder = context.store.view_folder(&name.to_string(), &read()?.folder)?;
        // Read again: before the folder was ours, another refresh may have been at it.
        let view = read()?;
        let query = match parse_statements(&view.sql)?.pop().map(|statement| statement.parsed) {
            Some(Parsed::Nightjar(ours)) => {
                ours.downcast_ref::<CreateMaterializedView>().map(|create| create.query.clone())
            }
            _ => None,
        };
        let query = query.ok_or_else(|| CatalogError::RecordInvalid {
            what: "definition",
            name: name.to_string(),
            reason: "it is no CREATE MATERIALIZED VIEW".to_owned(),
        })?;
        let work = Work { context, state: context.session.state(), folder: &folder };
        let plan = match plan(context, &query).await {
            Err(error) if has_no_files(&error, &view) => {
                let outcome = Outcome::without_files(view.files.len());
                if !view.files.is_empty() {
                    catalog.commit_refresh(&MaterializedView { files: Vec::new(), ..view })?;
                }
                work.sweep();
                return Ok(context.session.read_batch(outcome.batch()?)?);
            }
            planned => planned.map_err(|error| broken(name, error))?,
        };
        check_columns(name, &plan)?;
        let asked = statement.full.then(|| "it was asked for".to_owned());
        let filled = work.refill(&view, plan, asked).await?;
        if let Some((view, data)) = filled.changed {
            catalog.commit_refresh(&view)?;
            data.keep();
        }
        work.sweep();
        Ok(context.session.read_batch(filled.outcome.batch()?)?)
    }
}

/// Returns the query as it is stored: it must mean the same whatever folder a later session starts in.
fn stored(
    context: &StatementContext,
    name: &TableName,
    statement: &CreateMaterializedView,
) -> Result<SyntaxTree<Query>> {
    let mut query = SqlStatement::Query(Box::new((*statement.query).clone()));
    absolute_relations(&context.session, &mut query).map_err(EngineError::into_datafusion)?;
    check_no_cycle(&context.session, &context.store, name, &query).map_err(EngineError::into_datafusion)?;
    match query {
        SqlStatement::Query(query) => Ok(query.into()),
        _ => Ok(statement.query.clone()),
    }
}

async fn plan(context: &StatementContext, query: &SyntaxTree<Query>) -> DataFusionResult<LogicalPlan> {
    let state = defining_state(context.session.state());
    plan_statement(&state, &as_statement(query)).await
}

fn as_statement(query: &SyntaxTree<Query>) -> SyntaxTree<DataFusionStatement> {
    let query = SqlStatement::Query(Box::new((**query).clone()));
    SyntaxTree::new(DataFusionStatement::Statement(Box::new(query)))
}

/// Whether a query can't be planned because the folder that it reads, and that a view's rows come from file by file, is empty: that has no columns, the view has. A
/// folder that is not there is another matter, and perhaps only not mounted.
fn has_no_files(error: &DataFusionError, view: &MaterializedView) -> bool {
    let is_empty = matches!(find_failure::<EngineError>(error), Some(EngineError::NoFiles { .. }));
    is_empty && !view.fingerprint.is_empty() && view.files.iter().all(|file| file.source.is_some())
}

fn broken(name: &TableName, source: DataFusionError) -> DataFusionError {
    let kind = "materialized view".to_owned();
    EngineError::TableBroken { name: name.to_string(), kind, source: Box::new(source) }.into_datafusion()
}

/// A table's columns have names of their own.
fn check_columns(name: &TableName, plan: &LogicalPlan) -> DataFusionResult<()> {
    let mut seen = HashSet::new();
    match plan.schema().fields().iter().find(|field| !seen.insert(field.name())) {
        None => Ok(()),
        Some(field) => {
            let (name, column) = (name.to_string(), field.name().clone());
            Err(EngineError::ViewColumnTwice { name, column }.into_datafusion())
        }
    }
}

/// What became of a view's rows: the new ledger with its data files, unless nothing has changed.
struct Filled {
    outcome: Outcome,
    changed: Option<(MaterializedView, DataFiles)>,
}

/// A refresh at work.
struct Work<'a> {
    context: &'a StatementContext,
    state: SessionState,
    folder: &'a ViewFolder,
}

impl Work<'_> {
    /// Makes the rows that `view` lacks, or all of them for a reason. `plan` is that of its query.
    async fn refill(
        &self,
        view: &MaterializedView,
        plan: LogicalPlan,
        reason: Option<String>,
    ) -> DataFusionResult<Filled> {
        let pinned = pin(plan.clone(), &self.context.models, &self.state)?;
        let models = pinned_models(&pinned)?;
        let data = DataFiles::new(self.folder.files().clone());
        match FileQuery::of(&plan)? {
            Err(why) => {
                let stream = self.rows(&pinned).await?;
                let (name, rows) = data.write(stream).await?;
                let files = vec![ViewFile { source: None, data: name, rows }];
                let reason = Some(reason.unwrap_or(why));
                let outcome = Outcome { mode: "full", reason, rows_written: rows, ..Outcome::default() };
                let new = MaterializedView { fingerprint: String::new(), models, files, ..view.clone() };
                self.changed(new, &pinned, data, outcome)
            }
            Ok(query) => {
                let fingerprint = query.fingerprint()?;
                let reason = match reason {
                    None => self.stale(view, &models, &fingerprint)?,
                    given => given,
                };
                let query = query.pinned(pinned.clone());
                let new = MaterializedView { fingerprint, models, ..view.clone() };
                self.refill_files(new, &query, &pinned, data, reason).await
            }
        }
    }

    /// Says why no row of a view can be kept, if that is so.
    fn stale(
        &self,
        view: &MaterializedView,
        models: &str,
        fingerprint: &str,
    ) -> DataFusionResult<Option<String>> {
        if view.models != models && view.on_model_change == OnModelChange::Full {
            return Ok(Some(difference(&view.models, models)));
        }
        if view.fingerprint != fingerprint {
            return Ok(Some("the tables, views or columns that it reads are defined otherwise".to_owned()));
        }
        let data = view.files.iter().filter_map(|file| file.data.as_ref());
        let whole = self.folder.files().contain(data);
        let whole = whole.map_err(|error| EngineError::from(error).into_datafusion())?;
        Ok((!whole).then(|| "a data file is gone".to_owned()))
    }

    /// Runs the query over the files that the ledger of `view` lacks, or over all of them for a reason.
    async fn refill_files(
        &self,
        view: MaterializedView,
        query: &FileQuery,
        pinned: &LogicalPlan,
        data: DataFiles,
        reason: Option<String>,
    ) -> DataFusionResult<Filled> {
        let found = query.files(&self.state).await?;
        let mut known: HashMap<&SourceFile, Vec<&ViewFile>> = HashMap::new();
        if reason.is_none() {
            for file in &view.files {
                known.entry(file.source.as_ref().unwrap_or(&NO_SOURCE)).or_default().push(file);
            }
        }
        let mut files = Vec::with_capacity(found.len());
        let mut missing = Vec::new();
        for file in found {
            match known.get_mut(&file.source).and_then(Vec::pop) {
                Some(entry) => files.push(entry.clone()),
                None => missing.push(file),
            }
        }
        let kept = files.len();
        let mut outcome = Outcome {
            mode: if reason.is_some() { "full" } else { "incremental" },
            reason,
            files_added: missing.len(),
            files_removed: view.files.iter().filter(|file| file.source.is_some()).count() - kept,
            files_kept: kept,
            rows_written: 0,
        };
        if outcome.reason.is_none() && (outcome.files_added, outcome.files_removed) == (0, 0) {
            outcome.mode = "nothing";
            return Ok(Filled { outcome, changed: None });
        }
        let at_once = self.state.config().target_partitions().clamp(1, FILES_AT_ONCE);
        let written: Vec<ViewFile> =
            stream::iter(missing.into_iter().map(|file| self.fill(query, file, &data)))
                .buffered(at_once)
                .try_collect()
                .await?;
        outcome.rows_written = written.iter().map(|file| file.rows).sum();
        files.extend(written);
        self.changed(MaterializedView { files, ..view }, pinned, data, outcome)
    }

    async fn fill(&self, query: &FileQuery, file: FoundFile, data: &DataFiles) -> DataFusionResult<ViewFile> {
        let rows = self.rows(&query.over(&file)?).await?;
        let (name, rows) = data.write(rows).await?;
        Ok(ViewFile { source: Some(file.source), data: name, rows })
    }

    async fn rows(
        &self,
        plan: &LogicalPlan,
    ) -> DataFusionResult<datafusion::execution::SendableRecordBatchStream> {
        let plan = self.state.create_physical_plan(plan).await?;
        execute_stream(plan, self.context.session.task_ctx())
    }

    /// Ends the writing: the columns are those of the query of now where all rows are new.
    fn changed(
        &self,
        mut view: MaterializedView,
        plan: &LogicalPlan,
        data: DataFiles,
        outcome: Outcome,
    ) -> DataFusionResult<Filled> {
        if outcome.reason.is_some() || view.columns.is_empty() {
            view.columns = data.write_columns(plan.schema().as_arrow())?;
        }
        data.sync()?;
        Ok(Filled { outcome, changed: Some((view, data)) })
    }

    /// What can't be swept is left for the next time.
    fn sweep(&self) {
        let _ = self.context.store.sweep_views(self.folder);
    }
}

/// What stands for the source of rows that come from no file in particular; no file is called so.
static NO_SOURCE: SourceFile = SourceFile { name: String::new(), size: 0, modified: 0, etag: None };
