//! Sessions whose plans run on a cluster.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use ballista_core::optimizer::NotInSubqueryRewrite;
use nightjar_catalog::Store;
use nightjar_engine::{ExecutorState, Executors, Placement, Session};

use crate::client::Client;
use crate::error::Result;
use crate::executors::executors;
use crate::wire_literals::WireLiterals;
use crate::{Address, Distribute, settings};

/// Returns a session over a store whose plans run on the cluster of a scheduler, as many tasks at once as its executors have
/// vcores now, and some more that wait for them.
///
/// Errors: nobody answers at the address, or something that is no scheduler.
pub async fn connect(scheduler: &Address, store: Store) -> Result<Session> {
    let vcores: u32 = executors(scheduler).await?.iter().map(|executor| executor.vcores).sum();
    let partitions = vcores.max(2) as usize * settings::PARTITIONS_PER_VCORE;
    let config = settings::session_config().with_target_partitions(partitions);
    let client = Client::new(scheduler.clone());
    let placement = Placement {
        // DataFusion's own form of NOT IN shares state between partitions, which tasks can't.
        logical: vec![Arc::new(NotInSubqueryRewrite::new())],
        last_logical: vec![Arc::new(WireLiterals)],
        physical: vec![Arc::new(Distribute::new(client, store.files().clone()))],
        executors: Arc::new(OfScheduler(scheduler.clone())),
    };
    Ok(Session::placed(store, config, placement))
}

/// The executors of a scheduler.
#[derive(Debug)]
struct OfScheduler(Address);

#[async_trait]
impl Executors for OfScheduler {
    async fn executors(&self) -> datafusion::error::Result<Vec<ExecutorState>> {
        Ok(executors(&self.0).await?)
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
