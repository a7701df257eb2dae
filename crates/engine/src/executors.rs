//! Who runs a session's plans.

use std::fmt::Debug;
use std::num::NonZero;
use std::thread::available_parallelism;
use std::time::SystemTime;

use async_trait::async_trait;
use datafusion::error::Result;

/// An executor: a process that runs tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutorState {
    /// Its name, new each time that it starts.
    pub id: String,
    /// Where others fetch its data; None for the session's own process.
    pub address: Option<String>,
    /// How many tasks it runs at once.
    pub vcores: u32,
    /// When its scheduler last heard it; None where that is not known.
    pub last_heard: Option<SystemTime>,
}

/// Knows who runs a session's plans: what `nightjar.executors` shows.
#[async_trait]
pub trait Executors: Debug + Send + Sync {
    /// Returns the executors of now.
    async fn executors(&self) -> Result<Vec<ExecutorState>>;
}

/// The session's own process runs its plans.
#[derive(Debug, Default)]
pub(crate) struct OneProcess;

#[async_trait]
impl Executors for OneProcess {
    async fn executors(&self) -> Result<Vec<ExecutorState>> {
        let cores = available_parallelism().map_or(1, NonZero::get);
        let vcores = u32::try_from(cores).unwrap_or(u32::MAX);
        Ok(vec![ExecutorState { id: "this process".to_owned(), address: None, vcores, last_heard: None }])
    }
}
