//! Who works for a scheduler, as its REST interface tells.

use std::time::{Duration, SystemTime};

use serde::Deserialize;

use crate::Address;
use crate::error::{ClusterError, Result};

/// How long the scheduler may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// An executor as its scheduler knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutorState {
    /// Its name, new each time that it starts.
    pub id: String,
    /// Where others fetch its data.
    pub address: Address,
    /// How many tasks it runs at once.
    pub vcores: u32,
    /// When it was last heard; None where it has not been yet.
    pub last_heard: Option<SystemTime>,
}

#[derive(Deserialize)]
struct Answer {
    id: String,
    host: String,
    port: u16,
    /// Milliseconds since 1970.
    last_seen: Option<u64>,
    specification: Specification,
}

#[derive(Deserialize)]
struct Specification {
    #[serde(alias = "task_slots")]
    vcores: u32,
}

/// Asks a scheduler for its executors, in the order of their addresses.
///
/// Errors: nobody answers, or something that is no scheduler. Blocks the thread for 10 s at most.
pub fn executors(scheduler: &Address) -> Result<Vec<ExecutorState>> {
    let other = |reason: String| ClusterError::OtherServer { scheduler: scheduler.clone(), reason };
    let agent = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).proxy(None).build().new_agent();
    let mut response =
        agent.get(format!("{}/api/executors", scheduler.url())).call().map_err(|error| match error {
            ureq::Error::StatusCode(code) => other(format!("HTTP status {code}")),
            error => ClusterError::NoScheduler { scheduler: scheduler.clone(), reason: error.to_string() },
        })?;
    let body = response.body_mut().read_to_string().map_err(|error| other(error.to_string()))?;
    let answers: Vec<Answer> = serde_json::from_str(&body).map_err(|error| other(error.to_string()))?;
    let mut executors: Vec<ExecutorState> = answers.into_iter().map(state).collect();
    executors.sort_by(|a, b| (&a.address.host, a.address.port).cmp(&(&b.address.host, b.address.port)));
    Ok(executors)
}

fn state(answer: Answer) -> ExecutorState {
    ExecutorState {
        id: answer.id,
        address: Address { host: answer.host, port: answer.port },
        vcores: answer.specification.vcores,
        last_heard: answer.last_seen.map(|at| SystemTime::UNIX_EPOCH + Duration::from_millis(at)),
    }
}
