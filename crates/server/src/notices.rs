//! Tells whoever a job names in `on_failure` of a run that failed for good: at least once, however often the daemon is started anew.

use std::process::Stdio;
use std::time::{Duration, Instant};

use nightjar_catalog::{CatalogError, JobRun, Store};
use nightjar_statements::time;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinHandle;

/// How long whoever is told may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long after one that could not be told the next attempt is made.
const AGAIN_AFTER: Duration = Duration::from_secs(30);

/// Who tells.
pub(crate) struct Notices {
    store: Store,
    telling: Option<JoinHandle<()>>,
    not_before: Option<Instant>,
}

impl Notices {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, telling: None, not_before: None }
    }

    /// Whether there was something to tell when it was last looked for: it may not have reached anybody.
    pub(crate) fn are_pending(&self) -> bool {
        self.telling.is_some()
    }

    /// Begins to tell what there is to tell, unless that is under way, or failed a moment ago.
    pub(crate) fn look(&mut self) -> Result<(), CatalogError> {
        if self.telling.as_ref().is_some_and(|telling| !telling.is_finished())
            || self.not_before.is_some_and(|time| time > Instant::now())
        {
            return Ok(());
        }
        let notices = self.store.catalog().read_jobs(|ledger| ledger.notices())?;
        if notices.is_empty() {
            self.telling = None;
            return Ok(());
        }
        self.not_before = Some(Instant::now() + AGAIN_AFTER);
        let store = self.store.clone();
        self.telling = Some(tokio::spawn(async move { tell_all(&store, notices).await }));
        Ok(())
    }

    /// Tells what there is to tell, once.
    pub(crate) async fn settle(&mut self) {
        self.not_before = None;
        if let Err(error) = self.look() {
            log::warn!("failures were not told: {error}");
        }
        if let Some(telling) = self.telling.take() {
            let _ = telling.await;
        }
    }
}

async fn tell_all(store: &Store, notices: Vec<(JobRun, String)>) {
    for (run, target) in notices {
        let told = tokio::time::timeout(PATIENCE, tell(&run, &target)).await;
        let told = told.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())));
        let line = match &told {
            Ok(()) => format!("{target} was told that the run failed"),
            Err(error) => format!("{target} could not be told that the run failed: {error}"),
        };
        let at = nightjar_statements::now().timestamp_micros();
        let written = tokio::task::block_in_place(|| {
            store.catalog().change_jobs::<_, CatalogError>(|ledger| {
                ledger.log(run.run_id, run.attempt, at, &line)?;
                if told.is_ok() { ledger.put_notice(run.run_id, None) } else { Ok(()) }
            })
        });
        if let Err(error) = written {
            log::warn!("{line}; the ledger does not know: {error}");
        }
    }
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
    if target.starts_with("http://") || target.starts_with("https://") {
        let target = target.to_owned();
        let posted = tokio::task::spawn_blocking(move || {
            let config = ureq::config::Config::builder().timeout_global(Some(PATIENCE)).build();
            let request = config.new_agent().post(&target).header("Content-Type", "application/json");
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
