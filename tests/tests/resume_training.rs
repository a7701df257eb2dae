//! `RESUME TRAINING`: which run it goes on with, what it runs, and what it says where there is none.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use nightjar_catalog::{Digest, RunId, TrainingOutcome};
use nightjar_engine::{EngineError, Session};
use nightjar_errors::Failure;
use nightjar_tests::{Fixtures, TestStore, block_on, values};

async fn run(session: &Session, sql: &str) -> Result<(), EngineError> {
    session.sql(sql).await?.collect().await?;
    Ok(())
}

/// Records a run of `model` that was cancelled and can be resumed, as gradient training leaves it.
fn cancelled(store: &TestStore, model: &str, statement: &str) -> RunId {
    let catalog_of = store.session();
    let catalog = catalog_of.store().catalog();
    let run = catalog.begin_training(model, statement, Some(&Digest::of(statement.as_bytes()))).unwrap();
    catalog.finish_training(run, &TrainingOutcome::Cancelled).unwrap();
    run
}

fn assert_fails(result: Result<(), EngineError>, message: &str, hint: &str) {
    let error = result.expect_err("it fails");
    assert_eq!((error.to_string().as_str(), error.hint().unwrap_or_default().as_str()), (message, hint));
}

#[test]
fn the_recorded_statement_runs_again() {
    block_on(async {
        let (store, fixtures) = (TestStore::with_tiny(31).await, Fixtures::write().await);
        let session = store.session();
        let rows = format!("(SELECT review, label FROM '{}/reviews.parquet')", fixtures.path().display());
        let create =
            format!("CREATE MODEL sentiment FROM tiny FINE_TUNE ON {rows} WITH (method = 'head', seed = 4)");
        cancelled(&store, "sentiment", &create);
        let listed = "SELECT model, status, version FROM nightjar.training_runs ORDER BY run_id";
        assert_eq!(values(&session, listed).await, [["sentiment", "resumable", "NULL"]]);
        run(&session, "RESUME TRAINING OF sentiment").await.unwrap();
        // Method 'head' has no state to go on from: what shows is that its statement ran, as it was typed.
        let made = "SELECT statement FROM nightjar.training_runs WHERE version = 1";
        assert_eq!(values(&session, made).await, [[create.as_str()]]);

        // A model that was renamed since is trained under its new name.
        let alter = format!("ALTER MODEL sentiment FINE_TUNE ON {rows} WITH (method = 'head')");
        cancelled(&store, "sentiment", &alter);
        run(&session, "ALTER MODEL sentiment RENAME TO mood").await.unwrap();
        run(&session, "RESUME TRAINING OF mood").await.unwrap();
        let versions = "SELECT name, version FROM nightjar.models WHERE task = 'classify'";
        assert_eq!(values(&session, versions).await, [["mood", "2"]]);
    });
}

#[test]
fn where_there_is_nothing_to_resume_it_says_what_to_type() {
    block_on(async {
        let store = TestStore::with_tiny(32).await;
        let session = store.session();
        let resume = "RESUME TRAINING OF tiny";
        assert_fails(
            run(&session, "RESUME TRAINING OF tini").await,
            "there is no model 'tini'",
            "did you mean 'tiny'?",
        );
        assert_fails(
            run(&session, resume).await,
            "model 'tiny' was never trained",
            "train it: ALTER MODEL tiny FINE_TUNE ON …",
        );
        let catalog = session.store().catalog();
        let begin = || catalog.begin_training("tiny", "CREATE MODEL …", Some(&Digest::of(b"f"))).unwrap();
        let first = begin();
        assert_fails(
            run(&session, resume).await,
            "no training of 'tiny' waits to be resumed: the last one, run 1, is running",
            "another process is at it: SHOW TRAINING OF tiny says how far it is",
        );
        catalog.finish_training(first, &TrainingOutcome::Failed { error: "NaN".into() }).unwrap();
        assert_fails(
            run(&session, resume).await,
            "no training of 'tiny' waits to be resumed: the last one, run 1, is failed",
            "SHOW TRAINING OF tiny says why it failed; that mended, start it anew: CREATE MODEL …",
        );
        let head = catalog.begin_training("tiny", "CREATE MODEL …", None).unwrap();
        catalog.finish_training(head, &TrainingOutcome::Cancelled).unwrap();
        assert_fails(
            run(&session, resume).await,
            "no training of 'tiny' waits to be resumed: the last one, run 2, is cancelled",
            "start it anew: CREATE MODEL …",
        );
        // A catalog that someone has written to by hand runs nothing but trainings.
        for hostile in
            ["DROP MODEL tiny", "SELECT 1", "DROP TABLE t; DROP TABLE u", "ALTER MODEL tiny SET DEFAULT", "'"]
        {
            cancelled(&store, "tiny", hostile);
            let error = run(&session, resume).await.expect_err(hostile);
            assert!(error.to_string().contains("unreadable statement of a training run"), "{error}");
        }
        assert_eq!(values(&session, "SELECT name FROM nightjar.models").await, [["tiny"]]);
    });
}

#[test]
fn a_discarded_training_is_failed_and_its_files_are_gone() {
    block_on(async {
        let store = TestStore::with_tiny(33).await;
        let session = store.session();
        assert_fails(
            run(&session, "DISCARD TRAINING OF tiny").await,
            "model 'tiny' was never trained",
            "train it: ALTER MODEL tiny FINE_TUNE ON …",
        );
        // Two that wait, and one at work: another session's, by its own statement.
        let (first, second) = (cancelled(&store, "m", "one"), cancelled(&store, "m", "two"));
        for id in [first, second] {
            let folder = session.store().run_folder(id).unwrap();
            folder.write_atomically("states/round-0.safetensors", b"numbers").unwrap();
            folder.write_atomically("history.json", b"{}").unwrap();
        }
        let other = store.session();
        let fingerprint = Digest::of(b"three");
        let third = other.store().catalog().begin_training("m", "three", Some(&fingerprint)).unwrap();
        run(&session, "DISCARD TRAINING OF m").await.unwrap();
        let listed = "SELECT status, error FROM nightjar.training_runs ORDER BY run_id";
        let discarded = ["failed", "discarded by DISCARD TRAINING"];
        assert_eq!(values(&session, listed).await, [discarded, discarded, ["running", "NULL"]]);
        for id in [first, second] {
            assert!(!session.store().run_path(id).join("states").exists());
            assert!(session.store().run_path(id).join("history.json").exists(), "what it did is still told");
        }
        assert_fails(
            run(&session, "DISCARD TRAINING OF m").await,
            "no training of 'm' waits to be resumed: the last one, run 3, is running",
            "another process is at it: SHOW TRAINING OF m says how far it is",
        );
        drop((other, third));
    });
}
