//! A hint is what to type next: each is provoked, typed, and seen to work. Those that no test can follow stand in
//! `hints/unexecuted.txt` with the reason; a hint that is in neither list fails the test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "hints/sources.rs"]
mod sources;

use std::collections::BTreeSet;

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
    // Names: the nearest, and those that there are.
    followed("SELECT lable FROM reviews", "did you mean label?", "SELECT label FROM reviews"),
    followed("SELECT nope", "'nope'", "SELECT 'nope'"),
    followed("SELECT * FROM review", "did you mean reviews?", "SELECT * FROM reviews"),
    followed("SELECT uper(label) FROM reviews", "did you mean upper?", "SELECT upper(label) FROM reviews"),
    followed("SELECT no_such_function(1)", "SHOW FUNCTIONS", "SHOW FUNCTIONS"),
    followed(
        "SELECT id FROM reviews a JOIN reviews b ON a.id = b.id",
        "t.id",
        "SELECT a.id FROM reviews a JOIN reviews b ON a.id = b.id",
    ),
    followed("SELECT * FROM nowhere.t", "CREATE SCHEMA nowhere", "CREATE SCHEMA nowhere"),
    followed("CREATE SCHEMA nowhere", "CREATE SCHEMA IF NOT EXISTS", "CREATE SCHEMA IF NOT EXISTS nowhere"),
    followed("DROP SCHEMA gone", "CREATE SCHEMA gone", "CREATE SCHEMA gone"),
    followed("DROP TABLE nope", "SHOW TABLES", "SHOW TABLES"),
    followed("RUN JOB nope", "SHOW JOBS", "SHOW JOBS"),
    followed("CANCEL RUN 99", "SHOW RUNS", "SHOW RUNS"),
    followed("REFRESH MATERIALIZED VIEW nope", "SHOW MATERIALIZED VIEWS", "SHOW MATERIALIZED VIEWS"),
    followed("SET nope = 1", "SHOW ALL", "SHOW ALL"),
    followed(
        "CREATE MODEL sentiment FROM tiny",
        "CREATE MODEL IF NOT EXISTS",
        "CREATE MODEL IF NOT EXISTS sentiment FROM tiny",
    ),
    followed(
        "SELECT classify(review, 'sentiment@9') FROM reviews",
        "'sentiment' has version 1",
        "SELECT classify(review, 'sentiment@1') FROM reviews LIMIT 1",
    ),
    followed("CREATE MODEL g FROM tiny WITH (epochs = 1)", "leave WITH out", "CREATE MODEL g FROM tiny"),
    // Calls.
    followed("SELECT sum(review) FROM reviews", "SHOW FUNCTIONS LIKE 'sum'", "SHOW FUNCTIONS LIKE 'sum'"),
    followed("SELECT sum() FROM reviews", "SHOW FUNCTIONS LIKE 'sum'", "SHOW FUNCTIONS LIKE 'sum'"),
    followed(
        "SELECT rank() FROM reviews",
        "row_number() OVER (ORDER BY id)",
        "SELECT row_number() OVER (ORDER BY id) FROM reviews",
    ),
    followed(
        "SELECT rank() OVER nope FROM reviews",
        "WINDOW nope AS (ORDER BY id)",
        "SELECT rank() OVER nope FROM reviews WINDOW nope AS (ORDER BY id)",
    ),
    followed(
        "SELECT label, sum(id) FROM reviews",
        "min(reviews.label)",
        "SELECT min(reviews.label), sum(id) FROM reviews",
    ),
    followed(
        "SELECT id FROM reviews HAVING id > 1",
        "WHERE reviews.id > 1",
        "SELECT id FROM reviews WHERE reviews.id > 1",
    ),
    followed(
        "SELECT count(DISTINCT id, label) FROM reviews",
        "count(DISTINCT named_struct('a', ",
        "SELECT count(DISTINCT named_struct('a', id, 'b', label)) FROM reviews",
    ),
    followed("SELECT substr(review) FROM reviews", ", 1, 10)", "SELECT substr(review, 1, 10) FROM reviews"),
    followed(
        "SELECT embed(id, 'tiny') FROM reviews",
        "AS VARCHAR)",
        "SELECT embed(CAST(id AS VARCHAR), 'tiny') FROM reviews LIMIT 1",
    ),
    followed(
        "SELECT accuracy(DISTINCT label, review) FROM reviews",
        "leave DISTINCT out",
        "SELECT accuracy(label, review) FROM reviews",
    ),
    followed(
        "SELECT id FROM reviews WHERE review LIKE ANY ('a')",
        "OR between them",
        "SELECT id FROM reviews WHERE review LIKE '%a%' OR review LIKE '%b%'",
    ),
    // Statements and clauses.
    followed("SELECT 1 AS a, 2 AS a", " AS other", "SELECT 1 AS highest, 2 AS other"),
    followed("SELECT $1 + 1", "PREPARE p AS SELECT $1 + 1", "PREPARE p AS SELECT $1 + 1"),
    followed("EXECUTE q(1)", "PREPARE q AS SELECT", "PREPARE q AS SELECT $1 + 1"),
    followed("BEGIN", "leave it out", "SELECT 1"),
    followed("CREATE INDEX i ON kept (a)", "leave it out", "SELECT a FROM kept"),
    followed("INSERT INTO kept DEFAULT VALUES", "VALUES (", "INSERT INTO kept VALUES (2)"),
    followed(
        "MERGE INTO kept USING reviews ON true WHEN MATCHED THEN DELETE",
        "INSERT OVERWRITE ",
        "INSERT OVERWRITE files SELECT 1 AS a",
    ),
    followed(
        "CREATE VIEW IF NOT EXISTS v AS SELECT 1",
        "CREATE OR REPLACE VIEW v AS SELECT",
        "CREATE OR REPLACE VIEW v AS SELECT 1",
    ),
    followed(
        "CREATE OR ALTER VIEW v AS SELECT 1",
        "CREATE OR REPLACE VIEW",
        "CREATE OR REPLACE VIEW v AS SELECT 1",
    ),
    followed("SELECT * RENAME (id AS x) FROM reviews", " AS x", "SELECT id AS x, label FROM reviews"),
    followed("SELECT * FROM reviews WITH (NOLOCK)", "leave the hints out", "SELECT * FROM reviews"),
    followed("SELECT TOP 5 PERCENT id FROM reviews", "LIMIT 10", "SELECT id FROM reviews LIMIT 10"),
    followed("SELECT TOP 5 id FROM reviews LIMIT 3", "LIMIT 10", "SELECT id FROM reviews LIMIT 10"),
    followed("SELECT * FROM TABLE(range(1, 3))", "FROM range(1, 10)", "SELECT * FROM range(1, 10)"),
    followed(
        "SELECT id FROM reviews UNPIVOT (v FOR n IN (id, stars))",
        "UNION ALL",
        "SELECT 'id' AS n, id AS v FROM reviews UNION ALL SELECT 'stars', stars FROM reviews",
    ),
    followed(
        "SELECT * FROM reviews CONNECT BY PRIOR id = id",
        "WITH RECURSIVE",
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT * FROM n",
    ),
    followed(
        "SELECT a.id FROM reviews a ASOF JOIN reviews b MATCH_CONDITION (a.id > b.id)",
        "QUALIFY row_number() OVER (PARTITION BY ",
        "SELECT a.id FROM reviews a JOIN reviews b ON a.id > b.id QUALIFY row_number() OVER (PARTITION BY a.id ORDER BY b.id DESC) = 1",
    ),
    followed(
        "COPY (SELECT 1 AS a) TO '$SCRATCH/x.nope'",
        "STORED AS PARQUET",
        "COPY (SELECT 1 AS a) TO '$SCRATCH/x.nope' STORED AS PARQUET",
    ),
];

async fn run(session: &Session, sql: &str) -> Result<(), nightjar_engine::EngineError> {
    session.sql(sql).await?.collect().await?;
    Ok(())
}

#[test]
fn what_a_hint_says_works_when_it_is_typed() {
    block_on(async {
        let (store, fixtures) = (TestStore::with_tiny(32).await, Fixtures::write().await);
        let places = Places(vec![("$FIXTURES", fixtures.path().to_owned()), ("$SCRATCH", store.scratch())]);
        let session = store.session();
        for right in [
            "CREATE VIEW reviews AS SELECT * FROM '$FIXTURES/reviews.parquet'",
            "CREATE VIEW infinite AS SELECT review, CASE id WHEN 1 THEN 'inf'::double WHEN 2 THEN '-inf'::double WHEN 3 THEN 'nan'::double ELSE stars END AS label FROM reviews",
            "CREATE VIEW days AS SELECT review, CASE label WHEN 'good' THEN DATE '2026-01-31' ELSE DATE '2026-02-01' END AS day FROM reviews",
            "CREATE MODEL sentiment FROM tiny FINE_TUNE ON (SELECT review, label FROM reviews) WITH (method = 'head')",
            "CREATE TEMPORARY TABLE kept AS SELECT 1 AS a",
            "CREATE EXTERNAL TABLE files (a BIGINT) STORED AS PARQUET LOCATION '$SCRATCH/files/'",
            "PREPARE asked AS SELECT id FROM reviews WHERE label = $1 ORDER BY id LIMIT $2",
        ] {
            run(&session, &places.fill(right)).await.expect(right);
        }
        let (mut failures, mut all_said) = (Vec::new(), Vec::new());
        for Followed { wrong, hint, typed } in HINTS {
            let said = match run(&session, &places.fill(wrong)).await {
                Ok(()) => {
                    failures.push(format!("{wrong}\n  is no mistake"));
                    continue;
                }
                Err(error) => error.hint().unwrap_or_else(|| format!("no hint: {error}")),
            };
            all_said.push(said.clone());
            if !said.contains(hint) {
                failures.push(format!("{wrong}\n  {hint} is not in: {said}"));
            }
            if let Err(error) = run(&session, &places.fill(typed)).await {
                failures.push(format!("{typed}\n  was typed as the hint says ({said}), and: {error}"));
            }
        }
        failures.extend(unaccounted(&all_said));
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    });
}

/// Hints that no statement of this file provokes: a line each, `file: text: reason`, of the text as much as tells it apart.
const UNEXECUTED: &str = include_str!("hints/unexecuted.txt");

/// Returns the hints of the code that were neither said nor have a reason, and the reasons of hints that there are not or that were
/// said.
fn unaccounted(said: &[String]) -> Vec<String> {
    let lines = UNEXECUTED.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let reasons: Vec<[&str; 3]> = lines
        .map(|line| {
            let parts: Vec<&str> = line.split(" | ").collect();
            parts.try_into().unwrap_or_else(|_| panic!("not 'file | text | reason': {line}"))
        })
        .collect();
    let mut used = BTreeSet::new();
    let mut failures = Vec::new();
    for hint in sources::hints() {
        let reason =
            reasons.iter().position(|[file, text, _]| hint.file == *file && hint.text.starts_with(text));
        let executed = said.iter().any(|said| hint.is_in(said));
        match reason {
            Some(reason) => drop(used.insert(reason)),
            None if executed => {}
            None => {
                failures.push(format!("neither executed nor with a reason: {} | {}", hint.file, hint.text))
            }
        }
    }
    let unused = reasons.iter().enumerate().filter(|(index, _)| !used.contains(index));
    failures.extend(unused.map(|(_, [file, text, _])| format!("a reason without a hint: {file} | {text}")));
    failures
}
