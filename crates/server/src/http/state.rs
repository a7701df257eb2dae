//! What the pages are made from.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use futures::future::BoxFuture;
use nightjar_catalog::Store;

use crate::pass_times::PassTimes;

/// How long the scheduler of a cluster may take to name its executors.
const EXECUTORS_TIMEOUT: Duration = Duration::from_secs(5);

/// Who works for the cluster's scheduler, when asked.
pub type Executors = Arc<dyn Fn() -> BoxFuture<'static, Vec<ExecutorRow>> + Send + Sync>;

/// An executor, as its scheduler knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutorRow {
    /// Its name at the scheduler.
    pub id: String,
    /// Where it listens.
    pub address: Option<String>,
    /// How many tasks it runs at once.
    pub vcores: u32,
    /// When the scheduler last heard of it.
    pub last_heard: Option<SystemTime>,
}

/// What the pages are made from. Cheap to clone.
#[derive(Clone)]
pub struct ServerState {
    /// The store with jobs, models and trainings.
    pub store: Store,
    /// Whether this daemon has the lease on the store's jobs; the daemon keeps it true.
    pub ready: Arc<AtomicBool>,
    /// Who works for the cluster; `None` where there is none.
    pub executors: Option<Executors>,
    /// How long the daemon's passes take; `None` where nobody measures them.
    pub pass_times: Option<Arc<PassTimes>>,
}

impl ServerState {
    /// Returns the state of a daemon without a cluster, whose passes nobody measures.
    pub fn new(store: Store, ready: Arc<AtomicBool>) -> Self {
        Self { store, ready, executors: None, pass_times: None }
    }

    /// Whether this daemon has the lease.
    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Asks for the executors. An answer that doesn't come in time is an empty one.
    pub(super) async fn executors(&self) -> Option<Vec<ExecutorRow>> {
        let asked = self.executors.as_ref()?();
        Some(tokio::time::timeout(EXECUTORS_TIMEOUT, asked).await.unwrap_or_default())
    }
}
