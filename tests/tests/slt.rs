//! Runs every `sql/*.slt`, the specification of behaviour, each on a store of its own.
//!
//! - `$TINY` is the folder of a tiny model's files, `$FIXTURES` that of the fixture files, `$SCRATCH` one to write to.
//! - `connection NAME` before a record runs it in another session on the same store, as another process would.
//! - `TEST REMOVE 'path'` removes a file.
//! - An expected error is the message and the hint: `message; hint: …`.
//! - `skipif nightjar` under a line `# BUG: …` is what should be and isn't yet; NIGHTJAR_SLT_BUGS=1 runs those too.
//! - Each file runs twice: in one process, and on a cluster of a scheduler and two executors. There EXPLAIN is left out,
//!   because plans show where they run (`tests/cluster.rs` has some), and rows are compared in any order where no ORDER BY
//!   gives them one. `skipif cluster` under a line with the reason leaves a record out.
//! - `NIGHTJAR_SLT=name cargo test -p nightjar-tests --test slt` runs only the files whose name begins with `name`;
//!   `NIGHTJAR_SLT_UPDATE=1` writes what came out into the files: read the difference before you keep it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::time::Instant;

use nightjar_tests::{Cluster, Database, Fixtures, Places, SqlType, TestStore, block_on};
use sqllogictest::{
    QueryExpect, Record, Runner, SortMode, default_normalizer, default_validator, strict_column_validator,
};

/// Where a file's statements run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Topology {
    /// In this process.
    Local,
    /// In a scheduler and two executors.
    Cluster,
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sql");
    let only = std::env::var("NIGHTJAR_SLT").unwrap_or_default();
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder sql")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "slt"))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&only)))
        .collect();
    files.sort();
    files
}

/// Returns the record as it holds on a cluster; None for one that shows a plan.
fn on_cluster(mut record: Record<SqlType>) -> Option<Record<SqlType>> {
    if let Record::Statement { sql, .. } | Record::Query { sql, .. } = &record
        && sql.trim_start().to_uppercase().starts_with("EXPLAIN")
    {
        return None;
    }
    if let Record::Query { sql, expected: QueryExpect::Results { sort_mode, results, .. }, .. } = &mut record
    {
        let sql = sql.to_uppercase();
        if ["SELECT", "WITH"].iter().any(|word| sql.starts_with(word)) && !sql.contains("ORDER BY") {
            *sort_mode = Some(SortMode::RowSort);
            results.sort_unstable();
        }
    }
    Some(record)
}

/// Returns what went wrong in a file, or writes what came out into it.
async fn run(file: &Path, fixtures: &Path, topology: Topology) -> Result<(), String> {
    let store = TestStore::new(1);
    let cluster = match topology {
        Topology::Local => None,
        Topology::Cluster => Some(Cluster::start(&store, 2).await),
    };
    let places = Places(vec![
        ("$TINY", store.tiny()),
        ("$SCRATCH", store.scratch()),
        ("$STORE", store.root()),
        ("$FIXTURES", fixtures.to_owned()),
    ]);
    let mut runner = Runner::new(|| {
        let (store, cluster, places) = (&store, cluster.as_ref(), places.clone());
        async move {
            let session = match cluster {
                Some(cluster) => cluster.session(store).await,
                None => store.session(),
            };
            Ok(Database::new(session, places))
        }
    });
    runner.with_column_validator(strict_column_validator);
    if topology == Topology::Cluster {
        runner.add_label("cluster");
    } else if std::env::var_os("NIGHTJAR_SLT_UPDATE").is_some() {
        return runner
            .update_test_file(file, " ", default_validator, default_normalizer, strict_column_validator)
            .await
            .map_err(|error| format!("{}: {error}", file.display()));
    }
    let mut text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    if topology == Topology::Cluster {
        // Texts are no views there: shuffle files would hold the pages behind them whole.
        text = text.replace("Utf8View", "Utf8");
    }
    let path = format!("sql/{}", file.file_name().unwrap_or_default().to_string_lossy());
    let records = sqllogictest::parse_with_name(&text, path).map_err(|error| error.to_string())?;
    let mut failures = Vec::new();
    for record in records {
        if matches!(record, sqllogictest::Record::Halt { .. }) {
            break;
        }
        let record = match topology {
            Topology::Local => Some(record),
            Topology::Cluster => on_cluster(record),
        };
        let Some(record) = record else { continue };
        // One failed record does not hide the others.
        if let Err(error) = runner.run_async(record).await {
            failures.push(error.to_string());
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

#[test]
fn every_slt_file() {
    block_on(run_all(Topology::Local));
}

#[test]
fn every_slt_file_on_a_cluster() {
    block_on(run_all(Topology::Cluster));
}

async fn run_all(topology: Topology) {
    let fixtures = Fixtures::write().await;
    let files = files();
    assert!(!files.is_empty(), "no slt file is called so");
    let mut failures = Vec::new();
    for file in &files {
        let started = Instant::now();
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let result = run(file, &fixtures.path(), topology).await;
        let verdict = if result.is_ok() { "ok" } else { "FAILED" };
        eprintln!("{name} ({topology:?}): {verdict} in {:.1} s", started.elapsed().as_secs_f64());
        failures.extend(result.err().map(|failure| format!("==== {name} ====\n{failure}")));
    }
    assert!(
        failures.is_empty(),
        "{} of {} files differ\n\n{}",
        failures.len(),
        files.len(),
        failures.join("\n")
    );
}
