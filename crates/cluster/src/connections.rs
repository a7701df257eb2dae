//! Connections between executors, kept for the next fetch: a shuffle of many partitions would else use up the machine's ports.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ballista_core::client::BallistaClient;
use ballista_core::client_pool::{BallistaClientPool, PooledClient};
use ballista_core::error::Result;
use ballista_core::extension::BallistaConfigGrpcEndpoint;
use ballista_core::utils::GrpcClientConfig;
use parking_lot::Mutex;

/// How long a connection is kept that nobody uses.
const KEPT: Duration = Duration::from_secs(30);

/// Where a connection leads, and how it was made.
type Key = (String, u16, GrpcClientConfig);

/// A connection that nobody uses, and since when.
type Idle = (BallistaClient, Instant);

/// The connections that nobody uses now; of those that lead to one place the latest is used first, so that the others age.
#[derive(Default)]
pub(crate) struct Connections {
    idle: Arc<Mutex<HashMap<Key, Vec<Idle>>>>,
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections").finish_non_exhaustive()
    }
}

impl Connections {
    /// Forgets what has not been used for long.
    fn evict(&self) {
        self.idle.lock().retain(|_, clients| {
            clients.retain(|(_, since)| since.elapsed() < KEPT);
            !clients.is_empty()
        });
    }
}

#[async_trait]
impl BallistaClientPool for Connections {
    async fn acquire(
        &self,
        host: &str,
        port: u16,
        config: &GrpcClientConfig,
        customize_endpoint: Option<Arc<BallistaConfigGrpcEndpoint>>,
    ) -> Result<PooledClient> {
        self.evict();
        let key = (host.to_owned(), port, config.clone());
        let idle = self.idle.lock().get_mut(&key).and_then(Vec::pop);
        let client = match idle {
            Some((client, _)) => client,
            None => {
                BallistaClient::try_new(
                    host,
                    port,
                    config.max_message_size,
                    config.use_tls,
                    customize_endpoint,
                    config.io_retries_times,
                    config.io_retry_wait_time_ms,
                    config.initial_connection_window_size,
                    config.initial_stream_window_size,
                )
                .await?
            }
        };
        let kept = Arc::clone(&self.idle);
        let give_back = move |client| kept.lock().entry(key).or_default().push((client, Instant::now()));
        Ok(PooledClient::new(client, Box::new(give_back)))
    }

    async fn evict_idle(&self) {
        self.evict();
    }
}
