//! Materialized views: what a refresh reads, and what becomes of rows when something goes wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nightjar_catalog::Store;
use nightjar_engine::Session;
use nightjar_errors::Failure;
use nightjar_tests::{TestStore, block_on, values};

/// Writes a file of two rows.
async fn write(session: &Session, path: &Path, first: i64) {
    let sql = format!(
        "COPY (SELECT value AS id, 'the ' || value || ' of them' AS text FROM generate_series({first}, {})) TO '{}' \
         STORED AS PARQUET",
        first + 1,
        path.display()
    );
    values(session, &sql).await;
}

/// A store with `count` files of two rows each in the folder `texts` and a view `v` over them.
async fn store_with_view(seed: u64, count: usize, with: &str) -> (TestStore, PathBuf) {
    let store = TestStore::with_tiny(seed).await;
    let folder = store.scratch().join("texts");
    fs::create_dir(&folder).unwrap();
    let session = store.session();
    for index in 0..count {
        write(&session, &folder.join(format!("{index}.parquet")), index as i64 * 2).await;
    }
    let sql = format!(
        "CREATE MATERIALIZED VIEW v {with} AS SELECT id, text, embed(text, 'tiny') AS e FROM '{}/' WHERE id >= 0",
        folder.display()
    );
    let made = values(&session, &sql).await;
    let (files, rows) = (count.to_string(), (2 * count).to_string());
    assert_eq!(made, [["full", "the view is new", &files, "0", "0", &rows]]);
    (store, folder)
}

async fn refresh(session: &Session) -> Vec<String> {
    values(session, "REFRESH MATERIALIZED VIEW v").await.remove(0)
}

async fn ids(session: &Session) -> String {
    let rows = values(session, "SELECT id FROM v ORDER BY id").await;
    rows.concat().join(" ")
}

/// Puts bytes of the same length and time in the place of a file's: nobody may look at it.
fn make_unreadable(path: &Path) {
    let metadata = fs::metadata(path).unwrap();
    fs::write(path, vec![7; usize::try_from(metadata.len()).unwrap()]).unwrap();
    File::options().write(true).open(path).unwrap().set_modified(metadata.modified().unwrap()).unwrap();
}

fn data_files(store: &Store) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in fs::read_dir(store.root().join("views")).into_iter().flatten().flatten() {
        found.extend(fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()));
    }
    found.retain(|path| path.extension().is_some_and(|ending| ending == "parquet"));
    found
}

#[test]
fn only_what_is_new_or_changed_is_read() {
    block_on(async {
        let (store, folder) = store_with_view(61, 5, "").await;
        let session = store.session();
        assert_eq!(refresh(&session).await, ["nothing", "NULL", "0", "0", "5", "0"]);
        // The first file gives the table its columns.
        for index in 1..5 {
            make_unreadable(&folder.join(format!("{index}.parquet")));
        }
        write(&session, &folder.join("9.parquet"), 100).await;
        assert_eq!(refresh(&session).await, ["incremental", "NULL", "1", "0", "5", "2"]);
        assert_eq!(ids(&session).await, "0 1 2 3 4 5 6 7 8 9 100 101");

        write(&session, &folder.join("3.parquet"), 200).await;
        fs::remove_file(folder.join("2.parquet")).unwrap();
        assert_eq!(refresh(&session).await, ["incremental", "NULL", "1", "2", "4", "2"]);
        assert_eq!(ids(&session).await, "0 1 2 3 8 9 100 101 200 201");
        // The rows are those that the query gives.
        write(&session, &folder.join("1.parquet"), 2).await;
        write(&session, &folder.join("4.parquet"), 8).await;
        refresh(&session).await;
        let query = format!("SELECT id, embed(text, 'tiny') AS e FROM '{}/' ORDER BY id", folder.display());
        assert_eq!(
            values(&session, "SELECT id, e FROM v ORDER BY id").await,
            values(&store.session(), &query).await
        );
    });
}

#[test]
fn a_new_version_of_a_model_makes_all_rows_anew_unless_they_are_kept() {
    block_on(async {
        for (seed, with, keep) in [(62, "", false), (63, "WITH (on_model_change = 'keep')", true)] {
            let (store, folder) = store_with_view(seed, 3, with).await;
            let session = store.session();
            let other = TestStore::new(seed + 100);
            let sql = format!("CREATE OR REPLACE MODEL tiny FROM '{}'", other.tiny().display());
            values(&session, &sql).await;
            write(&session, &folder.join("9.parquet"), 100).await;
            let done = refresh(&session).await;
            let query = format!(
                "SELECT count(*) FROM v JOIN '{}/' t ON v.id = t.id WHERE l2_distance(v.e, embed(t.text, 'tiny')) < 1e-6",
                folder.display()
            );
            let of_now = values(&session, &query).await.concat();
            if keep {
                assert_eq!(done, ["incremental", "NULL", "1", "0", "3", "2"]);
                assert_eq!(of_now, ["2"]);
            } else {
                assert_eq!(done, ["full", "the model has changed: tiny@1 → tiny@2", "4", "3", "0", "8"]);
                assert_eq!(of_now, ["8"]);
            }
            assert_eq!(refresh(&session).await[0], "nothing");
        }
    });
}

#[test]
fn what_a_killed_refresh_leaves_is_no_data_and_is_swept() {
    block_on(async {
        let (store, folder) = store_with_view(64, 2, "").await;
        let (session, opened) = (store.session(), store.open().unwrap());
        let before = data_files(&opened);
        let orphan = before[0].with_file_name("orphan.parquet");
        fs::copy(&before[0], &orphan).unwrap();
        assert_eq!(ids(&session).await, "0 1 2 3");
        // A young one may be somebody's.
        refresh(&session).await;
        assert!(orphan.exists());
        let old = SystemTime::now() - Duration::from_secs(2 * 60 * 60);
        for path in before.iter().chain([&orphan]) {
            File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
        }
        fs::remove_file(folder.join("1.parquet")).unwrap();
        refresh(&session).await;
        assert!(!orphan.exists());
        // What has just left the ledger may still be read.
        assert_eq!(data_files(&opened).len(), before.len());
        assert_eq!(ids(&session).await, "0 1");
    });
}

#[test]
fn what_fails_changes_nothing() {
    block_on(async {
        let (store, folder) = store_with_view(65, 2, "").await;
        let (session, opened) = (store.session(), store.open().unwrap());
        let before = data_files(&opened).len();
        write(&session, &folder.join("8.parquet"), 80).await;
        fs::write(folder.join("9.parquet"), "no parquet at all").unwrap();
        assert!(session.sql("REFRESH MATERIALIZED VIEW v").await.is_err());
        assert_eq!(ids(&session).await, "0 1 2 3");
        assert_eq!(data_files(&opened).len(), before);
    });
}

#[test]
fn one_refresh_at_a_time() {
    block_on(async {
        let (store, folder) = store_with_view(66, 2, "").await;
        let (session, opened) = (store.session(), store.open().unwrap());
        let view = opened.catalog().materialized_view(&"v".into()).unwrap().unwrap();
        let held = opened.view_folder("v", &view.folder).unwrap();
        let error = session.sql("REFRESH MATERIALIZED VIEW v").await.err().unwrap();
        assert_eq!(error.code(), "view_busy");
        assert!(error.retryable());
        drop(held);
        write(&session, &folder.join("9.parquet"), 100).await;
        assert_eq!(refresh(&session).await[0], "incremental");
        // Where no lock can tell, the ledger's generation does.
        let error = opened.catalog().commit_refresh(&view).unwrap_err();
        assert_eq!(error.code(), "view_changed");
        assert_eq!(ids(&session).await, "0 1 2 3 100 101");
    });
}

#[test]
fn a_reader_keeps_the_rows_that_it_was_planned_with() {
    block_on(async {
        let (store, folder) = store_with_view(67, 2, "").await;
        let session = store.session();
        let planned = session.sql("SELECT count(*) FROM v").await.unwrap();
        fs::remove_file(folder.join("0.parquet")).unwrap();
        assert_eq!(refresh(&session).await, ["incremental", "NULL", "0", "1", "1", "0"]);
        assert_eq!(nightjar_tests::cells(&planned.collect().await.unwrap()), [["4"]]);
        assert_eq!(values(&session, "SELECT count(*) FROM v").await, [["2"]]);
    });
}

#[test]
fn any_name_will_do() {
    block_on(async {
        let store = TestStore::with_tiny(68).await;
        let session = store.session();
        let folder = store.scratch().join("a b%20c#de'f é");
        fs::create_dir(&folder).unwrap();
        let quoted = folder.display().to_string().replace('\'', "''");
        let names = ["x y.parquet", "50%25.parquet", "[a]*.parquet", "#?;.parquet", "ü'.parquet"];
        for (index, name) in names.iter().enumerate() {
            let plain = store.scratch().join("plain.parquet");
            write(&session, &plain, index as i64 * 2).await;
            fs::rename(plain, folder.join(name)).unwrap();
        }
        let name = "\"../it's \"\"A\"\" view; DROP\"";
        session
            .sql(&format!("CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{quoted}/'"))
            .await
            .unwrap();
        let sql = format!("CREATE MATERIALIZED VIEW {name} AS SELECT id, text AS \"a b\" FROM t");
        assert_eq!(values(&session, &sql).await.concat()[2..], ["5", "0", "0", "10"]);
        let refreshed = values(&session, &format!("REFRESH MATERIALIZED VIEW {name}")).await.concat();
        assert_eq!(refreshed, ["nothing", "NULL", "0", "0", "5", "0"]);
        let rows = format!("SELECT count(DISTINCT id), count(\"a b\") FROM {name}");
        assert_eq!(values(&store.session(), &rows).await, [["10", "10"]]);
        values(&session, &format!("DROP MATERIALIZED VIEW {name}")).await;
        assert!(values(&session, "SHOW MATERIALIZED VIEWS").await.is_empty());
    });
}

#[test]
fn paths_give_columns() {
    block_on(async {
        let store = TestStore::with_tiny(69).await;
        let session = store.session();
        let copy = |day: u32, id: u32| {
            format!(
                "COPY (SELECT {id} AS id, '{day}' AS day) TO '{}/days/' STORED AS PARQUET PARTITIONED BY (day)",
                store.scratch().display()
            )
        };
        values(&session, &copy(1, 10)).await;
        values(&session, &copy(2, 20)).await;
        let sql = format!(
            "CREATE MATERIALIZED VIEW v AS SELECT d.day, d.id + 1 AS id FROM '{}/days/' d WHERE d.day <> '3'",
            store.scratch().display()
        );
        assert_eq!(values(&session, &sql).await.concat()[2..], ["2", "0", "0", "2"]);
        values(&session, &copy(3, 30)).await;
        values(&session, &copy(4, 40)).await;
        assert_eq!(refresh(&session).await, ["incremental", "NULL", "2", "0", "2", "1"]);
        let rows = values(&session, "SELECT day, id FROM v ORDER BY id").await;
        assert_eq!(rows, [["1", "11"], ["2", "21"], ["4", "41"]]);
    });
}

#[test]
fn an_empty_table_has_its_columns() {
    block_on(async {
        let store = TestStore::with_tiny(70).await;
        let session = store.session();
        let folder = store.scratch().join("empty");
        fs::create_dir(&folder).unwrap();
        let table = format!(
            "CREATE EXTERNAL TABLE t (id BIGINT, text VARCHAR) STORED AS PARQUET LOCATION '{}/'",
            folder.display()
        );
        session.sql(&table).await.unwrap();
        let sql = "CREATE MATERIALIZED VIEW v AS SELECT id, embed(text, 'tiny') AS e FROM t WHERE id > 0";
        assert_eq!(values(&session, sql).await.concat()[2..], ["0", "0", "0", "0"]);
        assert_eq!(values(&session, "SELECT count(*), count(e) FROM v").await, [["0", "0"]]);
        write(&session, &folder.join("1.parquet"), 0).await;
        assert_eq!(refresh(&session).await, ["incremental", "NULL", "1", "0", "0", "1"]);
        assert_eq!(ids(&session).await, "1");
    });
}
