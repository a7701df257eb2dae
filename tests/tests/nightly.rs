//! `examples/nightly` by its own schedules, two weeks in half a minute: by a clock that goes faster, across the night on which Paris puts its
//! clocks forward.
//!
//! Whether a challenger is better takes the real model: without NIGHTJAR_TEST_MODEL_DIR a tiny random one stands for it, and that is left out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]
#![cfg(unix)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use nightjar_models::testing::write_tiny_model;
use nightjar_tests::JobPlace;

/// A day in two seconds.
const SPEED: f64 = 43_200.0;

const DAYS: [&str; 14] = [
    "2026-03-23",
    "2026-03-24",
    "2026-03-25",
    "2026-03-26",
    "2026-03-27",
    "2026-03-28",
    "2026-03-29",
    "2026-03-30",
    "2026-03-31",
    "2026-04-01",
    "2026-04-02",
    "2026-04-03",
    "2026-04-04",
    "2026-04-05",
];

/// What somebody does to the labels of the second week.
const MIXED_UP: &str =
    "CASE label WHEN 'negative' THEN 'positive' WHEN 'neutral' THEN 'negative' ELSE 'neutral' END";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns a script of the example with its blanks filled in.
fn script(name: &str, blanks: &[(&str, &str)]) -> String {
    let text = std::fs::read_to_string(root().join("examples/nightly").join(name)).unwrap();
    let sample = root().join("crates/cli/data").canonicalize().unwrap();
    let text = text.replace("{sample}", sample.to_str().unwrap());
    blanks.iter().fold(text, |text, (blank, value)| text.replace(blank, value))
}

fn arrive(place: &JobPlace, number: usize, label: &str) {
    let blanks = [("{day}", DAYS[number]), ("{number}", &number.to_string()), ("{label}", label)];
    place.sql(&script("arrive.sql", &blanks));
}

/// Returns the first cell of a query's only row.
fn cell(place: &JobPlace, sql: &str) -> String {
    place.sql(sql).lines().nth(1).unwrap().to_owned()
}

#[test]
fn two_weeks_of_nights() {
    let place = JobPlace::new();
    let real = std::env::var_os("NIGHTJAR_TEST_MODEL_DIR");
    let folder = real.as_ref().map_or_else(|| place.path().join("tiny"), PathBuf::from);
    if real.is_none() {
        eprintln!(
            "a tiny model stands for all-MiniLM-L6-v2: NIGHTJAR_TEST_MODEL_DIR names no folder with it"
        );
        write_tiny_model(&folder, 71).unwrap();
    }
    place.set_clock("2026-03-23T00:00:00Z", 1.0);
    place.sql(&format!("CREATE MODEL \"all-MiniLM-L6-v2\" FROM '{}'", folder.display()));
    place.sql(&script("golden.sql", &[]));
    arrive(&place, 0, "label");
    place.sql(&script("setup.sql", &[]));
    place.set_clock("2026-03-23T00:30:00Z", SPEED);
    let daemon = place.daemon();
    // A file may come later than its day where the machine is busy: a night takes what there is, and the next one the rest.
    for number in 1..DAYS.len() {
        arrive(&place, number, if number < 7 { "label" } else { MIXED_UP });
    }
    let ended = |runs: &[nightjar_catalog::JobRun], job: &str, since: &str| {
        let since = since.parse::<chrono::DateTime<chrono::Utc>>().unwrap().timestamp_micros();
        runs.iter().any(|run| run.job == job && run.scheduled_at >= since && run.finished_at.is_some())
    };
    place.wait_within(Duration::from_secs(180), "two weeks later", |runs| {
        ["nightly_report", "weekly_tuning"].iter().all(|job| ended(runs, job, "2026-04-06T00:00:00Z"))
    });
    place.sql("PAUSE JOB weekly_tuning; PAUSE JOB nightly_labels");
    drop(daemon);

    assert!(place.runs().iter().all(|run| run.error.is_none()), "{:#?}", place.runs());
    // Two in the morning in Paris: 1 o'clock UTC in winter, midnight in summer; on the 29th that hour was left out, and its first moment after is 3.
    let nights = place.times("nightly_labels");
    let skipped = place.skips().into_iter().filter(|skip| skip.job == "nightly_labels").collect::<Vec<_>>();
    let expected = |day: usize| match day {
        ..=29 => format!("2026-03-{day}T01:00:00Z"),
        30..=31 => format!("2026-03-{day}T00:00:00Z"),
        _ => format!("2026-04-{:02}T00:00:00Z", day - 31),
    };
    if skipped.is_empty() {
        assert_eq!(nights[..15], (23..38).map(expected).collect::<Vec<_>>());
    } else {
        // Where the daemon came late to more than one night, the last of them was run.
        eprintln!("nights were missed: {skipped:?}");
    }
    // Every review has one label, and the report counts all of them.
    let reviews = cell(&place, "SELECT count(*) FROM reviews");
    assert_eq!(reviews, "1360");
    place.sql("REFRESH MATERIALIZED VIEW labelled");
    assert_eq!(cell(&place, "SELECT count(DISTINCT id) FROM labelled WHERE label IS NOT NULL"), reviews);
    assert_eq!(cell(&place, "SELECT count(*) FROM labelled"), reviews);
    assert_eq!(cell(&place, "SELECT count(*) > 0 AND min(reviews) > 0 FROM 'lake/report.csv'"), "true");
    // The challenger of each Monday was measured against the one before; what learned from mixed up labels was not promoted.
    let versions = |model: &str| {
        let sql = format!("SELECT count(*) FROM nightjar.model_versions WHERE model = '{model}'");
        cell(&place, &sql).parse::<u32>().unwrap()
    };
    assert!(versions("challenger") >= 2 && versions("sentiment") <= versions("challenger"));
    // What the operator reads of it: the log has what each statement returned.
    let last = place
        .runs()
        .into_iter()
        .rfind(|run| run.job == "weekly_tuning" && run.finished_at.is_some())
        .unwrap();
    let log = place.sql(&format!("SHOW LOG OF RUN {}", last.run_id));
    assert!(log.contains("metric: macro_f1") && log.contains("outcome: "), "{log}");
    let refreshed = cell(&place, "SELECT sum(rows) FROM nightjar.job_runs WHERE job = 'nightly_labels'");
    assert!(refreshed.parse::<u32>().unwrap() > 1_000, "rows written, not rows returned: {refreshed}");
    if real.is_some() {
        let current = "SELECT digest FROM nightjar.model_versions WHERE current AND model";
        let digest = |model: &str| cell(&place, &format!("{current} = '{model}'"));
        assert_ne!(digest("sentiment"), digest("challenger"), "a worse model was promoted");
    }
}
