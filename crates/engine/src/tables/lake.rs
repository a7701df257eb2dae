//! A schema: tables and views of the catalog, and what lives in this session only.

use std::sync::{Arc, OnceLock, Weak};

use async_trait::async_trait;
use datafusion::catalog::{MemorySchemaProvider, SchemaProvider};
use datafusion::common::plan_datafusion_err;
use datafusion::datasource::{TableProvider, TableType, ViewTable};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{DdlStatement, LogicalPlan};
use nightjar_catalog::{OnTableConflict, Store, TableDefinition, TableKind};
use nightjar_functions::into_datafusion;
use nightjar_names::TableName;
use nightjar_sql::{Parsed, parse_statements};
use nightjar_statements::{may_be_file, plan_statement};
use parking_lot::RwLock;

use super::external::external_table;
use super::files::FileTables;
use super::place::place;
use crate::error::EngineError;
use crate::materialized::view_table;
use crate::registration::{CATALOG, SCHEMA};
use crate::write::settle;

/// The session that a schema plans its views with; set once the session exists.
#[derive(Debug, Clone, Default)]
pub(crate) struct SessionHandle(Arc<OnceLock<Weak<RwLock<SessionState>>>>);

impl SessionHandle {
    pub(crate) fn set(&self, state: Weak<RwLock<SessionState>>) {
        // Set by the session's constructor only; a second call would carry the same session.
        let _ = self.0.set(state);
    }

    pub(crate) fn state(&self) -> Result<SessionState> {
        let state = self.0.get().and_then(Weak::upgrade);
        let state = state.ok_or_else(|| plan_datafusion_err!("the session has ended"))?;
        let state = state.read().clone();
        Ok(state)
    }
}

/// Tables and views persist as the statement that made them and are built anew for each query, so that a query
/// sees the files and the definitions of now; a name in quotes that is neither may be a file. In-memory tables (`CREATE TABLE`) live and die with the session.
#[derive(Debug)]
pub(crate) struct LakeSchema {
    schema: String,
    store: StoreHandle,
    session: SessionHandle,
    files: FileTables,
    in_memory: MemorySchemaProvider,
}

tokio::task_local! {
    /// The tables that are being built from their definitions, outermost first.
    static BUILDING: Vec<TableName>;
}

/// [`Store`] with a `Debug`.
pub(super) struct StoreHandle(pub(super) Store);

impl std::fmt::Debug for StoreHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.0.root().display())
    }
}

impl LakeSchema {
    pub(crate) fn new(schema: String, store: Store, session: SessionHandle) -> Self {
        Self {
            schema,
            store: StoreHandle(store),
            files: FileTables::new(session.clone()),
            session,
            in_memory: MemorySchemaProvider::new(),
        }
    }

    /// The names of the tables that live in this session only.
    pub(super) fn session_tables(&self) -> Vec<String> {
        self.in_memory.table_names()
    }

    fn full_name(&self, name: &str) -> TableName {
        TableName::new(&self.schema, name)
    }

    fn definition(&self, name: &str) -> Result<Option<TableDefinition>> {
        self.store.0.catalog().table(&self.full_name(name)).map_err(into_datafusion)
    }

    /// Plans the statement that made a table.
    async fn plan(&self, state: &SessionState, definition: &TableDefinition) -> Result<LogicalPlan> {
        let parsed = parse_statements(&definition.sql).map_err(|error| external(error.into()))?.pop();
        match parsed.map(|statement| statement.parsed) {
            Some(Parsed::Sql(statement)) => plan_statement(state, &statement).await,
            _ => Err(plan_datafusion_err!("its definition is '{}'", definition.sql)),
        }
    }

    async fn build(&self, definition: &TableDefinition) -> Result<Arc<dyn TableProvider>> {
        let broken = |error: DataFusionError| {
            DataFusionError::External(Box::new(EngineError::TableBroken {
                name: definition.name.to_string(),
                kind: definition.kind.to_string(),
                source: Box::new(error),
            }))
        };
        let state = defining_state(self.session.state()?);
        if definition.kind == TableKind::Materialized {
            let view = self.store.0.catalog().materialized_view(&definition.name).map_err(into_datafusion)?;
            let view = view.ok_or_else(|| broken(plan_datafusion_err!("it has just been dropped")))?;
            return view_table(&self.store.0, &view, &state).await.map_err(broken);
        }
        let plan = self.plan(&state, definition).await.map_err(broken)?;
        match plan {
            LogicalPlan::Ddl(DdlStatement::CreateExternalTable(create)) => {
                let format = create.file_type.to_uppercase();
                let factory = state
                    .table_factories()
                    .get(&format)
                    .cloned()
                    .ok_or_else(|| broken(plan_datafusion_err!("no table format is called {format}")))?;
                // What is no URL the factory reports.
                for location in &create.locations {
                    if let Ok(folder) = place(state.runtime_env(), location).await {
                        settle(state.runtime_env(), &folder).await.map_err(broken)?;
                    }
                }
                external_table(&state, factory.as_ref(), &create).await.map_err(broken)
            }
            LogicalPlan::Ddl(DdlStatement::CreateView(create)) => {
                Ok(Arc::new(ViewTable::new(create.input.as_ref().clone(), create.definition)))
            }
            other => Err(broken(plan_datafusion_err!("its definition is {}", other.display()))),
        }
    }
}

#[async_trait]
impl SchemaProvider for LakeSchema {
    fn table_names(&self) -> Vec<String> {
        let mut names = self.in_memory.table_names();
        // A listing has no way to fail; the next query that touches the catalog will say why.
        for definition in self.store.0.catalog().tables().unwrap_or_default() {
            if definition.name.schema == self.schema && !names.contains(&definition.name.name) {
                names.push(definition.name.name);
            }
        }
        names.sort();
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(table) = self.in_memory.table(name).await? {
            return Ok(Some(table));
        }
        // Planning a CREATE statement looks up the name that it makes: to itself a table does not exist.
        let mut building = BUILDING.try_with(Clone::clone).unwrap_or_default();
        let full_name = self.full_name(name);
        if building.contains(&full_name) {
            return Ok(None);
        }
        let Some(definition) = self.definition(name)? else {
            // A name without quotes is never a file, whatever lies in the working folder.
            return match may_be_file(name) {
                true => self.files.table(name).await,
                false => Ok(None),
            };
        };
        building.push(full_name);
        Ok(Some(BUILDING.scope(building, self.build(&definition)).await?))
    }

    /// Answers from the definition, so that one table whose files are gone does not spoil SHOW TABLES.
    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        if let Some(table) = self.in_memory.table(name).await? {
            return Ok(Some(table.table_type()));
        }
        Ok(self.definition(name)?.map(|definition| match definition.kind {
            TableKind::External | TableKind::Materialized => TableType::Base,
            TableKind::View => TableType::View,
        }))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.in_memory.table_exist(name) || self.definition(name).is_ok_and(|definition| definition.is_some())
    }

    /// Keeps a view in the catalog, and any other table in the session.
    fn register_table(
        &self,
        name: String,
        table: Arc<dyn TableProvider>,
    ) -> Result<Option<Arc<dyn TableProvider>>> {
        let definition = table.downcast_ref::<ViewTable>().and_then(|view| view.definition());
        let Some(sql) = definition else {
            return self.in_memory.register_table(name, table);
        };
        let view = TableDefinition::new(self.full_name(&name), TableKind::View, sql.clone());
        self.store.0.catalog().put_table(&view, OnTableConflict::Replace).map_err(into_datafusion)?;
        Ok(None)
    }

    fn deregister_table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(table) = self.in_memory.deregister_table(name)? {
            return Ok(Some(table));
        }
        self.store.0.catalog().drop_table(&self.full_name(name), true).map_err(into_datafusion)?;
        Ok(None)
    }
}

/// Returns the state that stored statements are planned with: their names are those of the default schema, whatever this session's
/// default is.
pub(crate) fn defining_state(mut state: SessionState) -> SessionState {
    let catalog = &mut state.config_mut().options_mut().catalog;
    catalog.default_catalog = CATALOG.to_owned();
    catalog.default_schema = SCHEMA.to_owned();
    state
}

fn external(error: EngineError) -> DataFusionError {
    error.into_datafusion()
}

/// Keeps an external table's definition. `sql` is the statement with its location absolute.
pub(crate) fn keep_external_table(
    store: &Store,
    name: TableName,
    sql: String,
    on_conflict: OnTableConflict,
) -> Result<()> {
    let table = TableDefinition::new(name, TableKind::External, sql);
    store.catalog().put_table(&table, on_conflict).map_err(into_datafusion)?;
    Ok(())
}
