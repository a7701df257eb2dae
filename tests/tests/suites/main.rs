//! DataFusion's own sqllogictest files, run through a session of ours: `tests/suites/run.sh` fetches and runs them.
//!
//! - Each record runs in plain DataFusion first, set up as its own runner does. Where that fails, as over data that is not
//!   published with the files, the record says nothing about us and is counted apart.
//! - The wording of errors is ours: where an error is expected, any will do but a panic or an internal one.
//! - `differences.txt` lists what differs on purpose, with reasons. Everything else that differs fails the run, and so
//!   does a record that is listed and differs no longer.
//! - `NIGHTJAR_SUITES_FILES=joins,spark/math` runs only the files whose names begin so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]
// Plain DataFusion stands beside ours, with the functions that its own runner registers.
#![allow(clippy::disallowed_methods)]

mod cells;
mod differences;
mod peer;
mod tables;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use nightjar_tests::{TestStore, block_on};
use sqllogictest::{
    ExpectedError, Normalizer, QueryExpect, Record, Runner, StatementExpect, strict_column_validator,
};

use crate::peer::{Letter, Peer};

/// The folder of the files, and that of Spark's among them.
const FILES: &str = "test_files";
const SPARK: &str = "spark/";

/// What part of a volatile output a file leaves out.
const IGNORED: &str = "<slt:ignore>";

/// What became of a file's records.
#[derive(Debug, Default)]
struct Outcome {
    right: usize,
    /// Those that fail in plain DataFusion, too.
    not_counted: Vec<String>,
    /// By place.
    different: BTreeMap<String, String>,
}

#[test]
#[ignore = "takes minutes and needs the files: tests/suites/run.sh"]
fn datafusions_files() {
    let folder = std::env::var("NIGHTJAR_SUITES").expect("NIGHTJAR_SUITES: tests/suites/run.sh sets it");
    // The files name their data from there.
    std::env::set_current_dir(&folder).expect("the suites' folder");
    let root = Path::new(&folder).ancestors().nth(2).expect("the suites' folder is datafusion/sqllogictest");
    let root = root.to_string_lossy().trim_start_matches('/').to_owned();
    let outcomes = run_files(&chosen_files(), &root);
    report(outcomes);
}

/// Returns the names of the files to run.
fn chosen_files() -> Vec<String> {
    let only = std::env::var("NIGHTJAR_SUITES_FILES").unwrap_or_default();
    let mut names: Vec<String> = files(Path::new(FILES))
        .into_iter()
        .map(|path| path.strip_prefix(FILES).expect("a file of the folder").to_string_lossy().into_owned())
        .filter(|name| only.split(',').any(|prefix| name.starts_with(prefix)))
        .collect();
    names.sort();
    names
}

/// Runs the files, two at a time, each with sessions and a runtime of its own.
fn run_files(names: &[String], root: &str) -> BTreeMap<String, Outcome> {
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let work = || {
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            let started = Instant::now();
            let (file, root) = (name.clone(), root.to_owned());
            let outcome = block_on(async move { run_file(&file, &root).await });
            eprintln!(
                "{name}: {} right, {} not counted, {} differ, in {:.1} s",
                outcome.right,
                outcome.not_counted.len(),
                outcome.different.len(),
                started.elapsed().as_secs_f64()
            );
            outcomes.lock().expect("no panic holds it").insert(name.clone(), outcome);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    outcomes.into_inner().expect("no panic holds it")
}

/// Fails on what differs and is not listed, and on what is listed and does not differ.
fn report(outcomes: BTreeMap<String, Outcome>) {
    let mut listed = differences::listed();
    listed.retain(|place, _| place.rsplit_once(':').is_some_and(|(file, _)| outcomes.contains_key(file)));
    let (mut right, mut spark_right, mut not_counted, mut on_purpose) = (0, 0, 0, 0);
    let mut unlisted = Vec::new();
    for (name, outcome) in outcomes {
        *(if name.starts_with(SPARK) { &mut spark_right } else { &mut right }) += outcome.right;
        not_counted += outcome.not_counted.len();
        listed.retain(|place, _| !outcome.not_counted.contains(place));
        for (place, difference) in outcome.different {
            match listed.remove(&place) {
                Some(_) => on_purpose += 1,
                None => unlisted.push(format!("==== {place} ====\n{difference}")),
            }
        }
    }
    eprintln!(
        "core: {right} records right; spark: {spark_right} right; {on_purpose} differ on purpose, {} do not; \
         {not_counted} fail in plain DataFusion, too",
        unlisted.len(),
    );
    let stale: Vec<String> = listed.into_iter().map(|(place, reason)| format!("{place}: {reason}")).collect();
    assert!(
        unlisted.is_empty(),
        "{} records differ and are not listed:\n{}",
        unlisted.len(),
        unlisted.join("\n")
    );
    assert!(stale.is_empty(), "differences.txt lists records that do not differ:\n{}", stale.join("\n"));
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder of the files") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|ending| ending == "slt") {
            found.push(path);
        }
    }
    found
}

async fn run_file(name: &str, root: &str) -> Outcome {
    let spark = name.starts_with(SPARK);
    let plain = run_in(name, Peer::plain(spark, root)).await;
    let store = TestStore::new(1);
    let ours = run_in(name, Peer::ours(&store, spark, root)).await;
    let mut outcome = Outcome::default();
    for (place, result) in ours {
        match (plain.get(&place), result) {
            (Some(Err(_)), _) => outcome.not_counted.push(place),
            (_, Ok(())) => outcome.right += 1,
            (_, Err(difference)) => {
                outcome.different.insert(place, difference);
            }
        }
    }
    outcome
}

/// Returns what each record came to, by its place.
async fn run_in(name: &str, peer: Peer) -> BTreeMap<String, Result<(), String>> {
    let scratch = Path::new(FILES).join("scratch").join(Path::new(name).file_stem().expect("a file's name"));
    if scratch.exists() {
        std::fs::remove_dir_all(&scratch).expect("an old scratch folder goes");
    }
    std::fs::create_dir_all(&scratch).expect("a scratch folder");
    tables::register(peer.context(), name);
    let mut runner = Runner::new(|| {
        let peer = peer.clone();
        async move { Ok(peer) }
    });
    runner.add_label("Datafusion");
    runner.with_column_validator(strict_column_validator);
    runner.with_normalizer(|text| text.trim_end().to_owned());
    runner.with_validator(is_same);
    let records = sqllogictest::parse_file::<Letter>(Path::new(FILES).join(name)).expect("a file of records");
    let mut results = BTreeMap::new();
    for record in records {
        if matches!(record, Record::Halt { .. }) {
            break;
        }
        let (Record::Statement { loc, .. } | Record::Query { loc, .. }) = &record else {
            let _ = runner.run_async(record).await;
            continue;
        };
        // Lines of an included file are told by the place of the inclusion, too.
        let place = format!("{name}:{}", loc.line());
        let result = runner.run_async(any_error(record)).await.map(drop).map_err(|error| error.to_string());
        let result = peer.crash().map_or(result, Err);
        if result.is_err() || !results.contains_key(&place) {
            results.insert(place, result);
        }
    }
    results
}

/// Returns the record with any error in the place of the expected one.
fn any_error(mut record: Record<Letter>) -> Record<Letter> {
    match &mut record {
        Record::Statement { expected: StatementExpect::Error(error), .. }
        | Record::Query { expected: QueryExpect::Error(error), .. } => *error = ExpectedError::Empty,
        _ => {}
    }
    record
}

/// Whether the lines are those that are expected, but for the parts that the file leaves out.
fn is_same(normalizer: Normalizer, actual: &[Vec<String>], expected: &[String]) -> bool {
    let actual: Vec<String> = actual.iter().map(|row| row.join(" ").trim_end().to_owned()).collect();
    let expected: Vec<String> = expected.iter().map(normalizer).collect();
    if !expected.iter().any(|line| line.contains(IGNORED)) {
        return actual == expected;
    }
    let (actual, expected) = (actual.join("\n"), expected.join("\n"));
    let mut rest = actual.as_str();
    for (index, part) in expected.split(IGNORED).enumerate() {
        match rest.find(part) {
            Some(at) if index > 0 || at == 0 => rest = &rest[at + part.len()..],
            _ => return false,
        }
    }
    true
}
