//! A hint is what to type next: each is provoked, typed, and seen to work.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use nightjar_engine::Session;
use nightjar_errors::Failure;
use nightjar_tests::{Fixtures, Places, TestStore, block_on};

/// A mistake, what its hint says, and the statement that somebody types who follows it.
struct Followed {
    wrong: &'static str,
    /// A part of the hint, which is a part of `typed` as well, but for names that the hint can't know.
    hint: &'static str,
    typed: &'static str,
}

const fn followed(wrong: &'static str, hint: &'static str, typed: &'static str) -> Followed {
    Followed { wrong, hint, typed }
}

const HINTS: &[Followed] = &[
    // Training: columns and labels.
    followed(
        r#"CREATE MODEL a FROM tiny FINE_TUNE ON (SELECT review, label AS "Label" FROM reviews) TARGET label WITH (method = 'head')"#,
        r#"TARGET "Label""#,
        r#"CREATE MODEL a FROM tiny FINE_TUNE ON (SELECT review, label AS "Label" FROM reviews) TARGET "Label" WITH (method = 'head')"#,
    ),
    followed(
        "CREATE MODEL b FROM tiny FINE_TUNE ON (SELECT review, label FROM infinite) WITH (method = 'head', task = 'regress')",
        "WHERE abs(label) < 'Infinity'",
        "CREATE MODEL b FROM tiny FINE_TUNE ON (SELECT review, label FROM infinite WHERE abs(label) < 'Infinity') WITH (method = 'head', task = 'regress')",
    ),
    followed(
        r#"CREATE MODEL c FROM tiny FINE_TUNE ON (SELECT review, label AS "Label" FROM infinite) TARGET "Label" WITH (method = 'head', task = 'regress')"#,
        r#"WHERE abs("Label") < 'Infinity'"#,
        r#"CREATE MODEL c FROM tiny FINE_TUNE ON (SELECT * FROM (SELECT review, label AS "Label" FROM infinite) WHERE abs("Label") < 'Infinity') TARGET "Label" WITH (method = 'head', task = 'regress')"#,
    ),
    followed(
        "CREATE MODEL d FROM tiny FINE_TUNE ON (SELECT review, day AS label FROM days) WITH (method = 'head')",
        "CAST(label AS VARCHAR) AS label",
        "CREATE MODEL d FROM tiny FINE_TUNE ON (SELECT review, CAST(label AS VARCHAR) AS label FROM (SELECT review, day AS label FROM days)) WITH (method = 'head')",
    ),
    followed(
        r#"CREATE MODEL e FROM tiny FINE_TUNE ON (SELECT review AS "Review", product, label FROM reviews) WITH (method = 'head')"#,
        r#"FINE_TUNE ON (SELECT "Review" || ' ' || product AS text, label FROM"#,
        r#"CREATE MODEL e FROM tiny FINE_TUNE ON (SELECT "Review" || ' ' || product AS text, label FROM (SELECT review AS "Review", product, label FROM reviews)) WITH (method = 'head')"#,
    ),
    followed(
        "EVALUATE MODEL sentiment ON (SELECT product, review, label FROM reviews)",
        "ON (SELECT review, label FROM",
        "EVALUATE MODEL sentiment ON (SELECT review, label FROM reviews)",
    ),
    // Models: names, labels, texts.
    followed("DESCRIBE MODEL sentimnet", "sentiment", "DESCRIBE MODEL sentiment"),
    followed(
        "SELECT classify(review, ['good']) FROM reviews",
        "classify(review, ['a', 'b'])",
        "SELECT classify(review, ['a', 'b']) FROM reviews LIMIT 1",
    ),
    followed(
        "SELECT classify(review, label) FROM reviews",
        "classify(text, 'model')",
        "SELECT classify(review, 'sentiment') FROM reviews LIMIT 1",
    ),
    followed("SELECT classify(review, 'tiny') FROM reviews", "SHOW MODELS", "SHOW MODELS"),
    // Queries.
    followed("SELECT * FROM no_such_table", "SHOW TABLES", "SHOW TABLES"),
    followed(
        "SELECT * FROM reviews TABLESAMPLE (5)",
        "TABLESAMPLE (5 PERCENT)",
        "SELECT * FROM reviews TABLESAMPLE (5 PERCENT)",
    ),
    followed(
        "SELECT * FROM reviews TABLESAMPLE (BUCKET 1 OUT OF 2)",
        "TABLESAMPLE (100 ROWS)",
        "SELECT * FROM reviews TABLESAMPLE (100 ROWS) REPEATABLE (42)",
    ),
    followed(
        "SELECT label, product, count(*) FROM reviews GROUP BY label, product WITH TOTALS",
        "GROUP BY ROLLUP (",
        "SELECT label, product, count(*) FROM reviews GROUP BY ROLLUP (label, product)",
    ),
    followed(
        "SELECT id FROM reviews ORDER BY stars FETCH FIRST 10 ROWS WITH TIES",
        "QUALIFY rank() OVER (ORDER BY",
        "SELECT id FROM reviews QUALIFY rank() OVER (ORDER BY stars) <= 10",
    ),
    followed(
        "SELECT * FROM reviews PIVOT (sum(id) FOR label IN ('good'))",
        ") FILTER (WHERE ",
        "SELECT sum(id) FILTER (WHERE label = 'good') FROM reviews",
    ),
    followed(
        "SELECT id, (SELECT max(b.id) FROM reviews b WHERE b.id <> a.id) FROM reviews a",
        "JOIN",
        "SELECT a.id, max(b.id) FROM reviews a JOIN reviews b ON b.id <> a.id GROUP BY a.id",
    ),
    followed("EXECUTE asked('good')", "EXECUTE asked(", "EXECUTE asked('good', 2)"),
    followed("EXECUTE asked('good', 2, 3)", "EXECUTE asked(", "EXECUTE asked('good', 2)"),
    followed("SELECT * FROM reviews FOR UPDATE", "leave it out", "SELECT * FROM reviews"),
    followed(
        "SELECT * FROM UNNEST([1, 2]) WITH OFFSET",
        "row_number() OVER ()",
        "SELECT *, row_number() OVER () FROM UNNEST([1, 2])",
    ),
    followed("CREATE SECURE VIEW w AS SELECT 1", "leave it out", "CREATE VIEW w AS SELECT 1"),
    // Tables and views.
    followed(
        "CREATE EXTERNAL TABLE globbed STORED AS PARQUET LOCATION 's3://bucket/*.parquet'",
        "CREATE VIEW t AS SELECT * FROM",
        "CREATE VIEW t AS SELECT * FROM '$FIXTURES/parts/*.parquet'",
    ),
    followed("SHOW MODLES", "SHOW MODELS", "SHOW MODELS"),
];

async fn run(session: &Session, sql: &str) -> Result<(), nightjar_engine::EngineError> {
    session.sql(sql).await?.collect().await?;
    Ok(())
}

#[test]
fn what_a_hint_says_works_when_it_is_typed() {
    block_on(async {
        let (store, fixtures) = (TestStore::with_tiny(32).await, Fixtures::write().await);
        let places = Places(vec![("$FIXTURES", fixtures.path())]);
        let session = store.session();
        for right in [
            "CREATE VIEW reviews AS SELECT * FROM '$FIXTURES/reviews.parquet'",
            "CREATE VIEW infinite AS SELECT review, CASE id WHEN 1 THEN 'inf'::double WHEN 2 THEN '-inf'::double WHEN 3 THEN 'nan'::double ELSE stars END AS label FROM reviews",
            "CREATE VIEW days AS SELECT review, CASE label WHEN 'good' THEN DATE '2026-01-31' ELSE DATE '2026-02-01' END AS day FROM reviews",
            "CREATE MODEL sentiment FROM tiny FINE_TUNE ON (SELECT review, label FROM reviews) WITH (method = 'head')",
            "PREPARE asked AS SELECT id FROM reviews WHERE label = $1 ORDER BY id LIMIT $2",
        ] {
            run(&session, &places.fill(right)).await.expect(right);
        }
        let mut failures = Vec::new();
        for Followed { wrong, hint, typed } in HINTS {
            let said = match run(&session, &places.fill(wrong)).await {
                Ok(()) => {
                    failures.push(format!("{wrong}\n  is no mistake"));
                    continue;
                }
                Err(error) => error.hint().unwrap_or_else(|| format!("no hint: {error}")),
            };
            if !said.contains(hint) {
                failures.push(format!("{wrong}\n  {hint} is not in: {said}"));
            }
            if let Err(error) = run(&session, &places.fill(typed)).await {
                failures.push(format!("{typed}\n  was typed as the hint says ({said}), and: {error}"));
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    });
}
