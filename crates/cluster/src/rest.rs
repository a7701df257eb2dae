//! The scheduler's REST interface.

use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::Address;
use crate::error::{ClusterError, Result};

/// How long the scheduler may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Asks a scheduler for what is at a path; waits 10 s at most.
///
/// Errors: nobody answers, or something that is no scheduler.
pub(crate) async fn get<T: DeserializeOwned + Send + 'static>(
    scheduler: &Address,
    path: String,
) -> Result<T> {
    let scheduler = scheduler.clone();
    let asked = tokio::task::spawn_blocking(move || get_blocking(&scheduler, &path)).await;
    asked
        .map_err(|error| ClusterError::Stopped { role: "asking the scheduler", reason: error.to_string() })?
}

fn get_blocking<T: DeserializeOwned>(scheduler: &Address, path: &str) -> Result<T> {
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
