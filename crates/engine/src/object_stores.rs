//! Which object store a URL in a plan leads to, in every process the same.

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::object_store::ObjectStore;
use nightjar_catalog::ObjectStores;
use nightjar_functions::into_datafusion;
use url::Url;

/// The object stores of a process, as DataFusion asks for them.
#[derive(Debug)]
struct Registry(ObjectStores);

impl ObjectStoreRegistry for Registry {
    fn register_store(&self, url: &Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        self.0.put(url, store)
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        self.0.get(url).map_err(into_datafusion)
    }
}

/// Returns what plans run in, over these object stores.
pub fn runtime_env(stores: &ObjectStores) -> RuntimeEnv {
    let registry = Arc::new(Registry(stores.clone()));
    let runtime = RuntimeEnv { object_store_registry: registry, ..RuntimeEnv::default() };
    // Listings are kept by path alone, whichever the bucket, and a query must see the files of now.
    if let Some(listings) = runtime.cache_manager.get_list_files_cache() {
        listings.update_cache_limit(0);
    }
    runtime
}
