//! Models of text pairs: a call gives what validation measured, in any batches and any company, here and elsewhere.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use datafusion::prelude::{col, lit};
use nightjar_engine::{Session, functions, session_config};
use nightjar_tests::{Fixtures, TestStore, block_on, values};

/// A store with two models of pairs, `counts` and `total`, validated on the view `later`. What `total` reads is cut: 11 tokens to 9.
struct Places {
    _fixtures: Fixtures,
    store: TestStore,
}

impl Places {
    async fn new(seed: u64) -> Self {
        let (store, fixtures) = (TestStore::with_tiny(seed).await, Fixtures::write().await);
        let reviews = fixtures.path().join("reviews.parquet");
        let session = store.session();
        let pairs = format!(
            "SELECT r.id, r.review AS a, s.review AS b, r.stars + s.stars AS stars, \
             CASE WHEN r.label <> s.label THEN 'one' WHEN r.label = 'good' THEN 'both' ELSE 'none' END AS label \
             FROM '{0}' r JOIN '{0}' s ON s.id",
            reviews.display()
        );
        for sql in [
            format!("CREATE VIEW pairs AS {pairs} = (r.id * 7 + r.id / 4) % 60 + 1"),
            format!("CREATE VIEW later AS {pairs} = (r.id * 11 + r.id / 3) % 60 + 1"),
            "CREATE MODEL counts FROM tiny FINE_TUNE ON (SELECT a, b, label FROM pairs) \
             VALIDATE ON (SELECT a, b, label FROM later) WITH (epochs = 2, learning_rate = 5e-3, batch_size = 8)"
                .to_owned(),
            "CREATE MODEL total FROM tiny FINE_TUNE ON (SELECT a, b, stars FROM pairs) TARGET stars \
             VALIDATE ON (SELECT a, b, stars FROM later) WITH (method = 'lora', lora_rank = 4, epochs = 2, \
             learning_rate = 1e-2, batch_size = 8, max_length = 9)"
                .to_owned(),
        ] {
            session.sql(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
        Self { _fixtures: fixtures, store }
    }
}

/// Returns the metrics of the whole, by name.
async fn evaluated(session: &Session, sql: &str) -> BTreeMap<String, f64> {
    let rows = values(session, sql).await.into_iter();
    rows.filter(|row| row[1] == "NULL").map(|row| (row[0].clone(), row[2].parse().unwrap())).collect()
}

#[test]
fn calls_give_what_the_validation_of_the_training_measured() {
    block_on(async {
        let places = Places::new(71).await;
        let (session, store) = (places.store.session(), places.store.open().unwrap());
        for (model, target, names) in [
            ("counts", "label", [("accuracy", "accuracy"), ("log_loss", "validation_loss")]),
            ("total", "stars", [("rmse", "rmse"), ("pearson", "pearson")]),
        ] {
            let measured = store.catalog().model_version(&model.parse().unwrap()).unwrap().card.metrics;
            let sql = format!("EVALUATE MODEL {model} ON (SELECT a, b, {target} FROM later)");
            let found = evaluated(&session, &sql).await;
            for (name, in_card) in names {
                let (found, expected) = (found[name], measured[in_card]);
                assert!((found - expected).abs() < 1e-4, "{name} of {model}: {found}, validation {expected}");
            }
            // Read as anything else, the same rows are measured otherwise.
            let swapped = format!("EVALUATE MODEL {model} ON (SELECT b AS x, a AS y, {target} FROM later)");
            let swapped = evaluated(&session, &swapped).await;
            let differs = |(name, in_card): &(&str, &str)| (swapped[*name] - measured[*in_card]).abs() > 1e-3;
            assert!(names.iter().any(differs), "{swapped:?}");
        }
    });
}

#[test]
fn results_have_the_same_bits_in_any_batches_and_company_in_every_precision() {
    block_on(async {
        let places = Places::new(72).await;
        let pairs = "(SELECT id, n, a, b || ' ' || n AS b FROM pairs, generate_series(1, 5) AS s(n))";
        let alone = format!(
            "SELECT id, n, classify_scores(a, b, 'counts'), predict(a, b) FROM {pairs} ORDER BY id, n"
        );
        let company = format!(
            "SELECT id, n, scores, number FROM (SELECT id, n, classify_scores(a, b, 'counts') AS scores, \
             predict(a, b) AS number, embed(b, 'counts'), similarity(a, b, 'total'), classify(b, a, 'counts'), \
             CASE WHEN n > 2 THEN predict(b, a) END FROM {pairs} UNION ALL \
             SELECT 99, 1, classify_scores('x', a, 'counts'), predict(b, a || 'x'), NULL, NULL, NULL, NULL FROM pairs) \
             WHERE id < 99 ORDER BY id, n"
        );
        for precision in ["f32", "bf16", "int8"] {
            let mut expected: Option<Vec<Vec<String>>> = None;
            for (partitions, batch_size) in [(1, 8192), (4, 100), (3, 33)] {
                let config = session_config().with_target_partitions(partitions).with_batch_size(batch_size);
                let session = places.store.session_with(config);
                values(&session, &format!("SET nightjar.precision = '{precision}'")).await;
                for sql in [&alone, &company] {
                    let found = values(&session, sql).await;
                    assert_eq!(found.len(), 300);
                    assert!(found.iter().flatten().all(|value| value != "NULL"));
                    let expected = expected.get_or_insert_with(|| found.clone());
                    assert!(
                        *expected == found,
                        "{precision}: {partitions} partitions of {batch_size}: {sql}"
                    );
                }
            }
        }
    });
}

#[test]
fn dataframes_call_them_too() {
    block_on(async {
        let places = Places::new(73).await;
        let session = places.store.session();
        let (a, b) = (|| col("a"), || col("b"));
        let rows = session.sql("SELECT id, a, b FROM pairs").await.unwrap();
        let rows = rows
            .filter(functions::classify_pair(a(), b()).is_not_null())
            .unwrap()
            .select([
                col("id"),
                functions::classify_pair(a(), b()).alias("c"),
                functions::classify_pair_with(a(), lit("the hotel is bad"), "counts").alias("d"),
                functions::classify_scores_pair_with(a(), b(), "counts").alias("s"),
                functions::predict_pair_with(a(), b(), "total").alias("p"),
            ])
            .unwrap();
        rows.register("called").unwrap();
        let differ = "SELECT count(*), count(*) FILTER (WHERE c <> classify(a, b, 'counts') OR \
             d <> classify(a, 'the hotel is bad', 'counts') OR s <> classify_scores(a, b) OR p <> predict(a, b)) \
             FROM called JOIN pairs ON called.id = pairs.id";
        assert_eq!(values(&session, differ).await, [["60", "0"]]);
    });
}
