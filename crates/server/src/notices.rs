//! Tells whoever a job names in `on_failure` of a run that failed for good: at least once, however often the daemon is started anew.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use futures::FutureExt;
use nightjar_catalog::{CatalogError, JobRun, Store};
use nightjar_statements::time;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinHandle;
use ureq::config::Config;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// How long whoever is told may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long after one that could not be told the next attempt is made; each further one comes twice as late.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest time between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);

/// How many are told at once.
const AT_ONCE: usize = 32;

/// Trusts the certificates that this machine trusts, or that `SSL_CERT_FILE` and `SSL_CERT_DIR` name: an alert manager of one's own has one that
/// only they vouch for. On a machine without any, those of Mozilla's programme.
static AGENT: LazyLock<ureq::Agent> = LazyLock::new(|| {
    let trusted = rustls_native_certs::load_native_certs().certs;
    let roots = match trusted.is_empty() {
        true => RootCerts::WebPki,
        false => trusted.iter().map(|der| Certificate::from_der(der).to_owned()).collect::<Vec<_>>().into(),
    };
    let tls = TlsConfig::builder().root_certs(roots).build();
    Config::builder().timeout_global(Some(PATIENCE)).tls_config(tls).build().new_agent()
});

/// Who tells.
pub(crate) struct Notices {
    store: Store,
    /// The runs that are being told of; whether they were heard.
    telling: HashMap<i64, JoinHandle<bool>>,
    /// The runs that nobody heard of so far: when the next attempt comes, and the pause after it.
    waiting: HashMap<i64, (Instant, Duration)>,
}

impl Notices {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, telling: HashMap::new(), waiting: HashMap::new() }
    }

    /// Whether there was something to tell when it was last looked for: it may not have reached anybody.
    pub(crate) fn are_pending(&self) -> bool {
        !self.telling.is_empty() || self.waiting.values().any(|(until, _)| *until <= Instant::now())
    }

    /// Begins to tell what there is to tell and is not being told; what could not be told a moment ago is left for later. One that is slow to
    /// hear keeps no other waiting, as long as there are few of them.
    pub(crate) fn look(&mut self) -> Result<(), CatalogError> {
        let ended: Vec<i64> =
            self.telling.iter().filter(|(_, telling)| telling.is_finished()).map(|(run, _)| *run).collect();
        for run in ended {
            let heard = self.telling.remove(&run).and_then(|telling| telling.now_or_never());
            if !matches!(heard, Some(Ok(true))) {
                self.put_off(run);
            }
        }
        let mut notices = self.store.catalog().read_jobs(|ledger| ledger.notices())?;
        self.waiting.retain(|waiting, _| notices.iter().any(|(run, _)| run.run_id == *waiting));
        let now = Instant::now();
        notices.retain(|(run, _)| {
            !self.telling.contains_key(&run.run_id)
                && self.waiting.get(&run.run_id).is_none_or(|(until, _)| *until <= now)
        });
        let room = AT_ONCE.saturating_sub(self.telling.len());
        for (run, target) in notices.into_iter().take(room) {
            let (store, id) = (self.store.clone(), run.run_id);
            self.telling.insert(id, tokio::spawn(async move { tell_one(&store, &run, &target).await }));
        }
        Ok(())
    }

    fn put_off(&mut self, run: i64) {
        let pause = self.waiting.get(&run).map_or(FIRST_PAUSE, |(_, pause)| *pause);
        self.waiting.insert(run, (Instant::now() + pause, (pause * 2).min(LONGEST_PAUSE)));
    }

    /// Tells what there is to tell, each once.
    pub(crate) async fn settle(&mut self) {
        self.waiting.clear();
        loop {
            if let Err(error) = self.look() {
                log::warn!("failures were not told: {error}");
            }
            let Some(run) = self.telling.keys().next().copied() else { return };
            if let Some(telling) = self.telling.get_mut(&run) {
                let heard = telling.await;
                self.telling.remove(&run);
                if !matches!(heard, Ok(true)) {
                    // For the next pass.
                    self.waiting.insert(run, (Instant::now() + LONGEST_PAUSE, LONGEST_PAUSE));
                }
            }
        }
    }
}

/// Tells of one run, and the ledger whether it was heard. What it does not know is told again.
async fn tell_one(store: &Store, run: &JobRun, target: &str) -> bool {
    let told = tokio::time::timeout(PATIENCE, tell(run, target)).await;
    let told = told.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())));
    let who = shown(target);
    let line = match &told {
        Ok(()) => format!("{who} was told that the run failed"),
        Err(error) => format!("{who} could not be told that the run failed: {error}"),
    };
    let at = nightjar_statements::now().timestamp_micros();
    let written = tokio::task::block_in_place(|| {
        store.catalog().change_jobs::<_, CatalogError>(|ledger| {
            ledger.log(run.run_id, run.attempt, at, &line)?;
            if told.is_ok() { ledger.put_notice(run.run_id, None) } else { Ok(()) }
        })
    });
    if let Err(error) = &written {
        log::warn!("{line}; the ledger does not know: {error}");
    }
    told.is_ok() && written.is_ok()
}

/// Returns who is told, without what may be a secret: the path of a URL, or what stands before its host.
fn shown(target: &str) -> &str {
    match target.split_once("://") {
        Some((_, rest)) if is_url(target) => {
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            host.rsplit_once('@').map_or(host, |(_, host)| host)
        }
        _ => "the command of on_failure",
    }
}

fn is_url(target: &str) -> bool {
    target.starts_with("http://") || target.starts_with("https://")
}

/// The run as whoever is told gets it.
fn document(run: &JobRun) -> String {
    let time = |micros: Option<i64>| micros.map(|micros| time(micros).to_rfc3339());
    json!({
        "job": run.job,
        "run_id": run.run_id,
        "status": run.status,
        "scheduled_at": time(Some(run.scheduled_at)),
        "cause": run.cause,
        "attempts": run.attempt,
        "started_at": time(run.started_at),
        "finished_at": time(run.finished_at),
        "error": run.error,
    })
    .to_string()
}

async fn tell(run: &JobRun, target: &str) -> Result<(), String> {
    let document = document(run);
    if is_url(target) {
        let target = target.to_owned();
        let posted = tokio::task::spawn_blocking(move || {
            let request = AGENT.post(&target).header("Content-Type", "application/json");
            request.send(document).map(drop).map_err(|error| error.to_string())
        });
        return posted.await.map_err(|error| error.to_string())?;
    }
    let mut command = tokio::process::Command::new("sh");
    command.args(["-c", target]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().map_err(|error| error.to_string())?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that reads nothing is told all the same.
        let _ = stdin.write_all(document.as_bytes()).await;
    }
    let output = child.wait_with_output().await.map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_targets_are_not_shown() {
        assert_eq!(shown("https://hooks.example/T0/secret?token=secret"), "hooks.example");
        assert_eq!(shown("http://user:secret@host:8080?x"), "host:8080");
        assert_eq!(shown("mail -s 'http://x/' secret"), "the command of on_failure");
    }
}
