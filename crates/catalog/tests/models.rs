//! Models, versions and defaults in the catalog, alone and under competition.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

mod common;

use common::{child, new_model, open};
use nightjar_catalog::{Catalog, CatalogError, CreateOutcome, Created, OnConflict, Store, Task};
use nightjar_errors::Failure;
use nightjar_names::{ModelReference, NameError};

fn create(catalog: &Catalog, name: &str, task: Task, on_conflict: OnConflict) -> Created {
    catalog.create_model(&new_model(name, task), on_conflict).unwrap()
}

fn current(catalog: &Catalog, name: &str) -> u32 {
    catalog.model_version(&ModelReference::current(name)).unwrap().version
}

fn default(catalog: &Catalog, task: Task) -> Option<String> {
    catalog.default_model(task).unwrap().map(|version| version.name)
}

#[test]
fn create_replace_ignore() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let catalog = store.catalog();
    let first = create(catalog, "m", Task::Classify, OnConflict::Fail);
    assert_eq!((first.version.version, first.outcome, first.is_default), (1, CreateOutcome::Created, true));
    let error = catalog.create_model(&new_model("m", Task::Classify), OnConflict::Fail).unwrap_err();
    assert!(matches!(&error, CatalogError::ModelExists { name } if name == "m"));
    assert!(error.hint().unwrap().contains("CREATE OR REPLACE MODEL m"));
    let same = create(catalog, "m", Task::Classify, OnConflict::Ignore);
    assert_eq!((same.version, same.outcome), (first.version.clone(), CreateOutcome::Existed));

    let mut second = new_model("m", Task::Classify);
    second.card.labels = vec!["neg".into(), "pos".into()];
    second.card.metrics.insert("accuracy".into(), 0.75);
    second.card.metrics.insert("undefined".into(), f64::NAN);
    let second = catalog.create_model(&second, OnConflict::Replace).unwrap();
    assert_eq!((second.version.version, second.outcome), (2, CreateOutcome::Replaced));
    // Reopened: it was all written down.
    let store = open(&folder);
    let read = store.catalog().model_version(&"m@2".parse().unwrap()).unwrap();
    assert_eq!(read, second.version);
    assert_eq!(read.card.metrics.len(), 1, "JSON has no NaN");
    assert!(read.current && read.created_at > 1_600_000_000_000_000);
    let old = store.catalog().model_version(&"m@1".parse().unwrap()).unwrap();
    assert!(!old.current && old.card.labels.is_empty());
    let versions: Vec<u32> = store.catalog().versions("m").unwrap().iter().map(|v| v.version).collect();
    assert_eq!(versions, [1, 2]);
    assert_eq!(store.catalog().all_versions().unwrap().len(), 2);
    let models = store.catalog().models().unwrap();
    assert_eq!((models.len(), models[0].versions, models[0].current_version), (1, 2, 2));
    assert!(models[0].is_default && models[0].task == Task::Classify);
}

#[test]
fn a_version_is_promoted_once_and_only_over_the_one_it_was_compared_with() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let catalog = store.catalog();
    let mut challenger = new_model("challenger", Task::Classify);
    challenger.card.labels = vec!["neg".into(), "pos".into()];
    let challenger = catalog.create_model(&challenger, OnConflict::Fail).unwrap().version;
    let promoted = catalog.promote(&challenger.reference(), "m", None).unwrap();
    assert_eq!((promoted.name.as_str(), promoted.version, promoted.current), ("m", 1, true));
    assert_eq!((promoted.digest, &promoted.card), (challenger.digest, &challenger.card));
    // Compared with none, and there is one by now; compared with one that is not current any more.
    for than in [None, Some(7)] {
        let error = catalog.promote(&challenger.reference(), "m", than).unwrap_err();
        assert!(matches!(error, CatalogError::PromotedMeanwhile { .. }) && error.retryable(), "{error}");
    }
    assert_eq!(current(catalog, "m"), 1);
    // Of many who compared with the same version one promotes.
    let won = std::thread::scope(|scope| {
        let promote = || open(&folder).catalog().promote(&challenger.reference(), "m", Some(1));
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(promote)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).filter(Result::is_ok).count()
    });
    assert_eq!((won, current(catalog, "m")), (1, 2));
    create(catalog, "numbers", Task::Regress, OnConflict::Fail);
    let error = catalog.promote(&ModelReference::current("numbers"), "m", Some(2)).unwrap_err();
    assert!(matches!(error, CatalogError::OtherTask { .. }), "{error}");
    let error = catalog.promote(&ModelReference::current("nobody"), "m", Some(2)).unwrap_err();
    assert!(matches!(error, CatalogError::ModelUnknown { .. }), "{error}");
}

#[test]
fn a_card_of_another_program_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    create(store.catalog(), "m", Task::Embed, OnConflict::Fail);
    let connection = rusqlite::Connection::open(store.catalog().path()).unwrap();
    let body = common::card(Task::Embed).body;
    let newer = format!(r#"{{"task": "embed", "body": "{body}", "encoder": {{}}, "from_the_future": [1]}}"#);
    connection.execute("UPDATE model_versions SET card = ?1", [newer]).unwrap();
    let read = store.catalog().model_version(&ModelReference::current("m")).unwrap();
    assert_eq!((read.card.body, read.card.rows), (body, 0));
    connection.execute("UPDATE model_versions SET card = '{'", []).unwrap();
    let error = store.catalog().model_version(&ModelReference::current("m")).unwrap_err();
    assert!(error.to_string().contains("card for 'm@1'"), "{error}");
}

#[test]
fn unknown_names_and_versions() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let catalog = store.catalog();
    create(catalog, "sentiment", Task::Classify, OnConflict::Fail);
    create(catalog, "sentiment", Task::Classify, OnConflict::Replace);
    let error = catalog.model_version(&ModelReference::current("sentimnet")).unwrap_err();
    assert_eq!(error.to_string(), "there is no model 'sentimnet'");
    assert_eq!(error.hint().unwrap(), "did you mean 'sentiment'?");
    let error = catalog.model_version(&"sentiment@7".parse().unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "model 'sentiment' has no version 7");
    assert_eq!(error.hint().unwrap(), "'sentiment' has version 1, 2");
    for error in [
        catalog.set_default("x").unwrap_err(),
        catalog.set_version("x", 1).unwrap_err(),
        catalog.rename_model("x", "y").unwrap_err(),
        catalog.drop_model("x", None, false).unwrap_err(),
        catalog.drop_model("x", Some(1), false).unwrap_err(),
        catalog.versions("x").unwrap_err(),
    ] {
        assert_eq!(error.code(), "model_unknown", "{error}");
    }
    assert!(!catalog.drop_model("x", None, true).unwrap());
    assert!(!catalog.drop_model("sentiment", Some(9), true).unwrap());
    assert_eq!(catalog.drop_model("sentiment", Some(9), false).unwrap_err().code(), "version_unknown");
    let error = catalog.create_model(&new_model("a@1", Task::Embed), OnConflict::Fail).unwrap_err();
    assert!(matches!(error, CatalogError::Name(NameError::Model { .. })));
}

#[test]
fn dropping_versions_and_models() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let catalog = store.catalog();
    for _ in 0..3 {
        create(catalog, "m", Task::Embed, OnConflict::Replace);
    }
    catalog.set_version("m", 1).unwrap();
    assert_eq!(current(catalog, "m"), 1);
    assert!(catalog.drop_model("m", Some(2), false).unwrap());
    assert_eq!(current(catalog, "m"), 1, "another version than the current one went");
    assert!(catalog.drop_model("m", Some(1), false).unwrap());
    assert_eq!(current(catalog, "m"), 3, "the newest remaining one");
    assert_eq!(create(catalog, "m", Task::Embed, OnConflict::Replace).version.version, 4);
    assert!(catalog.drop_model("m", Some(4), false).unwrap());
    assert_eq!(create(catalog, "m", Task::Embed, OnConflict::Replace).version.version, 5, "4 is used up");
    assert!(catalog.drop_model("m", Some(3), false).unwrap());
    assert!(catalog.drop_model("m", Some(5), false).unwrap());
    assert!(catalog.models().unwrap().is_empty(), "the last version takes the model along");
    assert_eq!(
        create(catalog, "m", Task::Embed, OnConflict::Fail).version.version,
        6,
        "m@1 meant something else"
    );
}

#[test]
fn defaults_change_only_by_choice() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let catalog = store.catalog();
    let error = catalog.require_default_model(Task::Classify).unwrap_err();
    assert!(error.hint().unwrap().contains("FINE_TUNE"), "{error}");
    assert!(create(catalog, "a", Task::Classify, OnConflict::Fail).is_default);
    assert!(!create(catalog, "b-c", Task::Classify, OnConflict::Fail).is_default);
    assert!(create(catalog, "e", Task::Embed, OnConflict::Fail).is_default);
    assert_eq!(default(catalog, Task::Classify).as_deref(), Some("a"));
    catalog.set_default("b-c").unwrap();
    assert_eq!(default(catalog, Task::Classify).as_deref(), Some("b-c"));
    catalog.set_default("a").unwrap();

    assert!(catalog.drop_model("a", None, false).unwrap());
    assert_eq!(default(catalog, Task::Classify), None, "b-c must not take over by itself");
    let error = catalog.require_default_model(Task::Classify).unwrap_err();
    assert_eq!(error.to_string(), "there is no default model for the task classify");
    assert!(error.hint().unwrap().contains("ALTER MODEL \"b-c\" SET DEFAULT"), "{:?}", error.hint());
    assert!(!create(catalog, "d", Task::Classify, OnConflict::Fail).is_default);
    assert!(!create(catalog, "d", Task::Classify, OnConflict::Replace).is_default);
    assert_eq!(default(catalog, Task::Embed).as_deref(), Some("e"));
}

#[test]
fn a_model_whose_task_changes_is_no_default_of_the_old_task() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let catalog = store.catalog();
    create(catalog, "m", Task::Classify, OnConflict::Fail);
    assert!(!create(catalog, "m", Task::Regress, OnConflict::Replace).is_default);
    assert_eq!(default(catalog, Task::Classify), None);
    assert_eq!(catalog.models().unwrap()[0].task, Task::Regress);
    catalog.set_default("m").unwrap();
    assert_eq!(catalog.require_default_model(Task::Regress).unwrap().version, 2);
}

#[test]
fn renaming_keeps_versions_numbers_and_the_default() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let catalog = store.catalog();
    create(catalog, "a", Task::Classify, OnConflict::Fail);
    create(catalog, "a", Task::Classify, OnConflict::Replace);
    create(catalog, "b", Task::Embed, OnConflict::Fail);
    let run = catalog.begin_training("a", "CREATE MODEL a", None).unwrap();
    assert_eq!(catalog.rename_model("a", "b").unwrap_err().code(), "model_exists");
    assert_eq!(catalog.rename_model("a", "x@1").unwrap_err().code(), "model_name_invalid");
    catalog.rename_model("a", "c").unwrap();
    assert_eq!(current(catalog, "c"), 2);
    assert_eq!(default(catalog, Task::Classify).as_deref(), Some("c"));
    assert_eq!(catalog.training_runs().unwrap()[0].model, "c");
    assert_eq!(catalog.training_runs().unwrap()[0].run_id, run);
    assert_eq!(create(catalog, "c", Task::Classify, OnConflict::Replace).version.version, 3);
    assert_eq!(create(catalog, "a", Task::Classify, OnConflict::Fail).version.version, 3, "a@1 is now c@1");
}

#[test]
fn a_dropped_base_does_not_hurt_what_was_made_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let mut staging = store.artifacts().stage().unwrap();
    staging.write("model.safetensors", b"weights").unwrap();
    let body = store.artifacts().publish(staging).unwrap();
    let mut base = new_model("base", Task::Embed);
    (base.card.body, base.digest) = (body, body);
    store.catalog().create_model(&base, OnConflict::Fail).unwrap();
    let mut tuned = new_model("tuned", Task::Classify);
    (tuned.card.body, tuned.card.base) = (body, Some("base@1".into()));
    store.catalog().create_model(&tuned, OnConflict::Fail).unwrap();
    store.catalog().drop_model("base", None, false).unwrap();
    let tuned = store.catalog().model_version(&ModelReference::current("tuned")).unwrap();
    assert_eq!(tuned.card.base.as_deref(), Some("base@1"));
    store.artifacts().open(&tuned.card.body).unwrap();
}

#[test]
fn two_handles_in_many_threads() {
    let folder = tempfile::tempdir().unwrap();
    let handles = [open(&folder), open(&folder)];
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let catalog = handles[n % 2].catalog();
                scope.spawn(move || catalog.create_model(&new_model("one", Task::Embed), OnConflict::Fail))
            })
            .collect();
        let results: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        assert!(results.into_iter().filter_map(Result::err).all(|error| error.code() == "model_exists"));
    });
    let mut versions: Vec<u32> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let catalog = handles[n % 2].catalog();
                scope.spawn(move || create(catalog, "many", Task::Embed, OnConflict::Replace).version.version)
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    versions.sort();
    assert_eq!(versions, (1..=8).collect::<Vec<u32>>());
}

#[test]
fn processes_create_the_same_model_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let children: Vec<_> = (0..3).map(|_| child("child_creates", path).spawn().unwrap()).collect();
    let mut lines: Vec<String> = Vec::new();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        lines.extend(text.split_whitespace().filter(|word| word.contains("one=")).map(str::to_string));
        lines.extend(text.split_whitespace().filter(|word| word.contains("many=")).map(str::to_string));
    }
    lines.sort();
    assert_eq!(lines, ["many=1", "many=2", "many=3", "one=model_exists", "one=model_exists", "one=ok"]);
}

#[test]
#[ignore = "run by processes_create_the_same_model_at_once"]
fn child_creates() {
    let Some(path) = common::argument() else { return };
    let store = Store::open(Some(&path)).unwrap();
    match store.catalog().create_model(&new_model("one", Task::Embed), OnConflict::Fail) {
        Ok(_) => println!("\none=ok"),
        Err(error) => println!("\none={}", error.code()),
    }
    println!("many={}", create(store.catalog(), "many", Task::Embed, OnConflict::Replace).version.version);
}
