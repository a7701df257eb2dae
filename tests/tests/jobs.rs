//! Jobs with the very binary: a daemon that is killed at any moment, one that waits, one that drains; runs that fail, are cancelled, take too long;
//! who is told.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(unix)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nightjar_catalog::{JobRun, JobSkip, Store};
use nightjar_tests::{Process, binary};

const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a store, and the command on it.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(args).current_dir(self.path()).env("NIGHTJAR_STORE", self.path().join("store"));
        command.env_remove("NIGHTJAR_CLUSTER").env_remove("NIGHTJAR_TOKEN");
        command
    }

    fn sql(&self, sql: &str) -> String {
        let output = self.command(&["sql", "--format", "csv", "-c", sql]).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{sql}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    fn daemon(&self) -> Child {
        self.command(&["serve", "--no-http"]).stderr(Stdio::null()).spawn().unwrap()
    }

    fn store(&self) -> Store {
        Store::open(self.path().join("store").to_str()).unwrap()
    }

    fn runs(&self) -> Vec<JobRun> {
        let mut runs = self.store().catalog().read_jobs(|ledger| ledger.runs(None, 100_000)).unwrap();
        runs.reverse();
        runs
    }

    fn skips(&self) -> Vec<JobSkip> {
        self.store().catalog().read_jobs(|ledger| ledger.skips(None)).unwrap()
    }

    /// Waits until the runs are as asked.
    fn wait_for(&self, what: &str, found: impl Fn(&[JobRun]) -> bool) -> Vec<JobRun> {
        let began = Instant::now();
        loop {
            let runs = self.runs();
            if found(&runs) {
                return runs;
            }
            assert!(began.elapsed() < PATIENCE, "not {what}: {runs:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn terminate(mut daemon: Child) {
    assert!(Command::new("kill").args(["-TERM", &daemon.id().to_string()]).status().unwrap().success());
    let began = Instant::now();
    loop {
        if let Some(status) = daemon.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            return;
        }
        assert!(began.elapsed() < PATIENCE, "the daemon does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A query that takes minutes, and hears that it is to stop.
const LONG: &str = "SELECT count(*) FROM generate_series(1, 100000000000) t(x) WHERE x % 7 = 3";

#[test]
fn a_daemon_that_is_killed_at_any_moment_loses_no_time_and_doubles_none() {
    let place = Place::new();
    std::fs::write(place.path().join("rows.csv"), "a\n1\n2\n3\n").unwrap();
    let policies = ["all", "last", "none"];
    for (index, policy) in policies.iter().enumerate() {
        place.sql(&format!(
            "CREATE JOB j{index} SCHEDULE EVERY INTERVAL '1 second' WITH (overlap = 'queue', catch_up = '{policy}') AS \
             COPY (SELECT a, :run_id AS run, :scheduled_at AS at FROM 'rows.csv') TO 'out{index}/' STORED AS PARQUET"
        ));
    }
    // Kills at moments that no two runs of the test share would tell nothing when it fails: these are always the same.
    for kill in 0..12_u64 {
        let mut daemon = place.daemon();
        std::thread::sleep(Duration::from_millis(250 + kill * 317 % 1_100));
        daemon.kill().unwrap();
        daemon.wait().unwrap();
    }
    let daemon = place.daemon();
    std::thread::sleep(Duration::from_secs(2));
    for index in 0..policies.len() {
        place.sql(&format!("PAUSE JOB j{index}"));
    }
    place.sql("SELECT 1");
    terminate(daemon);
    let mut times: BTreeMap<(String, i64), usize> = BTreeMap::new();
    for run in place.runs() {
        assert_eq!(run.scheduled_at % 1_000_000, 0, "on the wall clock: {run:?}");
        *times.entry((run.job, run.scheduled_at)).or_default() += 1;
    }
    for skip in place.skips() {
        let mut at = skip.first_at;
        while at <= skip.last_at {
            *times.entry((skip.job.clone(), at)).or_default() += 1;
            at += 1_000_000;
        }
    }
    for index in 0..policies.len() {
        let job = format!("j{index}");
        let of: Vec<(i64, usize)> = times
            .iter()
            .filter(|((name, _), _)| *name == job)
            .map(|((_, at), count)| (*at, *count))
            .collect();
        assert!(of.len() > 5, "{job}: {of:?}");
        assert!(of.iter().all(|(_, count)| *count == 1), "{job} has a time twice: {of:?}");
        assert!(of.windows(2).all(|pair| pair[1].0 - pair[0].0 == 1_000_000), "{job} lost a time: {of:?}");
    }
    assert!(place.skips().iter().all(|skip| skip.job != "j0"), "all are caught up: {:?}", place.skips());
    for run in place.runs() {
        let ended = matches!(run.status.as_str(), "succeeded" | "queued" | "waiting");
        assert!(ended, "nothing fails because a daemon is killed: {run:?}");
    }
    // What readers see is whole: three rows of each run that wrote.
    let torn = place.sql("SELECT run, count(*) FROM 'out0/' GROUP BY run HAVING count(*) % 3 <> 0");
    assert_eq!(torn.lines().count(), 1, "{torn}");
    let done = place.runs().iter().filter(|run| run.job == "j0" && run.status == "succeeded").count();
    let written = place.sql("SELECT count(DISTINCT run) AS n FROM 'out0/'");
    assert!(written.lines().nth(1).unwrap().parse::<usize>().unwrap() >= done, "{written}");
}

#[test]
fn one_daemon_works_and_the_other_waits() {
    let place = Place::new();
    place.sql("CREATE JOB j SCHEDULE EVERY INTERVAL '1 second' AS SELECT 1");
    let mut first = place.daemon();
    place.wait_for("run by the first", |runs| runs.iter().any(|run| run.status == "succeeded"));
    let second = place.daemon();
    let output = place.command(&["jobs", "run-due"]).output().unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("a daemon is at the jobs"), "{output:?}");
    first.kill().unwrap();
    first.wait().unwrap();
    let before = place.runs().len();
    place.wait_for("run by the second", |runs| runs[before..].iter().any(|run| run.status == "succeeded"));
    terminate(second);
}

#[test]
fn runs_are_cancelled_timed_out_retried_and_told() {
    let place = Place::new();
    std::fs::write(place.path().join("in.csv"), "a\n1\n").unwrap();
    let told = place.path().join("told.json");
    place.sql(&format!("CREATE JOB long SCHEDULE CRON '@yearly' WITH (retries = 0) AS {LONG}"));
    place.sql(&format!(
        "CREATE JOB slow SCHEDULE CRON '@yearly' WITH (retries = 1, retry_delay = '1 second', timeout = '1 second', \
         on_failure = 'cat > {}') AS {LONG}",
        told.display()
    ));
    place.sql("CREATE JOB reads SCHEDULE CRON '@yearly' WITH (retries = 3, retry_delay = '1 second') AS SELECT * FROM 'in.csv'");
    place.sql("CREATE JOB next SCHEDULE AFTER JOB reads AS SELECT 1");
    std::fs::remove_file(place.path().join("in.csv")).unwrap();
    let daemon = Process::start(place.command(&["serve", "--no-http"]).stderr(Stdio::null()));
    for job in ["long", "slow", "reads"] {
        place.sql(&format!("RUN JOB {job}"));
    }
    let runs = place.wait_for("at work", |runs| {
        let at_work = |job| runs.iter().any(|run: &JobRun| run.job == job && run.fence.is_some());
        at_work("long") && at_work("slow") && runs.iter().any(|run| run.job == "reads" && run.attempt > 1)
    });
    let long = runs.iter().find(|run| run.job == "long").unwrap().run_id;
    place.sql(&format!("CANCEL RUN {long}"));
    std::fs::write(place.path().join("in.csv"), "a\n1\n").unwrap();
    let runs =
        place.wait_for("over", |runs| runs.len() == 4 && runs.iter().all(|run| run.finished_at.is_some()));
    let of = |job: &str| runs.iter().find(|run| run.job == job).unwrap();
    assert_eq!(of("long").status, "cancelled");
    assert_eq!((of("slow").status.as_str(), of("slow").attempt), ("failed", 2));
    assert!(of("slow").error.as_ref().unwrap().contains("timeout"), "{:?}", of("slow"));
    assert_eq!((of("reads").status.as_str(), of("reads").error.as_ref()), ("succeeded", None));
    assert_eq!((of("next").status.as_str(), of("next").after_run), ("succeeded", Some(of("reads").run_id)));
    assert_eq!(of("next").scheduled_at, of("reads").scheduled_at);
    let began = Instant::now();
    while std::fs::read_to_string(&told).map_or(true, |text| text.is_empty()) {
        assert!(began.elapsed() < PATIENCE, "nobody is told");
        std::thread::sleep(Duration::from_millis(20));
    }
    let document = std::fs::read_to_string(&told).unwrap();
    assert!(
        document.contains("\"job\":\"slow\"") && document.contains("\"status\":\"failed\""),
        "{document}"
    );
    drop(daemon);
}

#[test]
fn a_daemon_drains_and_one_pass_runs_what_is_due() {
    let place = Place::new();
    std::fs::write(place.path().join("rows.csv"), "a\n1\n").unwrap();
    place.sql("CREATE JOB j SCHEDULE CRON '@yearly' WITH (retries = 0) AS COPY (SELECT a FROM 'rows.csv') TO 'out/' STORED AS CSV");
    place.sql("CREATE JOB k SCHEDULE AFTER JOB j WITH (retries = 0) AS SELECT * FROM 'rows.csv'");
    place.sql("RUN JOB j");
    let output = place.command(&["jobs", "run-due"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1\tj\tsucceeded\n2\tk\tsucceeded\n", "{output:?}");
    assert_eq!(place.sql("SELECT a FROM 'out/'"), "a\n1\n");
    let statements = place.store().catalog().read_jobs(|ledger| ledger.statements(Some(1))).unwrap();
    assert_eq!((statements.len(), statements[0].rows), (1, Some(1)));
    assert!(statements[0].plan.as_ref().unwrap().contains("output_rows"), "{statements:?}");
    std::fs::remove_file(place.path().join("rows.csv")).unwrap();
    place.sql("RUN JOB j");
    let output = place.command(&["jobs", "run-due"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let runs = place.runs();
    let failed = runs.iter().find(|run| run.run_id == 3).unwrap();
    assert!(failed.error.as_ref().unwrap().contains("rows.csv"), "{failed:?}");
    // SIGTERM: what is at work ends first.
    let seconds = "SELECT count(*) FROM generate_series(1, 30000) a(x), generate_series(1, 3000) b(y) WHERE x * y % 7 = 3";
    place.sql(&format!("CREATE JOB long SCHEDULE CRON '@yearly' AS {seconds}"));
    let daemon = place.daemon();
    place.sql("RUN JOB long");
    place.wait_for("at work", |runs| runs.iter().any(|run| run.job == "long" && run.fence.is_some()));
    terminate(daemon);
    let long = place.runs().into_iter().find(|run| run.job == "long").unwrap();
    assert_eq!(long.status, "succeeded", "{long:?}");
}
