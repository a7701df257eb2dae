//! Runs that can be resumed, and the folders that they go on from.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use common::{child, new_model, open};
use nightjar_catalog::{
    Digest, OnConflict, RunId, Store, Task, TrainingOutcome, TrainingStatus, TrainingWarning,
};
use nightjar_errors::Failure;

fn status(store: &Store, run: RunId) -> TrainingStatus {
    store.catalog().training_runs().unwrap()[run.0 as usize - 1].status
}

#[test]
fn a_training_that_is_running_is_not_begun_a_second_time() {
    let folder = tempfile::tempdir().unwrap();
    let (store, other) = (open(&folder), open(&folder));
    let fingerprint = Digest::of(b"one");
    let begin = |store: &Store, model, fingerprint| store.catalog().begin_training(model, "s", fingerprint);
    let first = begin(&store, "m", Some(&fingerprint)).unwrap();
    for store in [&store, &other] {
        let error = begin(store, "m", Some(&fingerprint)).unwrap_err();
        assert_eq!((error.code(), error.retryable()), ("run_busy", true));
        assert!(error.to_string().contains(&format!("run {first} of 'm'")), "{error}");
    }
    // Another model, other data, and trainings that can't be resumed have nothing to do with it.
    begin(&other, "n", Some(&fingerprint)).unwrap();
    let elsewhere = Digest::of(b"other");
    begin(&other, "m", Some(&elsewhere)).unwrap();
    begin(&other, "m", None).unwrap();
    begin(&other, "m", None).unwrap();
    // One that has stopped does not stand in the way, whether its process said so or not.
    drop(store);
    let second = begin(&other, "m", Some(&fingerprint)).unwrap();
    other.catalog().finish_training(second, &TrainingOutcome::Cancelled).unwrap();
    begin(&other, "m", Some(&fingerprint)).unwrap();
}

#[test]
fn a_cancelled_run_is_resumable_and_adopted() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let catalog = store.catalog();
    let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
    let first = catalog.begin_training("m", "s", Some(&one)).unwrap();
    let second = catalog.begin_training("m", "s", Some(&other)).unwrap();
    assert_eq!(catalog.resumable_run("m", None).unwrap(), None, "both are running");
    catalog.finish_training(first, &TrainingOutcome::Cancelled).unwrap();
    catalog.finish_training(second, &TrainingOutcome::Cancelled).unwrap();
    let found = |fingerprint| catalog.resumable_run("m", fingerprint).unwrap().map(|run| run.run_id);
    assert_eq!(
        (found(None), found(Some(&one)), found(Some(&other))),
        (Some(second), Some(first), Some(second))
    );
    let third = Digest::of(b"third");
    assert_eq!(found(Some(&third)), None);
    assert_eq!(catalog.resumable_run("n", None).unwrap(), None);

    catalog.adopt_run(first).unwrap();
    assert_eq!((status(&store, first), found(Some(&one))), (TrainingStatus::Running, None));
    let mut new = new_model("m", Task::Classify);
    new.run = Some(first);
    catalog.create_model(&new, OnConflict::Fail).unwrap();
    assert_eq!(status(&store, first), TrainingStatus::Done);
    let error = catalog.adopt_run(first).unwrap_err();
    assert_eq!(error.to_string(), "training run 1 cannot be resumed: it is done");
    // Dropping the model leaves the other run as it is; a new name goes to its runs too.
    catalog.drop_model("m", None, false).unwrap();
    assert_eq!(found(None), Some(second));
}

#[test]
fn what_cannot_be_resumed_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let catalog = store.catalog();
    let fingerprint = Digest::of(b"f");
    let head = catalog.begin_training("m", "s", None).unwrap();
    let failed = catalog.begin_training("m", "s", Some(&fingerprint)).unwrap();
    catalog.finish_training(head, &TrainingOutcome::Cancelled).unwrap();
    catalog.finish_training(failed, &TrainingOutcome::Failed { error: "no rows".into() }).unwrap();
    assert_eq!(catalog.resumable_run("m", None).unwrap(), None);
    let error = catalog.adopt_run(head).unwrap_err();
    assert_eq!(error.to_string(), "training run 1 cannot be resumed: it is cancelled");
    assert_eq!(catalog.adopt_run(failed).unwrap_err().code(), "run_not_resumable");
    assert_eq!(catalog.adopt_run(RunId(9)).unwrap_err().code(), "run_unknown");
    assert_eq!(store.run_folder(RunId(9)).unwrap_err().code(), "run_unknown");
}

#[test]
fn a_model_made_meanwhile_ends_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let run = store.catalog().begin_training("m", "s", Some(&Digest::of(b"f"))).unwrap();
    store.catalog().create_model(&new_model("m", Task::Embed), OnConflict::Fail).unwrap();
    let mut new = new_model("m", Task::Classify);
    new.run = Some(run);
    store.catalog().create_model(&new, OnConflict::Ignore).unwrap();
    assert_eq!(status(&store, run), TrainingStatus::Failed);
}

/// Starts a child that trains in the store, and waits until it says `word`.
fn trainer(name: &str, store: &Path, word: &str) -> (Child, bool) {
    let mut child = child(name, store.to_str().unwrap()).stdin(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let said = lines.find_map(|line| line.unwrap().strip_prefix("child: ").map(str::to_owned));
    let fits = said.as_deref() == Some(word);
    (child, fits)
}

#[test]
fn a_killed_run_is_resumable_and_its_folder_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let (mut child, training) = trainer("child_trains_in_its_folder", folder.path(), "training");
    assert!(training);
    let run = RunId(1);
    assert_eq!(status(&store, run), TrainingStatus::Running);
    let error = store.catalog().adopt_run(run).unwrap_err();
    assert_eq!(error.to_string(), "training run 1 of 'm' is at work in another process or session");
    assert!(error.retryable() && error.hint().unwrap().contains("RESUME TRAINING OF m"));
    assert_eq!(store.run_folder(run).unwrap_err().code(), "run_busy");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(status(&store, run), TrainingStatus::Resumable);
    let opened = store.run_folder(run).unwrap();
    store.catalog().adopt_run(run).unwrap();
    // The half-written file has gone, the whole one has not.
    assert_eq!(opened.list().unwrap(), ["plan.json"]);
    assert_eq!(opened.read("plan.json").unwrap().unwrap(), b"{}");
    assert_eq!(fs::read_dir(opened.folder()).unwrap().count(), 2);
}

#[test]
#[ignore = "run by a_killed_run_is_resumable_and_its_folder_is_free"]
fn child_trains_in_its_folder() {
    let Some(path) = common::argument() else { return };
    let store = Store::open(Some(&path)).unwrap();
    let run = store.catalog().begin_training("m", "s", Some(&Digest::of(b"f"))).unwrap();
    let folder = store.run_folder(run).unwrap();
    folder.write_atomically("plan.json", b"{}").unwrap();
    let waited = folder.write_with("state.safetensors", |path| {
        fs::write(path, b"half").unwrap();
        println!("\nchild: training");
        let _ = std::io::stdin().read_line(&mut String::new());
        Ok::<(), nightjar_catalog::CatalogError>(())
    });
    drop(waited);
}

#[test]
fn of_many_processes_one_adopts() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let run = store.catalog().begin_training("m", "s", Some(&Digest::of(b"f"))).unwrap();
    store.catalog().finish_training(run, &TrainingOutcome::Cancelled).unwrap();
    let path = folder.path().to_path_buf();
    let mut children: Vec<(Child, bool)> = std::thread::scope(|scope| {
        let started: Vec<_> =
            (0..4).map(|_| scope.spawn(|| trainer("child_adopts", &path, "adopted"))).collect();
        started.into_iter().map(|child| child.join().unwrap()).collect()
    });
    let winners = children.iter().filter(|(_, adopted)| *adopted).count();
    for (child, _) in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(winners, 1);
    assert_eq!(status(&store, run), TrainingStatus::Resumable);
}

#[test]
#[ignore = "run by of_many_processes_one_adopts"]
fn child_adopts() {
    let Some(path) = common::argument() else { return };
    let store = Store::open(Some(&path)).unwrap();
    match store.catalog().adopt_run(RunId(1)) {
        Ok(()) => println!("\nchild: adopted"),
        Err(error) => println!("\nchild: {}", error.code()),
    }
    let _ = std::io::stdin().read_line(&mut String::new());
}

#[test]
fn files_are_whole_or_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let run = store.catalog().begin_training("m", "s", Some(&Digest::of(b"f"))).unwrap();
    let opened = store.run_folder(run).unwrap();
    assert_eq!(store.run_folder(run).unwrap_err().code(), "run_busy", "this process counts too");
    opened.write_atomically("states/round-1.safetensors", b"one").unwrap();
    opened.write_atomically("states/round-1.safetensors", b"two").unwrap();
    assert_eq!(opened.read("states/round-1.safetensors").unwrap().unwrap(), b"two");
    assert_eq!(opened.read("states/round-2.safetensors").unwrap(), None);
    let failed = opened.write_with("features/0.parquet", |path| {
        fs::write(path, b"half").unwrap();
        Err(std::io::Error::other("full")).map_err(|error| nightjar_catalog::CatalogError::Io {
            action: "write",
            path: path.into(),
            source: error,
        })
    });
    assert!(failed.is_err());
    assert_eq!(opened.list().unwrap(), ["states/round-1.safetensors"]);
    for hostile in ["../escape", "/etc/passwd", "", "a/../../b", "a\0b"] {
        assert_eq!(
            opened.write_atomically(hostile, b"x").unwrap_err().code(),
            "run_file_invalid",
            "{hostile}"
        );
    }
    opened.remove("states/round-1.safetensors").unwrap();
    opened.remove("states/round-1.safetensors").unwrap();
    assert_eq!(opened.list().unwrap(), [""; 0]);
}

#[test]
fn an_ended_run_keeps_its_small_files() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let begin = |fingerprint: &[u8]| {
        let run = store.catalog().begin_training("m", "s", Some(&Digest::of(fingerprint))).unwrap();
        let opened = store.run_folder(run).unwrap();
        for name in ["plan.json", "events.out.tfevents.1.0", "states/1.json", "features/0.parquet"] {
            opened.write_atomically(name, b"bytes").unwrap();
        }
        (run, opened)
    };
    let (done, folder_of_done) = begin(b"done");
    folder_of_done.finish().unwrap();
    drop(folder_of_done);
    let (failed, folder_of_failed) = begin(b"failed");
    let (resumable, folder_of_resumable) = begin(b"resumable");
    drop(folder_of_resumable);
    store.catalog().finish_training(failed, &TrainingOutcome::Failed { error: "NaN".into() }).unwrap();
    store.catalog().finish_training(resumable, &TrainingOutcome::Cancelled).unwrap();
    let whole = |run: RunId| store.run_path(run).join("features/0.parquet").exists();
    store.sweep_run_folders().unwrap();
    assert!(whole(failed), "its writer is still at it");
    drop(folder_of_failed);
    store.sweep_run_folders().unwrap();
    assert!(!whole(done) && !whole(failed) && whole(resumable));
    for run in [done, failed] {
        let kept = store.run_folder(run).unwrap().list().unwrap();
        assert_eq!(kept, ["events.out.tfevents.1.0", "plan.json"]);
        assert!(!store.run_path(run).join("states").exists());
    }
}

#[test]
fn warnings_replace_those_of_the_run_before() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let catalog = store.catalog();
    let run = catalog.begin_training("m", "s", None).unwrap();
    let warning =
        |check: &str, rows| TrainingWarning { check: check.into(), rows, message: "é'\0\"".into() };
    catalog.record_warnings(run, &[warning("z", 3), warning("a", 0), warning("a", 1)]).unwrap();
    let again = [warning("duplicates", 7), warning("a", 1)];
    catalog.record_warnings(run, &again).unwrap();
    let seen = catalog.training_warnings().unwrap();
    assert_eq!(seen, again.map(|warning| (run, warning)));
    assert_eq!(catalog.record_warnings(RunId(5), &[]).unwrap_err().code(), "run_unknown");
}
