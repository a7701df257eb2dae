//! The role that runs tasks.

use std::net::{IpAddr, TcpListener, ToSocketAddrs};
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use ballista_core::error::BallistaError;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use datafusion::common::runtime::SpawnedTask;
use nightjar_catalog::StoreFiles;
use nightjar_functions::Models;

use crate::error::{ClusterError, Result};
use crate::health::health;
use crate::scratch::Scratch;
use crate::settings::{self, HEARTBEAT_SECONDS, MAX_MESSAGE_BYTES};
use crate::stage_runner::StageRunner;
use crate::{Address, codec, registry};

/// The share of the machine's memory that tasks may ask for: the rest is for weights, which no task counts, and buffers.
const TASK_MEMORY_FRACTION: f64 = 0.5;

/// How long an executor waits for its scheduler to answer first, in seconds: both may be started at once.
const CONNECT_SECONDS: u16 = 30;

/// How long an executor that has just begun waits between two questions whether its scheduler knows it.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// After how many seconds a shuffle file that nobody removed is rubbish.
const SHUFFLE_TTL_SECONDS: u64 = 6 * 60 * 60;

/// An executor: it registers with a scheduler and runs the tasks that it is given.
#[derive(Debug)]
pub struct Executor {
    /// Whom it works for.
    pub scheduler: Address,
    /// Where it listens for data. Port 0 takes one that is free.
    pub bind: Address,
    /// The port at which it listens for tasks; None for the next one after that for data, or one that is free.
    pub task_port: Option<u16>,
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
    /// Runs until the process is told to stop: then it takes no more tasks and finishes those it has. `told` is called once the scheduler
    /// knows it, with a line that says where it listens and for whom it works.
    ///
    /// Errors: a port that is taken, no scheduler, one of another version.
    pub async fn run(self, told: impl FnOnce(String) + Send + 'static) -> Result<()> {
        let vcores = self.vcores.or_else(|| available_parallelism().ok()).map_or(1, NonZero::get);
        // One arithmetic thread a task: executors that share a machine share its cores as they share its tasks. A pool that
        // is there already has been made by tests in this process.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(vcores).build_global();
        let (bind_host, port, grpc_port) = ports(&self.bind, self.task_port)?;
        let parent = self.work_dir.clone().unwrap_or_else(std::env::temp_dir);
        let no_work_dir = |source| ClusterError::WorkDir { folder: parent.clone(), source };
        let scratch = Scratch::new(&parent).map_err(no_work_dir)?;
        // Apart: Ballista clears its folder when it ends, while DataFusion clears its own.
        let shuffles = scratch.subfolder("shuffles").map_err(no_work_dir)?;
        let spills = scratch.subfolder("spills").map_err(no_work_dir)?;
        let models = Models::without_names(self.files.clone());
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
            override_execution_engine: Some(Arc::new(StageRunner::new())),
            override_function_registry: Some(Arc::new(registry::functions(&models))),
            override_runtime_producer: Some(registry::runtime(&self.files, spills)),
            override_config_producer: Some(Arc::new(settings::session_config)),
            override_logical_codec: Some(codec::logical()),
            override_physical_codec: Some(codec::physical()),
            ..ExecutorProcessConfig::default()
        };
        let host = self.advertised.clone().unwrap_or_else(|| bind_host.to_string());
        let address = Address { host, port };
        let telling =
            SpawnedTask::spawn(tell_once_known(self.scheduler.clone(), address, grpc_port, vcores, told));
        let ended = start_executor_process(Arc::new(config)).await;
        drop(telling);
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

/// Waits until the scheduler knows an executor and the executor answers, and says so.
async fn tell_once_known(
    scheduler: Address,
    executor: Address,
    task_port: u16,
    vcores: usize,
    told: impl FnOnce(String),
) {
    while health(&scheduler, Some(&executor)).await.is_err() {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    let tasks = if vcores == 1 { "1 task".to_owned() } else { format!("{vcores} tasks") };
    told(format!(
        "executor {executor} (tasks at port {task_port}) works for scheduler {scheduler}, {tasks} at a time"
    ));
}

/// Returns the address to listen at, for data and for tasks, after seeing that both ports can be had: what serves them later
/// would say less about it.
fn ports(bind: &Address, task_port: Option<u16>) -> Result<(IpAddr, u16, u16)> {
    let failed = |source| ClusterError::Bind { address: bind.clone(), source };
    let unknown = || failed(std::io::Error::other("the name leads to no address"));
    let mut addresses = (bind.host.as_str(), bind.port).to_socket_addrs().map_err(failed)?;
    let host = addresses.next().ok_or_else(unknown)?.ip();
    let next = match task_port {
        Some(port) => port,
        None if bind.port == 0 => 0,
        None => bind.port.checked_add(1).ok_or_else(unknown)?,
    };
    let data = TcpListener::bind((host, bind.port)).map_err(failed)?;
    let tasks = TcpListener::bind((host, next)).map_err(|source| ClusterError::BindTasks {
        address: Address { port: next, ..bind.clone() },
        source,
    })?;
    let port = |listener: TcpListener| listener.local_addr().map(|address| address.port()).map_err(failed);
    Ok((host, port(data)?, port(tasks)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_are_taken_and_a_busy_one_is_named() {
        let (host, data, tasks) = ports(&Address::loopback(0), None).unwrap();
        assert!(host.is_loopback() && data != tasks && data > 0);
        let busy = TcpListener::bind("127.0.0.1:0").unwrap();
        let bind = Address::loopback(busy.local_addr().unwrap().port());
        let error = ports(&bind, None).unwrap_err();
        assert!(error.to_string().contains(&bind.to_string()), "{error}");
        let error = ports(&Address::loopback(0), Some(bind.port)).unwrap_err();
        assert!(error.to_string().contains(&format!("for tasks at {bind}")), "{error}");
        drop(busy);
        assert_eq!(ports(&Address::loopback(0), Some(bind.port)).unwrap().2, bind.port);
    }
}
