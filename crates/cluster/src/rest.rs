//! The scheduler's REST interface, asked from threads that may block.

use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::Address;
use crate::error::{ClusterError, Result};

/// How long the scheduler may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Asks a scheduler for what is at a path.
///
/// Errors: nobody answers, or something that is no scheduler. Blocks the thread for 10 s at most.
pub(crate) fn get<T: DeserializeOwned>(scheduler: &Address, path: &str) -> Result<T> {
    let other = |reason: String| ClusterError::OtherServer { scheduler: scheduler.clone(), reason };
    let agent = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).proxy(None).build().new_agent();
    let mut response =
        agent.get(format!("{}{path}", scheduler.url())).call().map_err(|error| match error {
            ureq::Error::StatusCode(code) => other(format!("HTTP status {code}")),
            error => ClusterError::NoScheduler { scheduler: scheduler.clone(), reason: error.to_string() },
        })?;
    let body = response.body_mut().read_to_string().map_err(|error| other(error.to_string()))?;
    serde_json::from_str(&body).map_err(|error| other(error.to_string()))
}
