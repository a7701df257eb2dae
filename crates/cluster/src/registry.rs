//! What a scheduler and an executor know: the state of a local session, without a catalog.

use std::path::PathBuf;
use std::sync::Arc;

use ballista_core::RuntimeProducer;
use ballista_core::registry::BallistaFunctionRegistry;
use datafusion::execution::SessionState;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::SessionConfig;
use nightjar_functions::Models;

/// Returns the state that a scheduler decodes plans with.
pub(crate) fn session_state(config: SessionConfig, models: &Models) -> SessionState {
    nightjar_engine::session_state(config, models)
}

/// Returns what the plans of an executor run in: the object stores and caches of `runtime`, and `spill` for what does not fit
/// in memory. The memory that each task may take is added by the executor.
pub(crate) fn runtime(runtime: Arc<RuntimeEnv>, spill: PathBuf) -> RuntimeProducer {
    Arc::new(move |_| {
        Ok(Arc::new(RuntimeEnvBuilder::from_runtime_env(&runtime).with_temp_file_path(&spill).build()?))
    })
}

/// Returns the functions that an executor runs: those of a session's state.
pub(crate) fn functions(models: &Models) -> BallistaFunctionRegistry {
    let state = session_state(crate::settings::session_config(), models);
    BallistaFunctionRegistry {
        scalar_functions: state.scalar_functions().clone(),
        aggregate_functions: state.aggregate_functions().clone(),
        window_functions: state.window_functions().clone(),
        higher_order_functions: state.higher_order_functions().clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use nightjar_catalog::{Store, StoreFiles};
    use nightjar_engine::Session;

    use super::*;

    #[test]
    fn an_executor_knows_the_functions_of_a_local_session() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().to_str()).unwrap();
        let local = Session::new(store, nightjar_engine::session_config()).context().state();
        let files = StoreFiles::open(folder.path().to_str()).unwrap();
        let executor = functions(&Models::without_names(files));
        fn names<T>(functions: &std::collections::HashMap<String, T>) -> BTreeSet<String> {
            functions.keys().cloned().collect()
        }
        assert_eq!(names(local.scalar_functions()), names(&executor.scalar_functions));
        assert_eq!(names(local.aggregate_functions()), names(&executor.aggregate_functions));
        assert_eq!(names(local.window_functions()), names(&executor.window_functions));
        assert_eq!(names(local.higher_order_functions()), names(&executor.higher_order_functions));
        for ours in ["classify", "try_embed", "round_outcome"] {
            assert!(executor.scalar_functions.contains_key(ours), "{ours}");
        }
        assert!(executor.aggregate_functions.contains_key("train_round"));
    }
}
