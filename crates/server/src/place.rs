//! Where the statements of runs run.

use std::sync::Arc;

use nightjar_catalog::Store;
use nightjar_cluster::{Address, ClusterError};
use nightjar_engine::{Session, session_config};
use nightjar_statements::Watch;

/// Where the statements of runs run. Each attempt has a session of its own.
#[derive(Debug, Clone)]
pub enum Place {
    /// In the daemon's process.
    Local,
    /// On the cluster of this scheduler.
    Cluster(Address),
}

impl Place {
    /// Returns a session for an attempt.
    pub(crate) async fn session(&self, store: Store, watch: Arc<dyn Watch>) -> Result<Session, ClusterError> {
        let session = match self {
            Self::Local => Session::new(store, session_config()),
            Self::Cluster(scheduler) => nightjar_cluster::connect(scheduler, store).await?,
        };
        Ok(session.with_watch(watch))
    }
}
