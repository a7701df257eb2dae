//! What a precision promises across partitions, sessions and cards.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use nightjar_engine::session_config;
use nightjar_tests::{Fixtures, TestStore, block_on, values};

#[test]
fn results_have_the_same_bits_for_any_partitions_and_batches_in_every_precision() {
    block_on(async {
        let (store, fixtures) = (TestStore::with_tiny(11).await, Fixtures::write().await);
        let file = fixtures.path().join("reviews.parquet");
        // Ten times the rows, each text another one, so that there are several groups and partitions.
        let sql = format!(
            "SELECT id, n, embed(review || ' ' || n, 'tiny') AS v FROM '{}', generate_series(1, 10) AS s(n) \
             ORDER BY id, n",
            file.display()
        );
        for precision in ["f32", "bf16", "int8"] {
            let mut expected = None;
            for (partitions, batch_size) in [(1, 8192), (4, 100), (7, 33)] {
                let config = session_config().with_target_partitions(partitions).with_batch_size(batch_size);
                let session = store.session_with(config);
                values(&session, &format!("SET nightjar.precision = '{precision}'")).await;
                let found = values(&session, &sql).await;
                assert_eq!(found.len(), 600);
                let expected = expected.get_or_insert_with(|| found.clone());
                assert!(*expected == found, "{precision}: {partitions} partitions, batches of {batch_size}");
            }
        }
    });
}

#[test]
fn a_base_s_card_tells_the_fidelity_of_its_faster_precisions() {
    block_on(async {
        let store = TestStore::with_tiny(12).await;
        let version = store.open().unwrap().catalog().model_version(&"tiny".parse().unwrap()).unwrap();
        let metrics: Vec<_> = version.card.metrics.iter().collect();
        let names: Vec<_> = metrics.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["bf16_cosine_mean", "bf16_cosine_min", "int8_cosine_mean", "int8_cosine_min"]);
        assert!(metrics.iter().all(|(_, value)| (0.95..1.0).contains(*value)), "{metrics:?}");
        let described = values(&store.session(), "DESCRIBE MODEL tiny").await;
        assert!(described.iter().any(|row| row[0] == "metric int8_cosine_mean"), "{described:?}");
    });
}
