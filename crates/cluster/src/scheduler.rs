//! The role that cuts plans into stages and hands their tasks out.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::{SchedulerConfig, TaskDistributionPolicy};
use ballista_scheduler::scheduler_process;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use nightjar_catalog::StoreFiles;
use nightjar_functions::Models;

use crate::error::{ClusterError, Result};
use crate::settings::{self, EXECUTOR_TIMEOUT_SECONDS, MAX_MESSAGE_BYTES};
use crate::vcores::CountedVcores;
use crate::{Address, codec, registry};

/// A scheduler that listens, and serves once it runs.
#[derive(Debug)]
pub struct Scheduler {
    listener: TcpListener,
    address: SocketAddr,
    advertised: Option<String>,
    models: Models,
}

impl Scheduler {
    /// Listens at an address; executors report to the host `advertised`, where it is another than the one that is listened at.
    /// The store's files tell what the models in plans are; its catalog is not opened.
    ///
    /// Errors: a port that is taken, an address that is not this machine's.
    pub async fn bind(bind: &Address, advertised: Option<String>, files: StoreFiles) -> Result<Self> {
        let failed = |source| ClusterError::Bind { address: bind.clone(), source };
        let listener =
            tokio::net::TcpListener::bind((bind.host.as_str(), bind.port)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let listener = listener.into_std().map_err(failed)?;
        Ok(Self { listener, address, advertised, models: Models::without_names(files) })
    }

    /// Returns where it listens.
    pub fn address(&self) -> Address {
        Address { host: self.address.ip().to_string(), port: self.address.port() }
    }

    /// Serves until the process ends.
    pub async fn run(self) -> Result<()> {
        let stopped = |reason: String| ClusterError::Stopped { role: "the scheduler", reason };
        let address = self.address();
        let config = Arc::new(config(&address, self.advertised, self.models));
        let cluster =
            BallistaCluster::new_from_config(&config).await.map_err(|error| stopped(error.to_string()))?;
        let cluster = BallistaCluster::new(Arc::new(CountedVcores::default()), cluster.job_state());
        let server =
            scheduler_process::create_scheduler::<LogicalPlanNode, PhysicalPlanNode>(cluster, config).await;
        let server = server.map_err(|error| stopped(error.to_string()))?;
        let listener = tokio::net::TcpListener::from_std(self.listener);
        let listener = listener.map_err(|error| stopped(error.to_string()))?;
        let served = scheduler_process::start_grpc_service_with_listener(listener, server).await;
        served.map_err(|error| stopped(error.to_string()))
    }
}

fn config(address: &Address, advertised: Option<String>, models: Models) -> SchedulerConfig {
    let mut config = SchedulerConfig::default()
        .with_override_config_producer(Arc::new(settings::session_config))
        .with_override_session_builder(Arc::new(move |config| Ok(registry::session_state(config, &models))))
        .with_grpc_server_max_decoding_message_size(MAX_MESSAGE_BYTES)
        .with_grpc_server_max_encoding_message_size(MAX_MESSAGE_BYTES)
        .with_grpc_client_max_message_size(MAX_MESSAGE_BYTES);
    config.bind_host.clone_from(&address.host);
    config.external_host = advertised.unwrap_or_else(|| address.host.clone());
    config.bind_port = address.port;
    config.override_logical_codec = Some(codec::logical());
    config.override_physical_codec = Some(codec::physical());
    // One machine's memory and disks are not filled while others wait.
    config.task_distribution = TaskDistributionPolicy::RoundRobin;
    config.executor_timeout_seconds = EXECUTOR_TIMEOUT_SECONDS;
    config.expire_dead_executor_interval_seconds = EXECUTOR_TIMEOUT_SECONDS / 4;
    config.no_executors_grace_period_seconds = EXECUTOR_TIMEOUT_SECONDS;
    config
}
