//! The rules of the house that no compiler checks, read from the manifests and the sources. ARCHITECTURE.md gives the
//! reasons.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const MAX_LINES: usize = 700;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// Returns what each of our crates depends on when it is built, tests aside.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--offline", "--no-deps"])
        .current_dir(workspace())
        .output()
        .expect("cargo metadata runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    packages
        .iter()
        .map(|package| {
            let needed = package["dependencies"].as_array().expect("dependencies").iter();
            // A dependency's kind is null where it is neither for tests nor for the build script.
            let needed = needed.filter(|dependency| dependency["kind"].as_str() != Some("dev"));
            (text(&package["name"]), needed.map(|dependency| text(&dependency["name"])).collect())
        })
        .collect()
}

#[test]
fn arrows_that_must_not_exist_do_not() {
    const NETWORK: &[&str] = &["hf-hub", "ureq", "reqwest", "hyper", "tonic"];
    const BALLISTA: &[&str] =
        &["nightjar-cluster", "ballista", "ballista-core", "ballista-scheduler", "ballista-executor"];
    const ARROW: &[&str] = &["datafusion", "datafusion-spark", "arrow", "parquet"];
    let forbidden: &[(&str, &[&[&str]])] = &[
        (
            "nightjar-models",
            &[
                NETWORK,
                ARROW,
                &["object_store", "tokio", "rusqlite", "nightjar-catalog", "nightjar-functions"],
            ],
        ),
        ("nightjar-models", &[&["nightjar-statements", "nightjar-engine", "nightjar-cli"]]),
        (
            "nightjar-kernels",
            &[NETWORK, ARROW, &["candle-core", "nightjar-models", "object_store", "rayon", "tokio"]],
        ),
        ("nightjar-catalog", &[ARROW, &["candle-core", "candle-nn"]]),
        (
            "nightjar-catalog",
            &[&["nightjar-functions", "nightjar-statements", "nightjar-engine", "nightjar-cli"]],
        ),
        (
            "nightjar-functions",
            &[NETWORK, &["nightjar-statements", "nightjar-engine", "nightjar-cli", "candle-core"]],
        ),
        (
            "nightjar-zones",
            &[
                NETWORK,
                ARROW,
                &["tokio", "rusqlite", "nightjar-jobs", "nightjar-statements", "nightjar-engine"],
            ],
        ),
        // It decides: no clock, no disk, no thread.
        (
            "nightjar-jobs",
            &[NETWORK, ARROW, &["tokio", "rusqlite", "nightjar-statements", "nightjar-engine"]],
        ),
        ("nightjar-statements", &[NETWORK, BALLISTA, &["nightjar-engine", "nightjar-cli", "candle-core"]]),
        ("nightjar-engine", &[NETWORK, BALLISTA, &["nightjar-cli", "candle-core", "clap", "indicatif"]]),
        ("nightjar-server", &[&BALLISTA[1..], &["nightjar-cli", "candle-core", "rusqlite", "clap"]]),
        ("nightjar-cluster", &[&["nightjar-cli", "nightjar-server", "candle-core", "rusqlite", "clap"]]),
        ("nightjar-cli", &[NETWORK, &BALLISTA[1..]]),
    ];
    let found = dependencies();
    let mut wrong = Vec::new();
    for (name, lists) in forbidden {
        let needed =
            found.get(*name).unwrap_or_else(|| panic!("there is no crate {name}: {:?}", found.keys()));
        let lists = lists.iter().flat_map(|list| list.iter());
        wrong.extend(lists.filter(|other| needed.contains(**other)).map(|other| format!("{name} → {other}")));
    }
    assert!(wrong.is_empty(), "arrows that must not exist: {wrong:?}");
    // The test can fail: it sees the arrows that do exist.
    assert!(
        found["nightjar-catalog"].contains("nightjar-models") && found["nightjar-catalog"].contains("hf-hub")
    );
    assert!(
        found["nightjar-engine"].contains("nightjar-statements")
            && found["nightjar-engine"].contains("datafusion")
    );
}

/// A source file of ours: its path from the workspace, and its text.
struct Source {
    path: String,
    text: String,
}

/// Returns every Rust file of the crates' `src` folders.
fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = std::fs::read_dir(workspace().join("crates"))
        .expect("the crates")
        .map(|entry| entry.expect("a readable folder").path().join("src"))
        .chain(["tests/src", "examples/src"].map(|folder| workspace().join(folder)))
        .filter(|folder| folder.is_dir())
        .collect();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = std::fs::read_to_string(&path).expect("a readable file");
                let path =
                    path.strip_prefix(workspace()).expect("a path inside").to_string_lossy().into_owned();
                found.push(Source { path, text });
            }
        }
    }
    assert!(found.len() > 50, "the sources are found: {}", found.len());
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Returns the code of a file line by line, with its number: no comments, and not its unit tests.
fn code(source: &Source) -> impl Iterator<Item = (usize, &str)> {
    source
        .text
        .lines()
        .take_while(|line| line.trim() != "#[cfg(test)]")
        .enumerate()
        .map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default()))
}

/// Returns the places where a word stands by itself in code, outside the files that may have it.
fn uses(sources: &[Source], word: &str, allowed: &[&str]) -> Vec<String> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| !allowed.contains(&source.path.as_str())) {
        for (number, line) in code(source) {
            let whole = line.match_indices(word).any(|(at, _)| {
                let before = line[..at].chars().next_back();
                let after = line[at + word.len()..].chars().next();
                !before.is_some_and(is_word) && !after.is_some_and(is_word)
            });
            if whole {
                found.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    found
}

#[test]
fn files_are_short() {
    let sources = sources();
    let long: Vec<String> = sources
        .iter()
        .map(|source| (source, source.text.lines().count()))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(source, lines)| format!("{} has {lines} lines", source.path))
        .collect();
    assert!(long.is_empty(), "files above {MAX_LINES} lines, to be cut by what they do: {long:?}");
}

#[test]
fn crate_fronts_hold_no_code() {
    let fronts: Vec<Source> =
        sources().into_iter().filter(|source| source.path.ends_with("/lib.rs")).collect();
    assert!(fronts.len() >= 5, "the crates' fronts are found");
    for front in &fronts {
        assert!(front.text.starts_with("//!"), "{} begins with the crate's documentation", front.path);
    }
    let mut wrong = Vec::new();
    for word in ["fn", "struct", "enum", "impl", "static", "macro_rules"] {
        wrong.extend(uses(&fronts, word, &[]));
    }
    assert!(
        wrong.is_empty(),
        "lib.rs holds documentation, modules and re-exports only:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn unsafe_stands_where_the_architecture_allows_it() {
    let sources = sources();
    const ALLOWED: &str = "crates/models/src/weights.rs";
    let allowed = |source: &Source| source.path == ALLOWED || source.path.starts_with("crates/kernels/");
    let (allowed, others): (Vec<_>, Vec<_>) = sources.into_iter().partition(allowed);
    let wrong = uses(&others, "unsafe", &[]);
    assert!(wrong.is_empty(), "unsafe outside the kernels and {ALLOWED}:\n{}", wrong.join("\n"));
    assert!(!uses(&allowed, "unsafe", &[]).is_empty(), "the test can fail");
    for source in allowed {
        let blocks = source.text.matches("unsafe {").count();
        assert!(
            source.text.matches("SAFETY:").count() >= blocks,
            "{}: each block says why it is sound",
            source.path
        );
    }
}

#[test]
fn only_the_engine_registers_anything() {
    let sources = sources();
    const REGISTRATION: &str = "crates/engine/src/registration.rs";
    let rules: &[(&str, &[&str])] = &[
        ("SessionStateBuilder", &[REGISTRATION]),
        ("register_udf", &[REGISTRATION]),
        ("register_udaf", &[REGISTRATION]),
        ("register_udwf", &[REGISTRATION]),
        ("register_udtf", &[REGISTRATION]),
        ("add_analyzer_rule", &[REGISTRATION]),
        ("add_optimizer_rule", &[REGISTRATION]),
        ("add_physical_optimizer_rule", &[REGISTRATION]),
        ("with_query_planner", &[REGISTRATION]),
        ("register_catalog_list", &["crates/engine/src/session.rs"]),
        ("register_catalog", &["crates/engine/src/session.rs"]),
    ];
    let mut wrong = Vec::new();
    for (word, allowed) in rules {
        wrong.extend(uses(&sources, word, allowed));
    }
    assert!(wrong.is_empty(), "registered outside {REGISTRATION}:\n{}", wrong.join("\n"));
    let registration: Vec<Source> =
        sources.into_iter().filter(|source| source.path == REGISTRATION).collect();
    assert!(!uses(&registration, "SessionStateBuilder", &[]).is_empty(), "the test sees what is there");
}

#[test]
fn only_the_catalog_the_cluster_and_the_server_use_the_network() {
    let sources = sources();
    const ALLOWED: &[&str] =
        &["crates/catalog/src/sources/", "crates/cluster/src/", "crates/server/src/", "tests/src/bin/"];
    let outside: Vec<Source> = sources
        .into_iter()
        .filter(|source| !ALLOWED.iter().any(|allowed| source.path.starts_with(allowed)))
        .collect();
    let mut wrong = Vec::new();
    for word in ["ureq", "hf_hub", "reqwest", "TcpStream", "TcpListener"] {
        wrong.extend(uses(&outside, word, &[]));
    }
    assert!(wrong.is_empty(), "the network outside {ALLOWED:?}:\n{}", wrong.join("\n"));
}

#[test]
fn jobs_are_decided_without_a_clock() {
    let (jobs, others): (Vec<_>, Vec<_>) =
        sources().into_iter().partition(|source| source.path.starts_with("crates/jobs/src/"));
    let words = ["SystemTime", "Instant", "Utc::now", "Local", "fs", "thread"];
    let wrong: Vec<String> = words.iter().flat_map(|word| uses(&jobs, word, &[])).collect();
    assert!(!jobs.is_empty() && wrong.is_empty(), "a clock, a disk or a thread:\n{}", wrong.join("\n"));
    assert!(!uses(&others, "SystemTime", &[]).is_empty(), "the test can fail");
}

#[test]
fn object_stores_are_opened_in_one_place() {
    let (allowed, others): (Vec<_>, Vec<_>) = sources()
        .into_iter()
        .partition(|source| source.path.starts_with("crates/catalog/src/object_stores/"));
    let words = ["AmazonS3Builder", "HttpBuilder", "HdfsObjectStoreBuilder", "LocalFileSystem"];
    let wrong: Vec<String> = words.iter().flat_map(|word| uses(&others, word, &[])).collect();
    assert!(wrong.is_empty(), "object stores opened elsewhere:\n{}", wrong.join("\n"));
    assert!(!uses(&allowed, "AmazonS3Builder", &[]).is_empty(), "the test can fail");
}

#[test]
fn every_function_and_statement_has_its_slt() {
    let folder = workspace().join("sql");
    let mut specified = String::new();
    for entry in std::fs::read_dir(folder).expect("the folder sql") {
        let path = entry.expect("a readable folder").path();
        // Beside them is a folder with TPC-H's queries.
        if path.extension().is_some_and(|ending| ending == "slt") {
            specified.push_str(&std::fs::read_to_string(path).expect("an slt file"));
        }
    }
    for doc in nightjar_functions::registry::docs() {
        assert!(specified.contains(&format!("{}(", doc.name)), "no slt file calls {}", doc.name);
    }
    for function in nightjar_functions::registry::MODEL_FUNCTIONS {
        let name = function.doc.name;
        assert!(specified.contains(&format!("try_{name}(")), "no slt file calls try_{name}");
    }
    for kind in nightjar_statements::STATEMENTS {
        assert!(specified.contains(kind.name), "no slt file runs {}", kind.name);
    }
}
