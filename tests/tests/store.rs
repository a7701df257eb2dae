//! A store under attack: two at once, damaged files, a newer catalog, a training cut off, rows in another order.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use nightjar_engine::{EngineError, Session, session_config};
use nightjar_errors::Failure;
use nightjar_statements::Watch;
use nightjar_tests::{Fixtures, TestStore, block_on, digests, values};

const TRAIN: &str =
    "FROM tiny FINE_TUNE ON (SELECT review, label FROM reviews) WITH (method = 'head', regularization = 10)";

/// Returns a store with the model `tiny` and the view `reviews`, and the fixture files that the view reads.
async fn store_with_reviews(seed: u64) -> (TestStore, Fixtures) {
    let (store, fixtures) = (TestStore::with_tiny(seed).await, Fixtures::write().await);
    let view =
        format!("CREATE VIEW reviews AS SELECT * FROM '{}/reviews.parquet'", fixtures.path().display());
    run(&store.session(), &view).await.expect("the view");
    (store, fixtures)
}

/// Runs a statement to its last row.
async fn run(session: &Session, sql: &str) -> Result<(), EngineError> {
    session.sql(sql).await?.collect().await?;
    Ok(())
}

fn assert_fails(result: Result<(), EngineError>, code: &str, message: &str, hint: &str) {
    let error = result.expect_err("it fails");
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(message), "{error}\nlacks: {message}");
    let found = error.hint().unwrap_or_default();
    assert!(found.contains(hint), "the hint of '{error}' is: {found}\nlacks: {hint}");
}

/// Returns the path of a file in the artifact of the current version of a model.
async fn artifact_file(store: &TestStore, model: &str, file: &str) -> PathBuf {
    let digest = digests(&store.session(), model).await.pop().expect("a version");
    let path = store.root().join("artifacts").join(digest).join(file);
    assert!(path.is_file(), "{} is there", path.display());
    path
}

/// Changes one bit in the middle of a file, which the store keeps read-only.
fn flip_a_bit(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    overwrite(path, &bytes);
}

fn overwrite(path: &Path, bytes: &[u8]) {
    // A new file in the old one's place: the old one may be mapped into memory.
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn of_two_sessions_that_create_one_model_one_wins() {
    block_on(async {
        let (store, _fixtures) = store_with_reviews(11).await;
        let create = format!("CREATE MODEL sentiment {TRAIN}");
        let (a, b) = (store.session(), store.session());
        let (create_a, create_b) = (create.clone(), create);
        let (a, b) = tokio::join!(
            tokio::spawn(async move { run(&a, &create_a).await }),
            tokio::spawn(async move { run(&b, &create_b).await }),
        );
        let (won, lost): (Vec<_>, Vec<_>) = [a.unwrap(), b.unwrap()].into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 1), "{lost:?}");
        let lost = lost.into_iter().next().unwrap();
        assert_fails(
            lost,
            "model_exists",
            "model 'sentiment' already exists",
            "CREATE OR REPLACE MODEL sentiment",
        );
        let session = store.session();
        assert_eq!(digests(&session, "sentiment").await.len(), 1);
        let label = values(&session, "SELECT classify('the phone is great', 'sentiment')").await;
        assert_eq!(label, [["good"]]);
        // Nobody is left at work: the loser's run, if it got so far, is in the history as failed.
        let open = "SELECT count(*) FROM nightjar.training_runs WHERE status NOT IN ('done', 'failed')";
        assert_eq!(values(&session, open).await, [["0"]]);
    });
}

#[test]
fn two_sessions_that_replace_one_model_both_add_a_version() {
    block_on(async {
        let (store, _fixtures) = store_with_reviews(12).await;
        let replace = |label: &str| {
            format!(
                "CREATE OR REPLACE MODEL sentiment FROM tiny FINE_TUNE ON (SELECT review, {label} AS label FROM reviews) WITH (method = 'head')"
            )
        };
        let (a, b) = (store.session(), store.session());
        let (sql_a, sql_b) = (replace("label"), replace("product"));
        let (a, b) = tokio::join!(
            tokio::spawn(async move { run(&a, &sql_a).await }),
            tokio::spawn(async move { run(&b, &sql_b).await }),
        );
        a.unwrap().unwrap();
        b.unwrap().unwrap();
        let session = store.session();
        let mut versions = digests(&session, "sentiment").await;
        versions.dedup();
        assert_eq!(versions.len(), 2);
        let current = "SELECT version, versions FROM nightjar.models WHERE name = 'sentiment'";
        assert_eq!(values(&session, current).await, [["2", "2"]]);
    });
}

#[test]
fn a_damaged_head_is_named_and_the_other_versions_are_served() {
    block_on(async {
        let (store, _fixtures) = store_with_reviews(13).await;
        let session = store.session();
        run(&session, &format!("CREATE MODEL sentiment {TRAIN}")).await.unwrap();
        let again = "ALTER MODEL sentiment FINE_TUNE ON (SELECT review, product AS label FROM reviews) WITH (method = 'head')";
        run(&session, again).await.unwrap();
        flip_a_bit(&artifact_file(&store, "sentiment", "head.safetensors").await);
        // This process has never called version 2, so it reads the file now.
        let call = run(&session, "SELECT classify('the hotel is great', 'sentiment')").await;
        assert_fails(call, "artifact_corrupt", "head.safetensors has sha256", "CREATE OR REPLACE MODEL");
        let other = values(&session, "SELECT classify('the hotel is great', 'sentiment@1')").await;
        assert_eq!(other, [["good"]]);
        // The way out that the hint tells.
        run(&session, &format!("CREATE OR REPLACE MODEL sentiment {TRAIN}")).await.unwrap();
        let mended = values(&session, "SELECT classify('the hotel is great', 'sentiment')").await;
        assert_eq!(mended, [["good"]]);
    });
}

#[test]
fn a_cut_off_head_and_a_missing_one_are_named() {
    block_on(async {
        let (store, _fixtures) = store_with_reviews(14).await;
        let session = store.session();
        for (model, label) in [("cut", "label"), ("gone", "product")] {
            let sql = format!(
                "CREATE MODEL {model} FROM tiny FINE_TUNE ON (SELECT review, {label} AS label FROM reviews) WITH (method = 'head')"
            );
            run(&session, &sql).await.unwrap();
        }
        let cut = artifact_file(&store, "cut", "head.safetensors").await;
        let bytes = fs::read(&cut).unwrap();
        overwrite(&cut, &bytes[..bytes.len() / 2]);
        let call = run(&session, "SELECT classify('good', 'cut')").await;
        assert_fails(call, "artifact_corrupt", "head.safetensors has", "restore the artifact's folder");
        fs::remove_file(artifact_file(&store, "gone", "head.safetensors").await).unwrap();
        let call = run(&session, "SELECT classify('good', 'gone')").await;
        assert_fails(
            call,
            "artifact_corrupt",
            "head.safetensors is missing",
            "restore the artifact's folder",
        );
        assert_eq!(values(&session, "SELECT array_length(embed('good', 'tiny'))").await, [["32"]]);
    });
}

#[test]
fn damaged_weights_are_named_and_other_models_are_served() {
    block_on(async {
        let store = TestStore::with_tiny(15).await;
        let other = TestStore::new(16);
        let session = store.session();
        run(&session, &format!("CREATE MODEL other FROM '{}'", other.tiny().display())).await.unwrap();
        let weights = artifact_file(&store, "tiny", "model.safetensors").await;
        let whole = fs::read(&weights).unwrap();
        flip_a_bit(&weights);
        let call = run(&session, "SELECT embed('good', 'tiny')").await;
        assert_fails(call, "artifact_corrupt", "model.safetensors has sha256", "nightjar model pull");
        overwrite(&weights, &whole[..whole.len() - 1]);
        let call = run(&session, "SELECT embed('good', 'tiny')").await;
        assert_fails(call, "artifact_corrupt", "model.safetensors has", "nightjar model pull");
        // try_ is about rows: a damaged model is no row's fault.
        assert!(run(&session, "SELECT try_embed('good', 'tiny')").await.is_err());
        assert_eq!(values(&session, "SELECT array_length(embed('good', 'other'))").await, [["32"]]);
        // What is restored is read again, in the same process.
        overwrite(&weights, &whole);
        assert_eq!(values(&session, "SELECT array_length(embed('good', 'tiny'))").await, [["32"]]);
    });
}

#[test]
fn a_catalog_of_a_newer_version_is_refused_and_left_alone() {
    block_on(async {
        let store = TestStore::with_tiny(17).await;
        let path = store.root().join("catalog.sqlite");
        let catalog = rusqlite::Connection::open(&path).unwrap();
        let version: i64 = catalog.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        catalog.pragma_update(None, "user_version", version + 7).unwrap();
        let error = store.open().expect_err("a newer catalog");
        assert_eq!(error.code(), "catalog_newer");
        let text = error.to_string();
        assert!(text.contains(&format!("has version {}", version + 7)), "{text}");
        assert!(text.contains(&format!("reads up to {version}")), "{text}");
        assert!(error.hint().unwrap().contains("newer nightjar"), "{:?}", error.hint());
        // Nothing was changed: with its version back it opens, and the model is there.
        catalog.pragma_update(None, "user_version", version).unwrap();
        drop(catalog);
        assert_eq!(digests(&store.session(), "tiny").await.len(), 1);
    });
}

#[test]
fn a_file_that_is_no_catalog_is_refused() {
    let store = TestStore::new(18);
    fs::create_dir_all(store.root()).unwrap();
    fs::write(
        store.root().join("catalog.sqlite"),
        "this is a text and long enough to look like a header ".repeat(40),
    )
    .unwrap();
    let error = store.open().expect_err("no catalog");
    assert!(error.hint().is_some(), "{error}");
    assert!(error.to_string().contains("catalog.sqlite"), "{error}");
}

#[test]
fn a_row_has_the_same_bits_wherever_it_stands() {
    block_on(async {
        let (store, _fixtures) = store_with_reviews(19).await;
        let embedded = "SELECT id, embed(review, 'tiny') FROM reviews";
        let mut expected = values(&store.session(), embedded).await;
        expected.sort();
        assert_eq!(expected.len(), 60);
        // In another order, in other batches and partitions, and among other texts.
        for (partitions, batch_size, order) in [(1, 8192, "id DESC"), (4, 7, "review"), (3, 1, "id % 7, id")]
        {
            let config = session_config().with_target_partitions(partitions).with_batch_size(batch_size);
            let session = store.session_with(config);
            let query =
                format!("SELECT id, embed(review, 'tiny') FROM (SELECT * FROM reviews ORDER BY {order})");
            let mut found = values(&session, &query).await;
            found.sort();
            assert!(found == expected, "{partitions} partitions, {batch_size} rows a batch, {order}");
        }
        let longer = format!("{embedded} UNION ALL SELECT -1, embed(repeat('good ', 50), 'tiny')");
        let mut found = values(&store.session(), &longer).await;
        found.sort();
        assert!(found[1..] == expected[..], "beside a longer text");
        // Alone.
        for row in expected.iter().step_by(13) {
            let alone = format!("{embedded} WHERE id = {}", row[0]);
            assert_eq!(values(&store.session(), &alone).await, std::slice::from_ref(row));
        }
    });
}

#[test]
fn training_gives_the_same_bytes_whatever_the_files_and_partitions() {
    block_on(async {
        let (store, fixtures) = store_with_reviews(20).await;
        let folder = fixtures.path().display().to_string();
        let sources = [
            format!("SELECT review, label FROM '{folder}/reviews.parquet'"),
            format!("SELECT review, label FROM '{folder}/parts/'"),
            format!("SELECT label, review FROM '{folder}/reviews.csv' ORDER BY id DESC"),
            format!("SELECT review, label FROM '{folder}/reviews.avro' ORDER BY length(review), id % 5"),
        ];
        for (index, source) in sources.iter().enumerate() {
            let partitions = if index % 2 == 0 { 1 } else { 4 };
            let session =
                store.session_with(session_config().with_target_partitions(partitions).with_batch_size(11));
            let sql = format!(
                "CREATE MODEL m{index} FROM tiny FINE_TUNE ON ({source}) WITH (method = 'head', seed = 5)"
            );
            run(&session, &sql).await.unwrap();
        }
        let mut heads = Vec::new();
        for index in 0..sources.len() {
            heads.push(
                fs::read(artifact_file(&store, &format!("m{index}"), "head.safetensors").await).unwrap(),
            );
        }
        for (index, head) in heads.iter().enumerate() {
            assert!(head == &heads[0], "the head trained on {}", sources[index]);
        }
        // Another seed is another split, and other rows are another head.
        let fewer = "CREATE MODEL fewer FROM tiny FINE_TUNE ON (SELECT review, label FROM reviews WHERE id > 5) WITH (method = 'head', seed = 5)";
        run(&store.session(), fewer).await.unwrap();
        assert!(fs::read(artifact_file(&store, "fewer", "head.safetensors").await).unwrap() != heads[0]);
    });
}

/// Blocks the training when it reaches a phase, until the test has cut it off.
struct StopAt {
    phase: &'static str,
    reached: mpsc::Sender<()>,
    go_on: Arc<AtomicBool>,
}

impl Watch for StopAt {
    fn phase(&self, name: &str, _: &str, _: Option<u64>) {
        if !name.starts_with(self.phase) {
            return;
        }
        // The test may have had its fill of reports.
        let _ = self.reached.send(());
        while self.phase != "embedding" && !self.go_on.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn position(&self, _: u64) {}
    fn note(&self, _: &str) {}
    fn warn(&self, _: &str) {}
}

#[test]
fn a_training_that_is_cut_off_leaves_no_version() {
    block_on(async {
        let (store, _fixtures) = store_with_reviews(21).await;
        // While it embeds, and while it fits on a thread that nobody waits for any more.
        for (number, phase) in [(1, "embedding"), (2, "fitting")] {
            let (reached, reports) = mpsc::channel();
            let go_on = Arc::new(AtomicBool::new(false));
            let watch = StopAt { phase, reached, go_on: Arc::clone(&go_on) };
            let session = store.session().with_watch(Arc::new(watch));
            // Enough rows that embedding does not end before it is cut off.
            let rows = if phase == "embedding" {
                "reviews a CROSS JOIN (SELECT id AS other FROM reviews)"
            } else {
                "reviews a"
            };
            let text = if phase == "embedding" {
                "review || ' ' || CAST(other AS VARCHAR) AS review"
            } else {
                "review"
            };
            let sql = format!(
                "CREATE MODEL cut_off FROM tiny FINE_TUNE ON (SELECT {text}, label FROM {rows}) WITH (method = 'head')"
            );
            let training = tokio::spawn(async move { run(&session, &sql).await });
            let report = tokio::task::spawn_blocking(move || reports.recv_timeout(Duration::from_secs(20)));
            report.await.unwrap().expect("the phase begins");
            training.abort();
            // Only now may the statement go on, from the report of its fitting to the place where it is dropped.
            go_on.store(true, Ordering::Relaxed);
            match training.await {
                Err(stopped) => assert!(stopped.is_cancelled()),
                Ok(result) => panic!("{phase} ended before it was cut off: {result:?}"),
            }
            let session = store.session();
            assert_eq!(digests(&session, "cut_off").await.len(), 0, "{phase}");
            let runs = "SELECT model, status, version FROM nightjar.training_runs ORDER BY run_id";
            assert_eq!(
                values(&session, runs).await,
                vec![["cut_off", "cancelled", "NULL"]; number],
                "{phase}"
            );
        }
        // The name is free, and the store has nothing half-made.
        let session = store.session();
        run(&session, &format!("CREATE MODEL cut_off {TRAIN}")).await.unwrap();
        assert_eq!(values(&session, "SELECT classify('the phone is awful', 'cut_off')").await, [["bad"]]);
        let staged = fs::read_dir(store.root().join("staging")).map(Iterator::count).unwrap_or_default();
        assert_eq!(staged, 0, "files left in staging");
    });
}

#[test]
fn a_query_that_is_dropped_stops() {
    block_on(async {
        use futures::StreamExt;
        let (store, _fixtures) = store_with_reviews(22).await;
        let session = store.session();
        let rows = session
            .sql("SELECT embed(a.review || b.review, 'tiny') FROM reviews a CROSS JOIN reviews b")
            .await
            .unwrap();
        let mut stream = rows.execute_stream().await.unwrap();
        assert!(stream.next().await.unwrap().unwrap().num_rows() > 0);
        drop(stream);
        // The session is as good as new.
        assert_eq!(values(&session, "SELECT array_length(embed('good', 'tiny'))").await, [["32"]]);
    });
}

#[test]
fn a_failed_training_leaves_the_earlier_version_and_no_files() {
    block_on(async {
        let (store, _fixtures) = store_with_reviews(23).await;
        let session = store.session();
        run(&session, &format!("CREATE MODEL sentiment {TRAIN}")).await.unwrap();
        let artifacts = || fs::read_dir(store.root().join("artifacts")).unwrap().count();
        let before = (digests(&session, "sentiment").await, artifacts());
        for query in [
            "SELECT review, CAST(1 / (60 - id) AS VARCHAR) AS label FROM reviews",
            "SELECT review, CAST(CASE WHEN id = 60 THEN 'x' ELSE '1' END AS INT) AS label FROM reviews",
            "SELECT review, label FROM reviews WHERE label = 'good'",
            "SELECT review, label FROM reviews WHERE false",
        ] {
            let sql = format!(
                "CREATE OR REPLACE MODEL sentiment FROM tiny FINE_TUNE ON ({query}) WITH (method = 'head')"
            );
            let error = run(&session, &sql).await.expect_err("it fails");
            let runs = "SELECT status, error FROM nightjar.training_runs ORDER BY run_id DESC LIMIT 1";
            let last = values(&session, runs).await;
            let failed = [["failed".to_owned(), error.to_string()]];
            // What is refused for what its rows are leaves no run; what fails while it reads them does.
            assert_eq!(last == failed, query.contains("CAST("), "{query}: {last:?}");
            assert_eq!((digests(&session, "sentiment").await, artifacts()), before, "{query}");
        }
        assert_eq!(values(&session, "SELECT classify('the phone is great')").await, [["good"]]);
    });
}

#[cfg(unix)]
#[test]
fn a_store_that_cannot_be_written_says_who_may() {
    use std::os::unix::fs::PermissionsExt;
    let store = TestStore::new(24);
    let folder = store.scratch().join("locked");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(folder.join("probe"), "").is_ok() {
        eprintln!("skipped: this user may write everywhere");
        return;
    }
    let error = nightjar_catalog::Store::open(folder.join("store").to_str()).expect_err("no right to write");
    assert!(error.hint().unwrap().contains("--store"), "{error}");
}
