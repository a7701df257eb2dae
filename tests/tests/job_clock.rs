//! Jobs by a clock that is put forward, put back, and goes faster, with the very binary.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(unix)]

use nightjar_catalog::JobRun;
use nightjar_tests::{JobPlace, time_text};

fn all_ended(runs: &[JobRun]) -> bool {
    runs.iter().all(|run| run.finished_at.is_some())
}

#[test]
fn a_clock_that_is_put_forward_misses_times_which_their_policies_catch_up() {
    let place = JobPlace::new();
    place.set_clock("2026-01-15T12:00:00Z", 1.0);
    for (job, schedule, catch_up) in [
        ("last_days", "CRON '0 0 31 * *'", "all"),
        ("month_ends", "CRON '0 0 L * *'", "last"),
        ("leap_days", "CRON '0 6 29 2 *'", "all"),
        // Clocks in Paris go from 2 to 3 on 29 March 2026, and from 3 to 2 on 25 October.
        ("spring", "CRON '30 2 29 3 *' AT TIME ZONE 'Europe/Paris'", "all"),
        ("autumn", "CRON '30 2 25 10 *' AT TIME ZONE 'Europe/Paris'", "all"),
        ("last", "CRON '@daily'", "last"),
        ("none", "CRON '@daily'", "none"),
    ] {
        place.sql(&format!(
            "CREATE JOB {job} SCHEDULE {schedule} WITH (catch_up = '{catch_up}', overlap = 'queue') AS SELECT 1"
        ));
    }
    let daemon = place.daemon();
    place.sql("RUN JOB last");
    place.wait_for("the daemon at work", |runs| runs.len() == 1 && all_ended(runs));
    place.set_clock("2028-03-15T12:00:00Z", 1.0);
    place.wait_for("caught up", |runs| runs.len() == 23 && all_ended(runs));
    drop(daemon);
    let thirty_firsts = |year: &str, months: &[&str]| {
        months.iter().map(|month| format!("{year}-{month}-31T00:00:00Z")).collect::<Vec<_>>()
    };
    let months = ["01", "03", "05", "07", "08", "10", "12"];
    let expected =
        [thirty_firsts("2026", &months), thirty_firsts("2027", &months), thirty_firsts("2028", &["01"])];
    assert_eq!(place.times("last_days"), expected.concat());
    assert_eq!(place.times("month_ends"), ["2028-02-29T00:00:00Z"]);
    assert_eq!(place.times("leap_days"), ["2028-02-29T06:00:00Z"]);
    // A time that is left out in spring comes at the first moment after it; one that comes twice comes once.
    assert_eq!(place.times("spring"), ["2026-03-29T01:00:00Z", "2027-03-29T00:30:00Z"]);
    assert_eq!(place.times("autumn"), ["2026-10-25T00:30:00Z", "2027-10-25T00:30:00Z"]);
    assert_eq!(place.times("last")[1..], ["2028-03-15T00:00:00Z"]);
    assert_eq!(place.times("none"), Vec::<String>::new());
    let skipped = |job: &str| {
        let skips: Vec<_> = place.skips().into_iter().filter(|skip| skip.job == job).collect();
        (skips.len(), skips.iter().map(|skip| skip.times).sum::<u64>(), time_text(skips[0].first_at))
    };
    assert_eq!(skipped("last"), (1, 789, "2026-01-16T00:00:00Z".to_owned()));
    assert_eq!(skipped("none"), (1, 790, "2026-01-16T00:00:00Z".to_owned()));
    assert!(place.skips().iter().all(|skip| skip.job != "last_days"));
}

#[test]
fn where_no_time_is_to_be_lost_none_is_left_out() {
    let place = JobPlace::new();
    place.set_clock("2026-06-01T00:00:00Z", 1.0);
    place.sql(
        "CREATE JOB first SCHEDULE CRON '0 2 * * *' WITH (catch_up = 'all') AS SELECT 1; \
         CREATE JOB second SCHEDULE AFTER JOB first AS SELECT 2",
    );
    // Away for two weeks, and there again right after a time has come.
    place.set_clock("2026-06-15T02:00:20Z", 1.0);
    let daemon = place.daemon();
    place.wait_for("both", |runs| runs.len() == 30 && all_ended(runs));
    drop(daemon);
    assert!(place.times("first") == place.times("second") && place.skips().is_empty(), "{:?}", place.skips());
}

#[test]
fn a_clock_that_is_put_back_repeats_no_time() {
    let place = JobPlace::new();
    place.set_clock("2026-11-29T10:30:00Z", 1.0);
    place.sql(
        "CREATE JOB hourly SCHEDULE CRON '0 * * * *' WITH (catch_up = 'all', overlap = 'queue') AS SELECT 1",
    );
    let daemon = place.daemon();
    place.set_clock("2026-11-29T12:30:00Z", 1.0);
    place.wait_for("11 and 12", |runs| runs.len() == 2 && all_ended(runs));
    // Back, while the daemon runs and over a new one; then on, beyond where it had been.
    place.set_clock("2026-11-29T10:59:59Z", 1.0);
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    drop(daemon);
    let daemon = place.daemon();
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(place.runs().len(), 2, "{:?}", place.runs());
    place.set_clock("2026-11-29T13:10:00Z", 1.0);
    place.wait_for("13", |runs| runs.len() == 3 && all_ended(runs));
    drop(daemon);
    let expected = ["2026-11-29T11:00:00Z", "2026-11-29T12:00:00Z", "2026-11-29T13:00:00Z"];
    assert_eq!(place.times("hourly"), expected);
}

/// A catalog that a program left behind for which Paris was an hour behind UTC, and ends in the year 2031.
#[test]
fn a_daemon_with_other_rules_of_zones_looks_for_the_next_times_anew() {
    let place = JobPlace::new();
    place.set_clock("2026-01-15T00:30:00Z", 1.0);
    for job in ["earlier", "other"] {
        place.sql(&format!(
            "CREATE JOB {job} SCHEDULE CRON '0 2 * * *' AT TIME ZONE 'Europe/Paris' AS SELECT 1"
        ));
    }
    drop(place.daemon_at_work());
    let catalog = rusqlite::Connection::open(place.path().join("store/catalog.sqlite")).unwrap();
    let wait_until = |job: &str, time: &str| {
        let time = time.parse::<chrono::DateTime<chrono::Utc>>().unwrap().timestamp_micros();
        let sql = "UPDATE jobs SET wakes_at = ?1, next_at = ?1 WHERE name = ?2";
        assert_eq!(catalog.execute(sql, (time, job)).unwrap(), 1);
    };
    let rules: String = catalog.query_row("SELECT zone_rules FROM job_lease", [], |row| row.get(0)).unwrap();
    assert_eq!(rules, nightjar_zones::rules().to_string());
    // As they are now it comes at 1:00 UTC. Who has the same rules believes what the ledger says.
    wait_until("other", "2031-01-15T03:00:00Z");
    drop(place.daemon_at_work());
    assert!(place.sql("SELECT next_run_at FROM nightjar.jobs WHERE name = 'other'").contains("2031"));
    wait_until("earlier", "2026-01-15T03:00:00Z");
    catalog.execute("UPDATE job_lease SET zone_rules = '1970a'", []).unwrap();
    let daemon = place.daemon_at_work();
    let next = place.sql("SELECT DISTINCT next_run_at FROM nightjar.jobs WHERE name <> 'asked'");
    assert!(next.contains("2026-01-15T01:00:00") && next.lines().count() == 2, "{next}");
    place.set_clock("2026-01-15T01:00:00Z", 1.0);
    let scheduled = |runs: &[JobRun]| runs.iter().filter(|run| run.job != "asked").count();
    place.wait_for("one in the morning", |runs| scheduled(runs) == 2 && all_ended(runs));
    drop(daemon);
    assert_eq!(place.times("earlier"), ["2026-01-15T01:00:00Z"]);
    assert!(place.skips().is_empty(), "{:?}", place.skips());
}

#[test]
fn hours_go_by_in_seconds() {
    let place = JobPlace::new();
    place.set_clock("2026-03-28T22:10:00Z", 3_600.0);
    place.sql(
        "CREATE JOB halves SCHEDULE CRON '*/30 * * * *' AT TIME ZONE 'Europe/Paris' \
         WITH (catch_up = 'all', overlap = 'queue') AS SELECT :scheduled_at",
    );
    let first = place.sql("SELECT next_run_at FROM nightjar.jobs");
    let daemon = place.daemon();
    place.wait_for("six hours", |runs| runs.iter().filter(|run| run.finished_at.is_some()).count() >= 12);
    drop(daemon);
    // Each half hour, also those around the hour that Paris leaves out that night.
    let times: Vec<i64> = place.runs().iter().map(|run| run.scheduled_at).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 1_800_000_000), "{:?}", place.times("halves"));
    assert!(first.contains(&time_text(times[0])[..16]), "{first} {:?}", place.times("halves"));
}

#[test]
fn a_clock_that_is_none_is_told_of() {
    let place = JobPlace::new();
    std::fs::write(place.path().join("clock.json"), "noon").unwrap();
    let output = place.command(&["jobs", "run-due"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("no clock") && said.contains("\"speed\""), "{said}");
    place.set_clock("2026-11-29T10:30:00Z", 60.0);
    let output = place.command(&["jobs", "run-due"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && said.contains("2026-11-29T10:30") && said.contains("60 times"),
        "{said}"
    );
}
