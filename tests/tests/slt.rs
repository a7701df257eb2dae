//! Runs every `sql/*.slt`, the specification of behaviour, each on a store of its own.
//!
//! - `$TINY` is the folder of a tiny model's files, `$FIXTURES` that of the fixture files, `$SCRATCH` one to write to.
//! - `connection NAME` before a record runs it in another session on the same store, as another process would.
//! - `TEST REMOVE 'path'` removes a file.
//! - An expected error is the message and the hint: `message; hint: …`.
//! - `skipif nightjar` under a line `# BUG: …` is what should be and isn't yet; NIGHTJAR_SLT_BUGS=1 runs those too.
//! - `NIGHTJAR_SLT=name cargo test -p nightjar-tests --test slt` runs only the files whose name begins with `name`;
//!   `NIGHTJAR_SLT_UPDATE=1` writes what came out into the files: read the difference before you keep it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::time::Instant;

use nightjar_tests::{Database, Fixtures, Places, TestStore, block_on};
use sqllogictest::{Runner, default_normalizer, default_validator, strict_column_validator};

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

/// Returns what went wrong in a file, or writes what came out into it.
async fn run(file: &Path, fixtures: &Path) -> Result<(), String> {
    let store = TestStore::new(1);
    let places = Places(vec![
        ("$TINY", store.tiny()),
        ("$SCRATCH", store.scratch()),
        ("$STORE", store.root()),
        ("$FIXTURES", fixtures.to_owned()),
    ]);
    let mut runner = Runner::new(|| {
        let database = Database::new(store.session(), places.clone());
        async move { Ok(database) }
    });
    runner.with_column_validator(strict_column_validator);
    if std::env::var_os("NIGHTJAR_SLT_UPDATE").is_some() {
        return runner
            .update_test_file(file, " ", default_validator, default_normalizer, strict_column_validator)
            .await
            .map_err(|error| format!("{}: {error}", file.display()));
    }
    let records = sqllogictest::parse_file(file).map_err(|error| error.to_string())?;
    let mut failures = Vec::new();
    for record in records {
        if matches!(record, sqllogictest::Record::Halt { .. }) {
            break;
        }
        // One failed record does not hide the others.
        if let Err(error) = runner.run_async(record).await {
            failures.push(error.to_string());
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

#[test]
fn every_slt_file() {
    block_on(run_all());
}

async fn run_all() {
    let fixtures = Fixtures::write().await;
    let files = files();
    assert!(!files.is_empty(), "no slt file is called so");
    let mut failures = Vec::new();
    for file in &files {
        let started = Instant::now();
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let result = run(file, &fixtures.path()).await;
        let verdict = if result.is_ok() { "ok" } else { "FAILED" };
        eprintln!("{name}: {verdict} in {:.1} s", started.elapsed().as_secs_f64());
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
