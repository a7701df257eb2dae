//! Whether a daemon answers.

use std::time::Duration;

use crate::error::{DaemonError, Result};

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks the daemon whose pages are at this URL (`http://HOST:PORT`) whether it is alive; waits 10 s at most.
///
/// # Errors
/// Nobody answers, or something that is no daemon.
pub async fn daemon_health(url: &str) -> Result<()> {
    let (url, at) = (url.to_owned(), format!("{}/healthz", url.trim_end_matches('/')));
    let asked = tokio::task::spawn_blocking(move || {
        let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).proxy(None).build();
        let mut answer = config.new_agent().get(&at).call().map_err(|error| error.to_string())?;
        let said = answer.body_mut().read_to_string().map_err(|error| error.to_string())?;
        match said.trim() == ALIVE {
            true => Ok(()),
            false => Err("what answers there is no daemon of Nightjar".to_owned()),
        }
    });
    let answer = asked.await.map_err(|error| error.to_string()).and_then(|answer| answer);
    answer.map_err(|reason| DaemonError::Silent { url, reason })
}

/// What a daemon says that is alive.
pub(crate) const ALIVE: &str = "alive";
