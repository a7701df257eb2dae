//! The schema `public`: tables and views of the catalog, and what lives in this session only.

use std::sync::{Arc, OnceLock, Weak};

use async_trait::async_trait;
use datafusion::catalog::{MemorySchemaProvider, SchemaProvider};
use datafusion::common::plan_datafusion_err;
use datafusion::datasource::listing::ListingTableUrl;
use datafusion::datasource::{TableProvider, TableType, ViewTable};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{DdlStatement, LogicalPlan};
use nightjar_catalog::{OnTableConflict, Store, TableDefinition, TableKind};
use nightjar_functions::into_datafusion;
use parking_lot::RwLock;

use super::external::external_table;
use super::files::FileTables;
use super::settled::settled;
use crate::error::EngineError;
use crate::materialized::view_table;
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
/// sees the files and the definitions of now; a name that is neither may be a file. In-memory tables (`CREATE TABLE`) live and die with the session.
#[derive(Debug)]
pub(crate) struct LakeSchema {
    store: StoreHandle,
    session: SessionHandle,
    files: FileTables,
    in_memory: MemorySchemaProvider,
}

tokio::task_local! {
    /// The tables that are being built from their definitions, outermost first.
    static BUILDING: Vec<String>;
}

/// [`Store`] with a `Debug`.
struct StoreHandle(Store);

impl std::fmt::Debug for StoreHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.0.root().display())
    }
}

impl LakeSchema {
    pub(crate) fn new(store: Store, session: SessionHandle) -> Self {
        Self {
            store: StoreHandle(store),
            files: FileTables::new(session.clone()),
            session,
            in_memory: MemorySchemaProvider::new(),
        }
    }

    fn definition(&self, name: &str) -> Result<Option<TableDefinition>> {
        self.store.0.catalog().table(name).map_err(into_datafusion)
    }

    async fn build(&self, definition: &TableDefinition) -> Result<Arc<dyn TableProvider>> {
        let broken = |error: DataFusionError| {
            DataFusionError::External(Box::new(EngineError::TableBroken {
                name: definition.name.clone(),
                kind: definition.kind.to_string(),
                source: Box::new(error),
            }))
        };
        let state = self.session.state()?;
        if definition.kind == TableKind::Materialized {
            let view = self.store.0.catalog().materialized_view(&definition.name).map_err(into_datafusion)?;
            let view = view.ok_or_else(|| broken(plan_datafusion_err!("it has just been dropped")))?;
            return view_table(&self.store.0, &view, &state).await.map_err(broken);
        }
        let plan = state.create_logical_plan(&definition.sql).await.map_err(broken)?;
        match plan {
            LogicalPlan::Ddl(DdlStatement::CreateExternalTable(create)) => {
                let format = create.file_type.to_uppercase();
                let factory = state
                    .table_factories()
                    .get(&format)
                    .cloned()
                    .ok_or_else(|| broken(plan_datafusion_err!("no table format is called {format}")))?;
                // What is no URL the factory reports.
                for folder in create.locations.iter().flat_map(ListingTableUrl::parse) {
                    settle(state.runtime_env(), &folder).await.map_err(broken)?;
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
            if !names.contains(&definition.name) {
                names.push(definition.name);
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
        if building.iter().any(|open| open == name) {
            return Ok(None);
        }
        let Some(definition) = self.definition(name)? else {
            return Ok(self.files.table(name).await?.map(settled));
        };
        building.push(name.to_owned());
        Ok(Some(settled(BUILDING.scope(building, self.build(&definition)).await?)))
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
        let view = TableDefinition::new(name, TableKind::View, sql.clone());
        self.store.0.catalog().put_table(&view, OnTableConflict::Replace).map_err(into_datafusion)?;
        Ok(None)
    }

    fn deregister_table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(table) = self.in_memory.deregister_table(name)? {
            return Ok(Some(table));
        }
        self.store.0.catalog().drop_table(name, true).map_err(into_datafusion)?;
        Ok(None)
    }
}

/// Keeps an external table's definition. `sql` is the statement with its location absolute.
pub(crate) fn keep_external_table(
    store: &Store,
    name: String,
    sql: String,
    on_conflict: OnTableConflict,
) -> Result<()> {
    let table = TableDefinition::new(name, TableKind::External, sql);
    store.catalog().put_table(&table, on_conflict).map_err(into_datafusion)?;
    Ok(())
}
