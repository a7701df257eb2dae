//! A folder with a store in it, the command on it, and a clock for its jobs.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, Utc};
use nightjar_catalog::{JobRun, JobSkip, Store};

use crate::{Process, binary};

/// How long anything may take that is waited for, where the test does not say.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a store, in which `nightjar` runs as a process.
#[derive(Debug)]
pub struct JobPlace {
    folder: tempfile::TempDir,
}

impl JobPlace {
    /// Returns an empty folder.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// Returns the folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn clock(&self) -> PathBuf {
        self.path().join("clock.json")
    }

    /// Sets the clock of all processes that were begun here since the first time: it shows this time now, and goes `speed` times as fast.
    pub fn set_clock(&self, shows: &str, speed: f64) {
        let at = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
        let clock = format!(r#"{{"at": "{at}", "shows": "{shows}", "speed": {speed}}}"#);
        let new = self.path().join("clock.new");
        std::fs::write(&new, clock).expect("a new clock");
        std::fs::rename(new, self.clock()).expect("the new clock in its place");
    }

    /// Returns the command with arguments, on the store of this place and by its clock.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(args).current_dir(self.path()).env("NIGHTJAR_STORE", self.path().join("store"));
        command.env_remove("NIGHTJAR_CLUSTER").env_remove("NIGHTJAR_TOKEN").env_remove("NIGHTJAR_CLOCK");
        if self.clock().exists() {
            command.env("NIGHTJAR_CLOCK", self.clock());
        }
        command
    }

    /// Runs statements and returns what they print as CSV. Fails the test if one of them fails.
    pub fn sql(&self, sql: &str) -> String {
        let output = self.command(&["sql", "--format", "csv", "-c", sql]).output().expect("nightjar runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{sql}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Starts a daemon, which is killed when the value goes.
    pub fn daemon(&self) -> Process {
        Process::start(self.command(&["serve", "--no-http"]).stderr(Stdio::null()))
    }

    /// Starts a daemon that the test ends itself.
    pub fn serve(&self) -> Child {
        self.command(&["serve", "--no-http"]).stderr(Stdio::null()).spawn().expect("a daemon")
    }

    /// Has a daemon drain, by SIGTERM, and waits until it has ended. Fails the test if it ends otherwise than well.
    pub fn terminate(&self, mut daemon: Child) {
        let told = Command::new("kill").args(["-TERM", &daemon.id().to_string()]).status();
        assert!(told.expect("kill runs").success());
        let began = Instant::now();
        let status = loop {
            if let Some(status) = daemon.try_wait().expect("a child") {
                break status;
            }
            assert!(began.elapsed() < PATIENCE, "the daemon does not end");
            std::thread::sleep(Duration::from_millis(20));
        };
        assert!(status.success(), "{status}");
    }

    /// Whether everybody has heard who is to be told of a failed run.
    pub fn all_are_told(&self) -> bool {
        self.store().catalog().read_jobs(|ledger| ledger.notices()).expect("the notices").is_empty()
    }

    /// Starts a daemon and waits until it has looked at all jobs.
    pub fn daemon_at_work(&self) -> Process {
        let daemon = self.daemon();
        let ended = self.runs().len();
        self.sql("CREATE OR REPLACE JOB asked SCHEDULE CRON '0 0 29 2 *' AS SELECT 1; RUN JOB asked");
        self.wait_for("the daemon at work", |runs| {
            runs.len() > ended && runs.iter().all(|run| run.job != "asked" || run.finished_at.is_some())
        });
        daemon
    }

    /// Opens the store, as another process would.
    pub fn store(&self) -> Store {
        Store::open(self.path().join("store").to_str()).expect("the store opens")
    }

    /// Returns all runs, in the order in which they were made.
    pub fn runs(&self) -> Vec<JobRun> {
        let runs = self.store().catalog().read_jobs(|ledger| ledger.runs(None, 100_000));
        let mut runs = runs.expect("the runs");
        runs.reverse();
        runs
    }

    /// Returns the scheduled times of a job's runs, as the ledger has them, in order.
    pub fn times(&self, job: &str) -> Vec<String> {
        let mut times: Vec<i64> =
            self.runs().iter().filter(|run| run.job == job).map(|run| run.scheduled_at).collect();
        times.sort_unstable();
        times.into_iter().map(time_text).collect()
    }

    /// Returns what was left out of the jobs' times.
    pub fn skips(&self) -> Vec<JobSkip> {
        self.store().catalog().read_jobs(|ledger| ledger.skips(None)).expect("the skips")
    }

    /// Waits until the runs are as asked, and returns them. Fails the test after a minute.
    pub fn wait_for(&self, what: &str, found: impl Fn(&[JobRun]) -> bool) -> Vec<JobRun> {
        self.wait_within(PATIENCE, what, found)
    }

    /// As [`JobPlace::wait_for`], with another patience.
    pub fn wait_within(
        &self,
        patience: Duration,
        what: &str,
        found: impl Fn(&[JobRun]) -> bool,
    ) -> Vec<JobRun> {
        let began = Instant::now();
        loop {
            let runs = self.runs();
            if found(&runs) {
                return runs;
            }
            assert!(began.elapsed() < patience, "not {what}: {runs:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Returns microseconds since 1970 UTC as `2026-11-29T13:00:00Z`.
pub fn time_text(micros: i64) -> String {
    let time = DateTime::from_timestamp_micros(micros).expect("a time");
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
