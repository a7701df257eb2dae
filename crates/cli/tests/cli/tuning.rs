//! Training by gradient as a process: killed, interrupted, resumed, two at once.

use std::process::Child;
use std::time::{Duration, Instant};

use crate::Nightjar;

/// A training of some twenty rounds on rows that differ in their last words.
const CREATE: &str = "CREATE MODEL m FROM 'tiny' FINE_TUNE ON (\
    SELECT CASE WHEN v % 3 = 0 THEN 'the phone is great ' WHEN v % 3 = 1 THEN 'the hotel is awful ' ELSE 'a book ' END \
    || CAST(v AS VARCHAR) || repeat(' really', CAST(v % 11 AS BIGINT)) AS text, \
    CASE WHEN v % 3 = 0 THEN 'good' WHEN v % 3 = 1 THEN 'bad' ELSE 'other' END AS label FROM generate_series(1, 6000) t(v)) \
    WITH (method = 'full', epochs = 3, rounds_per_epoch = 8, learning_rate = 1e-3, seed = 5";

fn create(more: &str) -> String {
    format!("{CREATE}{more})")
}

/// Returns the digests of the model's encoder and of what else the version has.
fn digests(nightjar: &Nightjar) -> String {
    nightjar.sql("SELECT version, digest FROM nightjar.model_versions WHERE model = 'm'")
}

fn signal(child: &Child, name: &str) {
    let sent = std::process::Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Waits until the run has done as many rounds, or has ended.
fn wait_for_rounds(nightjar: &Nightjar, rounds: u64, child: &mut Child) -> bool {
    let begun = Instant::now();
    let history = nightjar.path("store/runs/1/history.json");
    while begun.elapsed() < Duration::from_secs(120) {
        let done = std::fs::read_to_string(&history).ok();
        let done =
            done.and_then(|json| serde_json::from_str::<serde_json::Value>(&json).ok()?["rounds"].as_u64());
        if done.unwrap_or(0) >= rounds {
            return true;
        }
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("the training makes no progress");
}

#[cfg(unix)]
#[test]
fn a_training_that_is_killed_again_and_again_ends_with_the_same_bits() {
    for options in [", shards = 1", ", shards = 2", ", shards = 2, freeze_layers = 1"] {
        let statement = create(options);
        let whole = Nightjar::new().with_tiny_model();
        whole.sql(&statement);
        let nightjar = Nightjar::new().with_tiny_model();
        // At once, while rows are prepared, and then in the middle of one round after the other.
        for (rounds, more_ms) in [(0, 30), (0, 250), (1, 0), (2, 37), (5, 61), (9, 13), (16, 80), (23, 20)] {
            let mut child = nightjar.command(&["-q", "sql", "-c", &statement]).spawn().unwrap();
            if !wait_for_rounds(&nightjar, rounds, &mut child) {
                child.wait().unwrap();
                break;
            }
            std::thread::sleep(Duration::from_millis(more_ms));
            signal(&child, "-KILL");
            child.wait().unwrap();
            let status = nightjar.sql("SELECT DISTINCT status FROM nightjar.training_runs");
            assert!(
                status.contains("resumable") || status.contains("done") || status.lines().count() < 5,
                "{status}"
            );
        }
        let ran = nightjar.run(&["-q", "sql", "-c", &statement]);
        assert!(ran.status == Some(0) || ran.stderr.contains("exists"), "{ran:?}");
        assert_eq!(digests(&nightjar), digests(&whole), "{options}");
        let runs = nightjar.sql("SELECT status, count(*) FROM nightjar.training_runs GROUP BY status");
        assert!(runs.contains("done") && !runs.contains("resumable"), "{runs}");
        let metrics = "SELECT step, name, value FROM nightjar.training_metrics WHERE name NOT LIKE '%per_second' \
            AND run_id = 1 ORDER BY step, name";
        assert_eq!(nightjar.sql(metrics), whole.sql(metrics), "what is recorded is the same too");
        let kept: Vec<_> = std::fs::read_dir(nightjar.path("store/runs/1"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert!(
            !kept.iter().any(|name| ["states", "features", "frozen"].iter().any(|gone| name == gone)),
            "{kept:?}"
        );
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_a_run_that_resume_training_ends() {
    let nightjar = Nightjar::new().with_tiny_model();
    let statement = create("");
    let mut child = nightjar.command(&["sql", "-c", &statement]).spawn().unwrap();
    assert!(wait_for_rounds(&nightjar, 2, &mut child));
    signal(&child, "-INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("can go on: RESUME TRAINING OF m"), "{told}");
    let states = nightjar.sql("SELECT run_id, status, error FROM nightjar.training_runs");
    assert!(states.contains("resumable"), "{states}");
    nightjar.sql("RESUME TRAINING OF m");
    let states = nightjar.sql("SELECT run_id, status, version FROM nightjar.training_runs");
    assert!(states.contains("done") && !states.contains("resumable"), "{states}");
    let whole = Nightjar::new().with_tiny_model();
    whole.sql(&statement);
    assert_eq!(digests(&nightjar), digests(&whole));
}

/// A single round, which takes longer than a statement may take to say how it can go on: training notices between two steps.
#[cfg(unix)]
#[test]
fn ctrl_c_in_the_middle_of_a_round_does_not_wait_for_its_end() {
    let nightjar = Nightjar::new().with_tiny_model();
    let statement = CREATE.replace("6000", "40000").replace("rounds_per_epoch = 8", "rounds_per_epoch = 1");
    let mut child = nightjar.command(&["sql", "-c", &format!("{statement})")]).spawn().unwrap();
    let (begun, plan) = (Instant::now(), nightjar.path("store/runs/1/training.json"));
    while !plan.exists() {
        assert!(begun.elapsed() < Duration::from_secs(120) && child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, "-INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("can go on: RESUME TRAINING OF m"), "{told}");
    let states = nightjar.sql("SELECT status, error FROM nightjar.training_runs");
    assert!(states.contains("resumable"), "{states}");
    let rounds = nightjar.path("store/runs/1/history.json");
    let rounds = std::fs::read_to_string(rounds).unwrap_or_default();
    assert!(!rounds.contains("\"rounds\":1"), "the round has not ended: {rounds}");
}

#[cfg(unix)]
#[test]
fn two_that_resume_one_run_do_not_both_write_it() {
    let nightjar = Nightjar::new().with_tiny_model();
    let statement = create("");
    let mut child = nightjar.command(&["-q", "sql", "-c", &statement]).spawn().unwrap();
    assert!(wait_for_rounds(&nightjar, 1, &mut child));
    signal(&child, "-KILL");
    child.wait().unwrap();
    let mut children: Vec<Child> = (0..2)
        .map(|_| nightjar.command(&["-q", "sql", "-c", "RESUME TRAINING OF m"]).spawn().unwrap())
        .collect();
    let outputs: Vec<_> = children.drain(..).map(|child| child.wait_with_output().unwrap()).collect();
    let won = outputs.iter().filter(|output| output.status.success()).count();
    assert_eq!(won, 1, "{outputs:?}");
    let lost = outputs.iter().find(|output| !output.status.success()).unwrap();
    let message = String::from_utf8_lossy(&lost.stderr).into_owned();
    assert!(message.contains("run 1"), "{message}");
}
