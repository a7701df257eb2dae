//! Jobs with the very binary: a daemon that is killed at any moment, one that waits, one that drains; runs that fail, are cancelled, take too long.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(unix)]

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nightjar_catalog::JobRun;
use nightjar_tests::{JobPlace, Process};

const PATIENCE: Duration = Duration::from_secs(60);

/// A query that takes minutes, and hears that it is to stop.
const LONG: &str = "SELECT count(*) FROM generate_series(1, 100000000000) t(x) WHERE x % 7 = 3";

/// A number that the environment may set, for longer tests.
fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |value| value.parse().unwrap())
}

/// Makes a job for each second whose runs write three rows, or six in two statements, each with the run's number; returns how many.
fn job_that_adds(place: &JobPlace, index: usize, overlap: &str, catch_up: &str) -> usize {
    let rows = "SELECT a, :run_id AS run FROM 'rows.csv'";
    let copy = format!("COPY ({rows}) TO 'out{index}/' STORED AS PARQUET");
    let (body, written) = match index % 3 {
        0 => (copy, 3),
        1 => {
            std::fs::create_dir(place.path().join(format!("out{index}"))).unwrap();
            place.sql(&format!(
                "CREATE EXTERNAL TABLE t{index} (a BIGINT, run BIGINT) STORED AS PARQUET LOCATION 'out{index}/'"
            ));
            (format!("INSERT INTO t{index} {rows}"), 3)
        }
        _ => (format!("BEGIN {copy}; {copy}; END"), 6),
    };
    place.sql(&format!(
        "CREATE JOB j{index} SCHEDULE EVERY INTERVAL '1 second' WITH (overlap = '{overlap}', catch_up = '{catch_up}') AS {body}"
    ));
    written
}

/// Kills the daemon 12 times, with three jobs. At its full size, with an absence after which times count as missed, some minutes:
///
/// ```text
/// NIGHTJAR_TEST_KILLS=100 NIGHTJAR_TEST_JOBS=10 NIGHTJAR_TEST_AWAY_SECONDS=100 \
///     cargo test -p nightjar-tests --test jobs killed_at_any_moment -- --nocapture
/// ```
#[test]
fn a_daemon_that_is_killed_at_any_moment_loses_no_time_and_doubles_none() {
    let (kills, jobs) = (number("NIGHTJAR_TEST_KILLS", 12), number("NIGHTJAR_TEST_JOBS", 3));
    let place = JobPlace::new();
    std::fs::write(place.path().join("rows.csv"), "a\n1\n2\n3\n").unwrap();
    // Each body meets each policy where there are jobs enough.
    let overlap = |index: usize| if index % 4 == 3 { "skip" } else { "queue" };
    let catch_up = |index: usize| ["all", "last", "none"][(index + index / 3) % 3];
    let made = |index: usize| job_that_adds(&place, index, overlap(index), catch_up(index));
    let written: Vec<_> = (0..jobs).map(made).collect();
    // Kills at moments that no two runs of the test share would tell nothing when it fails: these are always the same.
    for kill in 0..kills as u64 {
        let mut daemon = place.serve();
        std::thread::sleep(Duration::from_millis(250 + kill * 317 % 1_100));
        daemon.kill().unwrap();
        daemon.wait().unwrap();
    }
    let away = number("NIGHTJAR_TEST_AWAY_SECONDS", 0);
    std::thread::sleep(Duration::from_secs(away as u64));
    let daemon = place.serve();
    std::thread::sleep(Duration::from_secs(2));
    for index in 0..jobs {
        place.sql(&format!("PAUSE JOB j{index}"));
    }
    place.terminate(daemon);
    let (runs, skips) = (place.runs(), place.skips());
    let interrupted = |error: &String| error == "the daemon ended in the middle of this attempt";
    let failed = runs.iter().find(|run| !run.error.as_ref().is_none_or(interrupted));
    assert_eq!(failed, None, "nothing fails because a daemon is killed");
    let mut times: BTreeMap<(&str, i64), usize> = BTreeMap::new();
    for run in &runs {
        assert_eq!(run.scheduled_at % 1_000_000, 0, "on the wall clock: {run:?}");
        *times.entry((&run.job, run.scheduled_at)).or_default() += 1;
    }
    for skip in &skips {
        let mut at = skip.first_at;
        while at <= skip.last_at {
            *times.entry((&skip.job, at)).or_default() += 1;
            at += 1_000_000;
        }
    }
    let interrupted = runs.iter().filter(|run| run.interruptions > 0).count();
    println!("{} runs, {interrupted} of them interrupted, {} left out", runs.len(), skips.len());
    for (index, written) in written.into_iter().enumerate() {
        let job = format!("j{index}");
        let of: Vec<(i64, usize)> = times
            .iter()
            .filter(|((name, _), _)| *name == job)
            .map(|((_, at), count)| (*at, *count))
            .collect();
        assert!(of.len() > 5, "{job}: {of:?}");
        assert!(of.iter().all(|(_, count)| *count == 1), "{job} has a time twice: {of:?}");
        assert!(of.windows(2).all(|pair| pair[1].0 - pair[0].0 == 1_000_000), "{job} lost a time: {of:?}");
        // Left out is what the policies leave out, and nothing else.
        let why = |why: &str| skips.iter().filter(|skip| skip.job == job && skip.why == why).count();
        let of_job = skips.iter().filter(|skip| skip.job == job).count();
        assert_eq!(of_job, why("missed") + why("overlap"), "{skips:?}");
        assert_eq!(why("missed") > 0, away > 65 && catch_up(index) != "all", "{job}: {skips:?}");
        assert!(why("overlap") == 0 || overlap(index) == "skip", "{job}: {skips:?}");
        // What readers see is whole, and of each run once, however often it was begun.
        let folder = place.path().join(format!("out{index}"));
        let written_to = std::fs::read_dir(&folder).is_ok_and(|mut files| files.next().is_some());
        let sql = format!("SELECT run, count(*), count(DISTINCT a) FROM 'out{index}/' GROUP BY run");
        let found = if written_to { place.sql(&sql) } else { String::new() };
        let found: BTreeMap<i64, (usize, usize)> = found
            .lines()
            .skip(1)
            .map(|line| {
                let numbers: Vec<i64> = line.split(',').map(|number| number.parse().unwrap()).collect();
                (numbers[0], (numbers[1] as usize, numbers[2] as usize))
            })
            .collect();
        for run in runs.iter().filter(|run| run.job == job) {
            let rows = found.get(&run.run_id).copied();
            match run.status.as_str() {
                "succeeded" => assert_eq!(rows, Some((written, 3)), "{run:?}"),
                // Killed between its two statements, or before the ledger knew, and not begun again so far; or given up, because the
                // daemon ended in the middle of it so often that it might be the reason.
                "queued" | "waiting" | "failed" => {
                    let whole = |(rows, a): (usize, usize)| rows % 3 == 0 && rows <= written && a == 3;
                    assert!(rows.is_none_or(whole), "{rows:?} {run:?}");
                    assert!(run.status != "failed" || run.interruptions == 5, "{run:?}");
                }
                _ => panic!("nothing fails because a daemon is killed: {run:?}"),
            }
        }
        let known = |run: &i64| runs.iter().any(|known| known.run_id == *run && known.job == job);
        assert!(found.keys().all(known), "{job} has rows of no run: {found:?}");
    }
}

/// A daemon is killed after a body has published, and before the ledger knows.
#[test]
fn a_run_that_published_before_its_daemon_was_killed_replaces_its_output() {
    let place = JobPlace::new();
    std::fs::write(place.path().join("rows.csv"), "a\n1\n2\n3\n").unwrap();
    for index in 0..3 {
        job_that_adds(&place, index, "queue", "last");
        place.sql(&format!("ALTER JOB j{index} SCHEDULE CRON '@yearly'; RUN JOB j{index}"));
    }
    let run_due = || {
        let output = place.command(&["jobs", "run-due"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    run_due();
    let store = place.store();
    let due: Vec<_> = place.runs().into_iter().filter(|run| run.cause == "request").collect();
    assert_eq!(due.len(), 3);
    for mut run in due.clone() {
        // As the ledger was a moment ago.
        assert_eq!(run.status, "succeeded");
        (run.status, run.finished_at, run.rows) = ("running".to_owned(), None, None);
        store
            .catalog()
            .change_jobs::<_, nightjar_catalog::CatalogError>(|ledger| ledger.put_run(&run))
            .unwrap();
    }
    std::fs::write(place.path().join("rows.csv"), "a\n4\n5\n").unwrap();
    run_due();
    for (index, first) in due.iter().enumerate() {
        let runs = place.runs();
        let run = runs.iter().find(|run| run.run_id == first.run_id).unwrap();
        assert_eq!((run.status.as_str(), run.attempt, run.interruptions), ("succeeded", 2, 1));
        let sql =
            format!("SELECT count(*) AS n, min(a) AS least FROM 'out{index}/' WHERE run = {}", run.run_id);
        let expected = if index == 2 { "n,least\n4,4\n" } else { "n,least\n2,4\n" };
        assert_eq!(place.sql(&sql), expected);
        // Another run of the same job adds.
        place.sql(&format!("RUN JOB j{index}"));
    }
    run_due();
    for index in 0..3 {
        let sql = format!("SELECT count(*) AS n FROM 'out{index}/' WHERE run >= {}", due[0].run_id);
        let expected = if index == 2 { "n\n8\n" } else { "n\n4\n" };
        assert_eq!(place.sql(&sql), expected);
    }
}

#[test]
fn a_run_that_ends_each_daemon_is_given_up_with_a_reason() {
    let place = JobPlace::new();
    place.sql(
        "CREATE JOB j SCHEDULE CRON '@yearly' WITH (on_failure = 'cat > told.json') AS SELECT 1; RUN JOB j",
    );
    let store = place.store();
    let mut run = place.runs().pop().unwrap();
    (run.attempt, run.interruptions, run.fence) = (6, 5, Some(0));
    store
        .catalog()
        .change_jobs::<_, nightjar_catalog::CatalogError>(|ledger| {
            assert_eq!(run.status, "running", "it waits for somebody to begin it");
            ledger.put_run(&run)
        })
        .unwrap();
    place.command(&["jobs", "run-due"]).output().unwrap();
    let run = place.runs().pop().unwrap();
    let reason = "the daemon ended in the middle of this attempt";
    assert_eq!((run.status.as_str(), run.error.as_deref()), ("failed", Some(reason)));
    let told = std::fs::read_to_string(place.path().join("told.json")).unwrap();
    assert!(told.contains(reason) && place.all_are_told(), "{told}");
}

#[test]
fn one_daemon_works_and_the_other_waits() {
    let place = JobPlace::new();
    place.sql("CREATE JOB j SCHEDULE EVERY INTERVAL '1 second' AS SELECT 1");
    let mut first = place.serve();
    place.wait_for("run by the first", |runs| runs.iter().any(|run| run.status == "succeeded"));
    let second = place.serve();
    let output = place.command(&["jobs", "run-due"]).output().unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("a daemon is at the jobs"), "{output:?}");
    first.kill().unwrap();
    first.wait().unwrap();
    let before = place.runs().len();
    place.wait_for("run by the second", |runs| runs[before..].iter().any(|run| run.status == "succeeded"));
    place.terminate(second);
}

#[test]
fn runs_are_cancelled_timed_out_retried_and_told() {
    let place = JobPlace::new();
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
    let place = JobPlace::new();
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
    let daemon = place.serve();
    place.sql("RUN JOB long");
    place.wait_for("at work", |runs| runs.iter().any(|run| run.job == "long" && run.fence.is_some()));
    place.terminate(daemon);
    let long = place.runs().into_iter().find(|run| run.job == "long").unwrap();
    assert_eq!(long.status, "succeeded", "{long:?}");
}

#[test]
fn time_that_a_run_waits_for_a_daemon_is_none_of_its_own() {
    let place = JobPlace::new();
    place.sql("CREATE JOB quick SCHEDULE CRON '@yearly' WITH (timeout = '1 second', retries = 0) AS SELECT 1; RUN JOB quick");
    std::thread::sleep(Duration::from_millis(1_500));
    let waits = place.sql("SELECT status, started_at FROM nightjar.job_runs");
    assert!(waits.ends_with("queued,\n"), "{waits}");
    let output = place.command(&["jobs", "run-due"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1\tquick\tsucceeded\n", "{output:?}");
}

#[test]
fn a_run_keeps_the_body_that_it_began_with_and_reads_nothing_that_it_has_added() {
    let place = JobPlace::new();
    std::fs::write(place.path().join("in.csv"), "id\n1\n2\n").unwrap();
    place.sql(&format!(
        "CREATE EXTERNAL TABLE t (id BIGINT) STORED AS PARQUET LOCATION '{}/t/'; \
         CREATE JOB adds SCHEDULE CRON '@yearly' WITH (retries = 3, retry_delay = '1 second') AS \
         BEGIN INSERT INTO t SELECT id FROM 'in.csv' WHERE id NOT IN (SELECT id FROM t); SELECT * FROM 'in.csv'; END",
        place.path().display()
    ));
    let daemon = place.serve();
    // The second statement fails until the file is there again, after the first has added its rows.
    place.sql("RUN JOB adds");
    place.wait_for("over", |runs| runs.iter().all(|run| run.finished_at.is_some()) && !runs.is_empty());
    assert_eq!(place.sql("SELECT count(*) FROM t"), "count(*)\n2\n");
    std::fs::write(place.path().join("more.csv"), "id\n3\n").unwrap();
    place.sql(
        "ALTER JOB adds AS BEGIN INSERT INTO t SELECT id FROM 'in.csv' WHERE id > (SELECT max(id) - 1 FROM t); \
         SELECT * FROM 'more.csv'; END",
    );
    std::fs::remove_file(place.path().join("more.csv")).unwrap();
    place.sql("RUN JOB adds");
    place.wait_for("a failed attempt", |runs| {
        runs.last().unwrap().attempt >= 1 && runs.last().unwrap().status == "waiting"
    });
    assert_eq!(place.sql("SELECT count(*), count(DISTINCT id) FROM t"), "count(*),count(DISTINCT id)\n3,2\n");
    place.sql("ALTER JOB adds AS BEGIN SELECT 1; INSERT INTO t VALUES (9); END");
    let shown = place.sql("SELECT statement FROM nightjar.jobs");
    assert!(
        shown.contains("CREATE JOB adds SCHEDULE CRON '@yearly' WITH") && shown.contains("VALUES (9)"),
        "{shown}"
    );
    std::fs::write(place.path().join("more.csv"), "id\n3\n").unwrap();
    place.wait_for("over", |runs| runs.iter().all(|run| run.finished_at.is_some()));
    place.terminate(daemon);
    assert!(place.runs().iter().all(|run| run.status == "succeeded"), "{:?}", place.runs());
    assert_eq!(place.sql("SELECT count(*), count(DISTINCT id) FROM t"), "count(*),count(DISTINCT id)\n3,2\n");
    let failed = place.sql("SELECT count(*) FROM nightjar.job_run_statements WHERE status = 'running'");
    assert_eq!(failed, "count(*)\n0\n");
}

#[test]
fn a_daemon_that_drains_is_seen_to() {
    let place = JobPlace::new();
    place.sql(&format!("CREATE JOB long SCHEDULE CRON '@yearly' WITH (retries = 0) AS {LONG}"));
    let mut command = place.command(&["serve", "--http", "127.0.0.1:0"]);
    let mut daemon = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut url = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(daemon.stdout.take().unwrap()), &mut url)
        .unwrap();
    place.sql("RUN JOB long");
    place.wait_for("at work", |runs| runs.iter().any(|run| run.fence.is_some()));
    let kill = std::process::Command::new("kill").args(["-TERM", &daemon.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let status =
        |page: &str| match ureq::get(format!("{}{page}", url.trim_end().trim_end_matches('/'))).call() {
            Ok(answer) => answer.status().as_u16(),
            Err(ureq::Error::StatusCode(status)) => status,
            Err(error) => panic!("{page}: {error}"),
        };
    let began = Instant::now();
    while status("/readyz") == 200 {
        assert!(began.elapsed() < PATIENCE, "it takes more");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(status("/healthz"), 200);
    place.sql("CANCEL RUN 1");
    assert!(daemon.wait().unwrap().success());
}
