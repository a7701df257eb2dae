//! The role that runs tasks.

use std::net::{IpAddr, TcpListener, ToSocketAddrs};
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::available_parallelism;

use ballista_core::error::BallistaError;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use nightjar_catalog::StoreFiles;
use nightjar_functions::Models;

use crate::error::{ClusterError, Result};
use crate::scratch::Scratch;
use crate::settings::{self, HEARTBEAT_SECONDS, MAX_MESSAGE_BYTES};
use crate::stage_runner::StageRunner;
use crate::{Address, codec, registry};

/// The share of the machine's memory that tasks may ask for: the rest is for weights, which no task counts, and buffers.
const TASK_MEMORY_FRACTION: f64 = 0.5;

/// How long an executor waits for its scheduler to answer first, in seconds: both may be started at once.
const CONNECT_SECONDS: u16 = 30;

/// After how many seconds a shuffle file that nobody removed is rubbish.
const SHUFFLE_TTL_SECONDS: u64 = 6 * 60 * 60;

/// An executor: it registers with a scheduler and runs the tasks that it is given.
#[derive(Debug)]
pub struct Executor {
    /// Whom it works for.
    pub scheduler: Address,
    /// Where it listens; the next port as well, for tasks. Port 0 takes two that are free.
    pub bind: Address,
    /// The host by which others reach it, where it is another than the one it listens at.
    pub advertised: Option<String>,
    /// How many tasks it runs at once, and how many threads compute for them; None for one a core.
    pub vcores: Option<NonZero<usize>>,
    /// In which folder it makes one for shuffle files and spills, which goes with it; None for the system's temporary one.
    pub work_dir: Option<PathBuf>,
    /// The store that the models are in.
    pub files: StoreFiles,
}

impl Executor {
    /// Runs until the process is told to stop: then it takes no more tasks and finishes those it has.
    ///
    /// Errors: a port that is taken, no scheduler, one of another version.
    pub async fn run(self) -> Result<()> {
        let vcores = self.vcores.or_else(|| available_parallelism().ok()).map_or(1, NonZero::get);
        // One arithmetic thread a task: executors that share a machine share its cores as they share its tasks. A pool that
        // is there already has been made by tests in this process.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(vcores).build_global();
        let (bind_host, port, grpc_port) = ports(&self.bind)?;
        let parent = self.work_dir.clone().unwrap_or_else(std::env::temp_dir);
        let no_work_dir = |source| ClusterError::WorkDir { folder: parent.clone(), source };
        let scratch = Scratch::new(&parent).map_err(no_work_dir)?;
        // Apart: Ballista clears its folder when it ends, while DataFusion clears its own.
        let shuffles = scratch.subfolder("shuffles").map_err(no_work_dir)?;
        let spills = scratch.subfolder("spills").map_err(no_work_dir)?;
        let models = Models::without_names(self.files.clone());
        let runtime = Arc::new(nightjar_engine::runtime_env(self.files.object_stores()));
        let config = ExecutorProcessConfig {
            external_host: Some(self.advertised.clone().unwrap_or_else(|| bind_host.to_string())),
            bind_host: bind_host.to_string(),
            port,
            grpc_port,
            scheduler_host: self.scheduler.host.clone(),
            scheduler_port: self.scheduler.port,
            scheduler_connect_timeout_seconds: CONNECT_SECONDS,
            vcores,
            work_dir: Some(shuffles.to_string_lossy().into_owned()),
            job_data_ttl_seconds: SHUFFLE_TTL_SECONDS,
            job_data_clean_up_interval_seconds: SHUFFLE_TTL_SECONDS / 6,
            grpc_max_decoding_message_size: MAX_MESSAGE_BYTES,
            grpc_max_encoding_message_size: MAX_MESSAGE_BYTES,
            executor_heartbeat_interval_seconds: HEARTBEAT_SECONDS,
            memory_pool_fraction: TASK_MEMORY_FRACTION,
            override_execution_engine: Some(Arc::new(StageRunner::new(Arc::clone(&runtime)))),
            override_function_registry: Some(Arc::new(registry::functions(&models))),
            override_runtime_producer: Some(registry::runtime(runtime, spills)),
            override_config_producer: Some(Arc::new(settings::session_config)),
            override_logical_codec: Some(codec::logical()),
            override_physical_codec: Some(codec::physical()),
            ..ExecutorProcessConfig::default()
        };
        let ended = start_executor_process(Arc::new(config)).await;
        ended.map_err(|error| self.failure(error))
    }

    fn failure(&self, error: BallistaError) -> ClusterError {
        let scheduler = self.scheduler.clone();
        match error {
            BallistaError::GrpcConnectionError(reason) | BallistaError::General(reason) => {
                ClusterError::NoScheduler { scheduler, reason }
            }
            BallistaError::GrpcError(status) => {
                ClusterError::OtherServer { scheduler, reason: status.message().to_owned() }
            }
            other => ClusterError::Stopped { role: "the executor", reason: other.to_string() },
        }
    }
}

/// Returns the address to listen at, for data and for tasks, after seeing that both ports can be had: what serves them later
/// would say less about it.
fn ports(bind: &Address) -> Result<(IpAddr, u16, u16)> {
    let failed = |source| ClusterError::Bind { address: bind.clone(), source };
    let unknown = || failed(std::io::Error::other("the name leads to no address"));
    let mut addresses = (bind.host.as_str(), bind.port).to_socket_addrs().map_err(failed)?;
    let host = addresses.next().ok_or_else(unknown)?.ip();
    let next = if bind.port == 0 { 0 } else { bind.port.checked_add(1).ok_or_else(unknown)? };
    let data = TcpListener::bind((host, bind.port)).map_err(failed)?;
    let tasks = TcpListener::bind((host, next))
        .map_err(|source| ClusterError::Bind { address: Address { port: next, ..bind.clone() }, source })?;
    let port = |listener: TcpListener| listener.local_addr().map(|address| address.port()).map_err(failed);
    Ok((host, port(data)?, port(tasks)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_are_taken_and_a_busy_one_is_named() {
        let (host, data, tasks) = ports(&Address::loopback(0)).unwrap();
        assert!(host.is_loopback() && data != tasks && data > 0);
        let busy = TcpListener::bind("127.0.0.1:0").unwrap();
        let bind = Address::loopback(busy.local_addr().unwrap().port());
        let error = ports(&bind).unwrap_err();
        assert!(error.to_string().contains(&bind.to_string()), "{error}");
    }
}
