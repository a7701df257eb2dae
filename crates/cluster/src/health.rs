//! Whether the processes of a cluster do their work.

use std::time::Duration;

use nightjar_engine::ExecutorState;
use tokio::net::TcpStream;

use crate::Address;
use crate::error::{ClusterError, Result};
use crate::executors::executors;

/// How long an executor may take to accept a connection.
const ACCEPTS: Duration = Duration::from_secs(5);

/// Returns the executors that a scheduler knows, if it answers. With an executor's address, as others reach it, that one must
/// be known there, so that it gets tasks, and take connections, so that others get what it has made.
///
/// Errors: no scheduler, or one of another version; an executor that is unknown there, or that nobody can connect to.
pub async fn health(scheduler: &Address, executor: Option<&Address>) -> Result<Vec<ExecutorState>> {
    let known = executors(scheduler).await?;
    let Some(executor) = executor else { return Ok(known) };
    if !known.iter().any(|one| one.address.as_deref() == Some(&executor.to_string())) {
        let (scheduler, executor) = (scheduler.clone(), executor.clone());
        return Err(ClusterError::UnknownExecutor { scheduler, executor });
    }
    let silent = |reason: String| ClusterError::SilentExecutor { executor: executor.clone(), reason };
    let connects = TcpStream::connect((executor.host.as_str(), executor.port));
    match tokio::time::timeout(ACCEPTS, connects).await {
        Ok(Ok(_)) => Ok(known),
        Ok(Err(error)) => Err(silent(error.to_string())),
        Err(_) => Err(silent(format!("no connection within {} s", ACCEPTS.as_secs()))),
    }
}
