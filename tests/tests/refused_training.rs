//! A CREATE MODEL that is refused leaves no run and no files; one that trains is shown to TensorBoard by model and version.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::Path;

use nightjar_tests::{Fixtures, TestStore, block_on};

/// Returns the names in a folder, none if it is not there.
fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_refused_training_leaves_nothing() {
    block_on(async {
        let (store, fixtures) = (TestStore::with_tiny(34).await, Fixtures::write().await);
        let session = store.session();
        let file = fixtures.path().join("reviews.parquet");
        session.sql(&format!("CREATE VIEW reviews AS SELECT * FROM '{}'", file.display())).await.unwrap();
        for rows in [
            "(SELECT review, label FROM nowhere)",
            "(SELECT review, lable FROM reviews)",
            "(SELECT review FROM reviews)",
            "(SELECT review, label FROM reviews) TARGET nope",
            "(SELECT review, label FROM reviews) VALIDATE ON (SELECT nope FROM reviews)",
            "(SELECT review, label FROM reviews WHERE false)",
            "(SELECT review, label FROM reviews WHERE label = 'good')",
            "(SELECT CAST(NULL AS TEXT) AS review, label FROM reviews)",
        ] {
            for method in ["head", "full", "lora"] {
                let sql = format!("CREATE MODEL m FROM tiny FINE_TUNE ON {rows} WITH (method = '{method}')");
                let refused = session.sql(&sql).await;
                assert!(refused.is_err(), "{sql}");
            }
        }
        assert!(store.open().unwrap().catalog().training_runs().unwrap().is_empty());
        assert_eq!(names(&store.root().join("runs")), [""; 0]);
        assert_eq!(names(&store.root().join("tensorboard")), [""; 0]);
    });
}

#[test]
fn tensorboard_shows_runs_by_model_and_version() {
    block_on(async {
        let (store, fixtures) = (TestStore::with_tiny(35).await, Fixtures::write().await);
        let session = store.session();
        let file = fixtures.path().join("reviews.parquet");
        for version in 1..=2 {
            let sql = format!(
                "CREATE OR REPLACE MODEL m FROM tiny FINE_TUNE ON (SELECT review, label FROM '{}') WITH (epochs = {version})",
                file.display()
            );
            session.sql(&sql).await.unwrap().collect().await.unwrap();
        }
        let folder = store.root().join("tensorboard");
        let mut runs = names(&folder);
        runs.sort();
        assert_eq!(runs, ["m@1", "m@2"]);
        let events = names(&folder.join("m@2"));
        assert!(matches!(&events[..], [name] if name.starts_with("events.out.tfevents.")), "{events:?}");
        // SHOW TRAINING numbers the epochs of each run.
        let shown = session.sql("SHOW TRAINING OF m").await.unwrap().collect().await.unwrap();
        let epochs = shown.iter().flat_map(|batch| {
            let epoch = batch.column_by_name("epoch").unwrap().clone();
            let epoch =
                epoch.as_any().downcast_ref::<datafusion::arrow::array::UInt32Array>().unwrap().clone();
            epoch.iter().flatten().collect::<Vec<_>>()
        });
        assert_eq!(epochs.collect::<Vec<_>>(), [1, 1, 2]);
    });
}
