//! EVALUATE MODEL: what it tells besides its rows, that it is one plan, and that the aggregates give the same figures.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::{Arc, Mutex};

use nightjar_engine::{EngineError, Session};
use nightjar_statements::Watch;
use nightjar_tests::{Fixtures, TestStore, block_on, values};

/// Keeps what a statement tells.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Told {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Watch for Told {
    fn phase(&self, name: &str, unit: &str, total: Option<u64>) {
        let total = total.map_or_else(String::new, |total| total.to_string());
        self.0.lock().unwrap().push(format!("phase: {name} {total} {unit}"));
    }

    fn position(&self, _: u64) {}
    fn note(&self, _: &str) {}

    fn warn(&self, message: &str) {
        self.0.lock().unwrap().push(format!("warning: {message}"));
    }
}

struct Places {
    _fixtures: Fixtures,
    _store: TestStore,
    session: Session,
    told: Arc<Told>,
}

/// Returns a session that has the models `sentiment` and `stars` and the view `reviews`.
async fn places(seed: u64) -> Places {
    let (store, fixtures) = (TestStore::with_tiny(seed).await, Fixtures::write().await);
    let told = Arc::new(Told::default());
    let session = store.session().with_watch(Arc::clone(&told) as Arc<dyn Watch>);
    let reviews = fixtures.path().join("reviews.parquet");
    for sql in [
        format!("CREATE VIEW reviews AS SELECT * FROM '{}'", reviews.display()),
        "CREATE MODEL sentiment FROM tiny FINE_TUNE ON (SELECT review, label FROM reviews) WITH (regularization = 10)"
            .to_owned(),
        "CREATE MODEL stars FROM tiny FINE_TUNE ON (SELECT review, stars FROM reviews) TARGET stars".to_owned(),
    ] {
        session.sql(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    told.take();
    Places { _fixtures: fixtures, _store: store, session, told }
}

/// Returns a metric among the rows of EVALUATE; of the whole, where no class is given.
fn metric(rows: &[Vec<String>], name: &str, class: &str) -> f64 {
    let found = rows.iter().find(|row| row[0] == name && row[1] == class);
    found.unwrap_or_else(|| panic!("no {name} of {class} in {rows:?}"))[2].parse().unwrap()
}

#[test]
fn rows_that_do_not_count_unseen_labels_and_long_texts_are_told() {
    block_on(async {
        let Places { session, told, .. } = &places(61).await;
        let rows = "SELECT CASE WHEN id <= 2 THEN NULL WHEN id = 5 THEN repeat('good ', 300) ELSE review END AS review, \
                    CASE WHEN id = 2 OR id = 3 THEN NULL WHEN id = 10 THEN '9' WHEN id < 13 THEN '10' ELSE label END AS label \
                    FROM reviews";
        let evaluated = values(session, &format!("EVALUATE MODEL sentiment ON ({rows})")).await;
        assert_eq!(metric(&evaluated, "rows", "NULL"), 57.0);
        assert_eq!(metric(&evaluated, "support", "9"), 1.0);
        assert!(evaluated.iter().all(|row| row[0] != "roc_auc"), "{evaluated:?}");
        let told = told.take();
        assert!(told[0].starts_with("phase: evaluating"), "{told:?}");
        let warnings: Vec<&str> = told[1..].iter().map(String::as_str).collect();
        assert_eq!(warnings.len(), 4, "{told:?}");
        assert!(warnings[0].starts_with("warning: 1 texts were longer than the window of"), "{warnings:?}");
        assert_eq!(
            warnings[1..],
            [
                "warning: 3 rows with NULL as review or label were left out",
                "warning: the model has never seen the label '10'; its rows count as wrong",
                "warning: the model has never seen the label '9'; its rows count as wrong",
            ]
        );
    });
}

#[test]
fn the_aggregates_give_what_evaluate_gives() {
    block_on(async {
        let Places { session, .. } = &places(62).await;
        let rows =
            "SELECT review, stars, CASE WHEN id % 4 = 0 THEN 'bad' ELSE label END AS label FROM reviews";
        let sql = format!(
            "WITH judged AS (SELECT *, classify(review, 'sentiment') AS said, classify_scores(review, 'sentiment') AS scores, \
                 predict(review, 'stars') AS predicted FROM ({rows})) \
             SELECT accuracy(label, said), precision(label, said), recall(label, said), f1(label, said), log_loss(label, scores), \
                 roc_auc(label, scores, 'good'), precision(label, said, 'bad'), recall(label, said, 'good'), f1(label, said, 'good'), \
                 rmse(stars, predicted), mae(stars, predicted), r2(stars, predicted), pearson(stars, predicted), \
                 spearman(stars, predicted) FROM judged"
        );
        let by_aggregates = values(session, &sql).await.pop().unwrap();
        let by_evaluate =
            values(session, &format!("EVALUATE MODEL sentiment ON (SELECT review, label FROM ({rows}))"))
                .await;
        let of_stars =
            values(session, &format!("EVALUATE MODEL stars ON (SELECT review, stars FROM ({rows}))")).await;
        let names = [
            ("accuracy", "NULL"),
            ("macro_precision", "NULL"),
            ("macro_recall", "NULL"),
            ("macro_f1", "NULL"),
            ("log_loss", "NULL"),
            ("roc_auc", "NULL"),
            ("precision", "bad"),
            ("recall", "good"),
            ("f1", "good"),
            ("rmse", "NULL"),
            ("mae", "NULL"),
            ("r2", "NULL"),
            ("pearson", "NULL"),
            ("spearman", "NULL"),
        ];
        for ((name, class), found) in names.into_iter().zip(by_aggregates) {
            let rows = if ["rmse", "mae", "r2", "pearson", "spearman"].contains(&name) {
                &of_stars
            } else {
                &by_evaluate
            };
            let (expected, found) = (metric(rows, name, class), found.parse::<f64>().unwrap());
            assert!((found - expected).abs() <= 5.1e-7, "{name} {class}: {found}, EVALUATE says {expected}");
        }
    });
}

#[test]
fn a_target_that_is_no_finite_number_is_refused() {
    block_on(async {
        let Places { session, told, .. } = &places(63).await;
        for (value, shown) in [("'NaN'", "NaN"), ("'inf'", "inf"), ("'-inf'", "-inf")] {
            let sql = format!(
                "EVALUATE MODEL stars ON (SELECT review, CASE WHEN id = 7 THEN CAST({value} AS DOUBLE) ELSE stars END AS stars FROM reviews)"
            );
            let error: EngineError = session.sql(&sql).await.err().expect("no number");
            assert_eq!(
                error.to_string(),
                format!("the target 'stars' holds {shown}, which is no finite number")
            );
        }
        // Nobody asks about a row that does not count.
        let rows = "SELECT CASE WHEN id = 7 THEN NULL ELSE review END AS review, \
                    CASE WHEN id = 7 THEN CAST('NaN' AS DOUBLE) WHEN id = 8 THEN NULL ELSE stars END AS stars FROM reviews";
        told.take();
        let evaluated = values(session, &format!("EVALUATE MODEL stars ON ({rows})")).await;
        assert_eq!(metric(&evaluated, "rows", "NULL"), 58.0);
        assert!(
            told.take().contains(&"warning: 2 rows with NULL as review or stars were left out".to_owned())
        );
    });
}
