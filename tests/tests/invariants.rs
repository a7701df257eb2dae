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

/// A room of the house: what it may be built on. Nothing else is allowed.
struct Room {
    name: &'static str,
    /// Of our crates.
    on: &'static [&'static str],
    /// Of the families that are watched.
    families: &'static [&'static [&'static str]],
}

const HUBS: &[&str] = &["hf-hub"];
const HTTP: &[&str] = &["ureq", "reqwest", "hyper", "axum", "tokio-rustls"];
const BALLISTA: &[&str] = &["ballista", "ballista-core", "ballista-scheduler", "ballista-executor", "tonic"];
const PARSER: &[&str] = &["datafusion-sql", "datafusion-common"];
const DATAFUSION: &[&str] = &["datafusion", "datafusion-spark", "datafusion-proto", "arrow", "parquet"];
const BUCKETS: &[&str] = &["object_store", "hdfs-native-object-store"];
const SQLITE: &[&str] = &["rusqlite"];
const CANDLE: &[&str] = &["candle-core", "candle-nn"];
const THREADS: &[&str] = &["tokio", "rayon"];
const TERMINAL: &[&str] = &["clap", "indicatif", "rustyline"];
const WATCHED: &[&[&str]] =
    &[HUBS, HTTP, BALLISTA, PARSER, DATAFUSION, BUCKETS, SQLITE, CANDLE, THREADS, TERMINAL];

/// Every crate, in the order of the arrows.
const HOUSE: &[Room] = &[
    Room { name: "errors", on: &[], families: &[] },
    Room { name: "names", on: &["errors"], families: &[] },
    Room { name: "kernels", on: &[], families: &[] },
    Room { name: "models", on: &["errors", "kernels"], families: &[CANDLE, &["rayon"]] },
    Room { name: "catalog", on: &["errors", "names", "models"], families: &[HUBS, BUCKETS, SQLITE, THREADS] },
    Room {
        name: "functions",
        on: &["errors", "names", "models", "catalog"],
        families: &[DATAFUSION, &["tokio"]],
    },
    Room { name: "zones", on: &[], families: &[] },
    // It decides: no clock, no disk, no thread.
    Room { name: "jobs", on: &["zones"], families: &[] },
    // Builds in a quarter of the time of the whole: no models, no physical plans.
    Room { name: "sql", on: &["errors", "names", "jobs"], families: &[PARSER] },
    Room {
        name: "statements",
        on: &["errors", "names", "models", "catalog", "functions", "jobs", "sql"],
        families: &[DATAFUSION, &["tokio"]],
    },
    Room {
        name: "engine",
        on: &["errors", "names", "models", "catalog", "functions", "zones", "sql", "statements"],
        families: &[DATAFUSION, BUCKETS, THREADS],
    },
    Room {
        name: "cluster",
        on: &["errors", "catalog", "functions", "statements", "engine"],
        families: &[DATAFUSION, BALLISTA, THREADS, &["ureq"]],
    },
    Room {
        name: "server",
        on: &["errors", "catalog", "zones", "jobs", "sql", "statements", "engine", "cluster"],
        families: &[DATAFUSION, HTTP, &["tokio"]],
    },
    Room {
        name: "cli",
        on: &[
            "errors",
            "names",
            "catalog",
            "functions",
            "zones",
            "sql",
            "statements",
            "engine",
            "cluster",
            "server",
        ],
        families: &[DATAFUSION, TERMINAL, &["tokio"]],
    },
];

#[test]
fn crates_are_built_on_what_the_house_allows() {
    let found = dependencies();
    let mut wrong = Vec::new();
    let outside = ["nightjar-tests", "nightjar-examples", "nightjar-benches", "nightjar-encode-bench"];
    let ours = found.iter().filter(|(name, _)| name.starts_with("nightjar-"));
    for (name, needed) in ours.filter(|(name, _)| !outside.iter().any(|other| name.starts_with(other))) {
        let Some(room) = HOUSE.iter().find(|room| name[9..] == *room.name) else {
            wrong.push(format!("{name} has no entry in the house"));
            continue;
        };
        for other in needed {
            let allowed = match other.strip_prefix("nightjar-") {
                Some(other) => room.on.contains(&other),
                None => {
                    let is_watched = WATCHED.iter().any(|family| family.contains(&other.as_str()));
                    !is_watched || room.families.iter().any(|family| family.contains(&other.as_str()))
                }
            };
            if !allowed {
                wrong.push(format!("{name} → {other}"));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that the house does not have: {wrong:?}");
    // The arrows that are allowed are those that exist, and they point one way.
    for (at, room) in HOUSE.iter().enumerate() {
        let needed = &found[&format!("nightjar-{}", room.name)];
        for other in room.on {
            assert!(needed.contains(&format!("nightjar-{other}")), "{} → {other} is not used", room.name);
            assert!(HOUSE[..at].iter().any(|earlier| earlier.name == *other), "{} → {other}", room.name);
        }
    }
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
    for kind in nightjar_sql::STATEMENTS {
        assert!(specified.contains(kind.name), "no slt file runs {}", kind.name);
    }
}
