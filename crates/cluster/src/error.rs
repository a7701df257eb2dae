//! What a cluster fails at.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use datafusion::error::DataFusionError;
use datafusion::object_store;
use nightjar_catalog::CatalogError;
use nightjar_errors::Failure;
use nightjar_functions::{CarriedFailure, into_datafusion};

use crate::Address;

/// The result of this crate's operations.
pub type Result<T, E = ClusterError> = std::result::Result<T, E>;

/// Why a cluster can't do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// An address that is none.
    #[error("'{text}' is no address")]
    Address {
        /// What was given.
        text: String,
    },
    /// A port that is taken, or an address that is not this machine's.
    #[error("can't listen at {address}: {source}")]
    Bind {
        /// The address.
        address: Address,
        /// Why.
        source: io::Error,
    },
    /// The second port of an executor is taken.
    #[error("can't listen for tasks at {address}: {source}")]
    BindTasks {
        /// The address.
        address: Address,
        /// Why.
        source: io::Error,
    },
    /// No place for shuffle files.
    #[error("can't write to '{}', where shuffle files go: {source}", folder.display())]
    WorkDir {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nobody answers.
    #[error("no scheduler answers at {scheduler}: {reason}")]
    NoScheduler {
        /// The address.
        scheduler: Address,
        /// Why.
        reason: String,
    },
    /// Something else answers.
    #[error("what answers at {scheduler} is no scheduler of this version: {reason}")]
    OtherServer {
        /// The address.
        scheduler: Address,
        /// What it said.
        reason: String,
    },
    /// Nobody to work.
    #[error("the scheduler at {scheduler} has had no executor for {} s", waited.as_secs())]
    NoExecutors {
        /// The address.
        scheduler: Address,
        /// For how long the statement waited.
        waited: Duration,
    },
    /// An executor that a scheduler has not heard of, or not for long.
    #[error("the scheduler at {scheduler} knows no executor at {executor}")]
    UnknownExecutor {
        /// The scheduler's address.
        scheduler: Address,
        /// The executor's address.
        executor: Address,
    },
    /// An executor that takes no connection.
    #[error("no executor answers at {executor}: {reason}")]
    SilentExecutor {
        /// The address.
        executor: Address,
        /// Why.
        reason: String,
    },
    /// The scheduler went away and did not come back.
    #[error("the scheduler at {scheduler} went away and did not come back within {} s: {reason}", waited.as_secs())]
    SchedulerLost {
        /// The address.
        scheduler: Address,
        /// For how long the statement waited.
        waited: Duration,
        /// What the last attempt said.
        reason: String,
    },
    /// Executors were lost again and again.
    #[error("the cluster of {scheduler} lost executors in the middle of the statement {times} times")]
    ExecutorsLost {
        /// The address.
        scheduler: Address,
        /// How often.
        times: usize,
    },
    /// A plan failed on the cluster.
    #[error("{message}")]
    Failed {
        /// What the executor said, without what the scheduler put around it.
        message: String,
        /// What to type next, if the executor knew.
        hint: Option<String>,
    },
    /// A file of a plan was not there any more.
    #[error("{message}")]
    FileGone {
        /// What the executor said.
        message: String,
        /// What to type next, if the executor knew.
        hint: Option<String>,
        /// Where the file was in its store.
        file: String,
    },
    /// A result could not be fetched from the executor that holds it.
    #[error("the result of job {job} can't be fetched from {executor}: {reason}")]
    ResultLost {
        /// The job's name at the scheduler.
        job: String,
        /// The executor's address.
        executor: String,
        /// Why.
        reason: String,
    },
    /// A role ended by itself.
    #[error("{role} stopped: {reason}")]
    Stopped {
        /// 'the scheduler' or 'the executor'.
        role: &'static str,
        /// Why.
        reason: String,
    },
    /// The store failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl From<ClusterError> for DataFusionError {
    fn from(error: ClusterError) -> Self {
        match error {
            // As where the plan had run in this process: who planned it acts on it.
            ClusterError::FileGone { ref file, .. } => {
                let (path, source) = (file.clone(), Box::new(CarriedFailure(Box::new(error))));
                DataFusionError::ObjectStore(Box::new(object_store::Error::NotFound { path, source }))
            }
            error => into_datafusion(CarriedFailure(Box::new(error))),
        }
    }
}

impl Failure for ClusterError {
    fn code(&self) -> &'static str {
        match self {
            Self::Address { .. } => "cluster.address",
            Self::Bind { .. } => "cluster.bind",
            Self::BindTasks { .. } => "cluster.bind_tasks",
            Self::WorkDir { .. } => "cluster.work_dir",
            Self::NoScheduler { .. } => "cluster.no_scheduler",
            Self::OtherServer { .. } => "cluster.other_server",
            Self::NoExecutors { .. } => "cluster.no_executors",
            Self::UnknownExecutor { .. } => "cluster.unknown_executor",
            Self::SilentExecutor { .. } => "cluster.silent_executor",
            Self::SchedulerLost { .. } => "cluster.scheduler_lost",
            Self::ExecutorsLost { .. } => "cluster.executors_lost",
            Self::Failed { .. } => "cluster.failed",
            Self::FileGone { .. } => "cluster.file_gone",
            Self::ResultLost { .. } => "cluster.result_lost",
            Self::Stopped { .. } => "cluster.stopped",
            Self::Catalog(error) => error.code(),
        }
    }

    fn retryable(&self) -> bool {
        match self {
            Self::NoScheduler { .. }
            | Self::NoExecutors { .. }
            | Self::UnknownExecutor { .. }
            | Self::SilentExecutor { .. }
            | Self::SchedulerLost { .. }
            | Self::ExecutorsLost { .. }
            | Self::ResultLost { .. } => true,
            Self::Catalog(error) => error.retryable(),
            _ => false,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Address { .. } => Some("an address is HOST:PORT, such as 10.0.0.5:50050".to_owned()),
            Self::Bind { .. } => {
                Some("another process may have the port; --bind HOST:0 takes one that is free".to_owned())
            }
            Self::BindTasks { .. } => Some(
                "an executor listens at two ports, the second one for tasks: --task-port PORT chooses it, 0 takes one that is free"
                    .to_owned(),
            ),
            Self::WorkDir { .. } => Some("choose another with --work-dir".to_owned()),
            Self::NoScheduler { scheduler, .. } => Some(format!(
                "start one there (nightjar scheduler --bind {scheduler}), or correct the address"
            )),
            Self::OtherServer { .. } => {
                Some("scheduler, executors and the command must be the same version of nightjar".to_owned())
            }
            Self::NoExecutors { scheduler, .. } => {
                Some(format!("start one: nightjar executor --scheduler {scheduler}"))
            }
            Self::UnknownExecutor { scheduler, .. } => {
                Some(format!("nightjar sql --cluster {scheduler} -c 'SHOW EXECUTORS' lists those it knows"))
            }
            Self::SilentExecutor { .. } => {
                Some("its --advertise names the host by which all others reach it".to_owned())
            }
            Self::SchedulerLost { .. } => Some("start it again, then run the statement again".to_owned()),
            Self::ExecutorsLost { .. } => {
                Some("see why they end: their own output tells, SHOW EXECUTORS shows who is left".to_owned())
            }
            Self::ResultLost { .. } => Some("run the statement again".to_owned()),
            Self::Catalog(error) => error.hint(),
            Self::Failed { hint, .. } | Self::FileGone { hint, .. } => hint.clone(),
            Self::Stopped { .. } => None,
        }
    }
}
