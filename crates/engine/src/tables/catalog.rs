//! The catalog of a session: the schemas of the store, and that of the system tables.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::catalog::{CatalogProvider, SchemaProvider};
use nightjar_catalog::Store;
use parking_lot::Mutex;

use super::lake::{LakeSchema, SessionHandle, StoreHandle};
use super::system::SystemSchema;
use crate::registration::SYSTEM_SCHEMA;

/// Schemas are read from the store by each look-up, so that one session sees at once what another one makes.
#[derive(Debug)]
pub(crate) struct LakeCatalog {
    store: StoreHandle,
    session: SessionHandle,
    system: Arc<SystemSchema>,
    /// Those that were asked for: they hold the session's own tables.
    opened: Mutex<HashMap<String, Arc<LakeSchema>>>,
}

impl LakeCatalog {
    pub(crate) fn new(store: Store, session: SessionHandle, system: SystemSchema) -> Self {
        let (store, system) = (StoreHandle(store), Arc::new(system));
        Self { store, session, system, opened: Mutex::default() }
    }

    /// Forgets what this session keeps of a schema that has been dropped.
    pub(crate) fn close(&self, name: &str) {
        self.opened.lock().remove(name);
    }

    /// Returns the names of the session's own tables in a schema.
    pub(crate) fn session_tables(&self, name: &str) -> Vec<String> {
        self.opened.lock().get(name).map(|schema| schema.session_tables()).unwrap_or_default()
    }
}

impl CatalogProvider for LakeCatalog {
    fn schema_names(&self) -> Vec<String> {
        // A listing has no way to fail; the next query that touches the catalog will say why.
        let mut names = self.store.0.catalog().schemas().unwrap_or_default();
        names.push(SYSTEM_SCHEMA.to_owned());
        names.sort();
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if name == SYSTEM_SCHEMA {
            return Some(Arc::clone(&self.system) as Arc<dyn SchemaProvider>);
        }
        // A catalog that can't be read fails at the look-up of the table, in its own words.
        if !self.store.0.catalog().has_schema(name).unwrap_or(true) {
            self.close(name);
            return None;
        }
        let mut opened = self.opened.lock();
        let schema = opened.entry(name.to_owned()).or_insert_with(|| {
            Arc::new(LakeSchema::new(name.to_owned(), self.store.0.clone(), self.session.clone()))
        });
        Some(Arc::clone(schema) as Arc<dyn SchemaProvider>)
    }
}
