//! Sessions whose plans run on a cluster.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use ballista_core::optimizer::NotInSubqueryRewrite;
use nightjar_catalog::Store;
use nightjar_engine::{ExecutorState, Executors, Placement, Session};

use crate::client::Client;
use crate::error::{ClusterError, Result};
use crate::{Address, Distribute, executors, settings};

/// Returns a session over a store whose plans run on the cluster of a scheduler, as many tasks at once as its executors have
/// vcores now.
///
/// Errors: nobody answers at the address, or something that is no scheduler.
pub async fn connect(scheduler: &Address, store: Store) -> Result<Session> {
    let asked = scheduler.clone();
    let known = tokio::task::spawn_blocking(move || executors::executors(&asked)).await;
    let stopped =
        |error: tokio::task::JoinError| ClusterError::Stopped { role: "asking", reason: error.to_string() };
    let vcores: u32 = known.map_err(stopped)??.iter().map(|executor| executor.vcores).sum();
    let config = settings::session_config().with_target_partitions(vcores.max(2) as usize);
    let client = Client::new(scheduler.clone());
    let placement = Placement {
        // DataFusion's own form of NOT IN shares state between partitions, which tasks can't.
        logical: vec![Arc::new(NotInSubqueryRewrite::new())],
        physical: vec![Arc::new(Distribute::new(client, store.files().clone()))],
        executors: Arc::new(OfScheduler(scheduler.clone())),
    };
    Ok(Session::placed(store, config, placement))
}

/// The executors of a scheduler.
#[derive(Debug)]
struct OfScheduler(Address);

impl OfScheduler {
    async fn ask(&self) -> Result<Vec<ExecutorState>> {
        let scheduler = self.0.clone();
        let asked = tokio::task::spawn_blocking(move || executors(&scheduler)).await;
        asked.map_err(|error| ClusterError::Stopped {
            role: "asking for executors",
            reason: error.to_string(),
        })?
    }
}

#[async_trait]
impl Executors for OfScheduler {
    async fn executors(&self) -> datafusion::error::Result<Vec<ExecutorState>> {
        Ok(self.ask().await?)
    }
}

/// `Session::cluster`.
pub trait ClusterSession: Sized {
    /// Opens the store at `store`, or the default one, for statements that run on the cluster of the scheduler at `HOST:PORT`.
    fn cluster(scheduler: &str, store: Option<&str>) -> impl Future<Output = Result<Self>> + Send;
}

impl ClusterSession for Session {
    async fn cluster(scheduler: &str, store: Option<&str>) -> Result<Self> {
        let (address, store) = (scheduler.parse()?, Store::open(store)?);
        connect(&address, store).await
    }
}
