//! Nothing internal reaches a user: hundreds of wrong statements, and what their answers must not hold.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;

use nightjar_engine::Session;
use nightjar_errors::{Failure, plain_words};
use nightjar_sql::{STATEMENTS, parse_statements};
use nightjar_tests::{Fixtures, TestStore, block_on};

/// What only the programmers of this or of a library can read.
const INTERNAL: &[&str] = &[
    "Ident {",
    "Identifier(",
    "Component error",
    "Os {",
    "External(",
    "External error",
    "ArrowError",
    "Internal error",
    "bug in DataFusion",
    "filing a bug report",
    "ParserError",
    "Span(",
    "Some(",
    "None,",
    "Utf8(\"",
    "Int64(",
    "DataFusion error",
    "IoError",
    "datafusion_",
    "arrow_",
    "sqlparser",
    "core::",
    "std::",
    ".rs:",
    "Backtrace",
    "backtrace",
    "Field {",
    "OuterReferenceColumn",
    "This feature is not implemented",
    "Error during planning",
    "Execution error",
    "Physical plan does not support",
    "DataFusionError",
    "nightjar_catalog",
    "panicked",
    "Custom {",
    "kind: ",
    "ScalarSubquery",
    "Expr::",
    "ast node",
    "Object Store error",
    "Parquet error",
    "Schema error",
    "SQL error",
];

/// Calls of functions with arguments of every kind, right for some.
fn calls() -> Vec<String> {
    let functions = [
        "sum",
        "avg",
        "upper",
        "date_trunc",
        "abs",
        "round",
        "substr",
        "to_timestamp",
        "array_sort",
        "named_struct",
        "regexp_like",
        "embed",
        "classify",
        "classify_scores",
        "predict",
        "similarity",
        "cosine_similarity",
        "count_tokens",
        "accuracy",
        "roc_auc",
        "log_loss",
        "no_such_function",
    ];
    let arguments = [
        "",
        "review",
        "id",
        "NULL",
        "review, review, review, review",
        "DISTINCT review, id",
        "DATE '2026-01-31'",
        "[1, 2]",
        "nope",
        "*",
        "review, 'no_such_model'",
        "review => 1",
    ];
    let of =
        |function: &str| arguments.map(|arguments| format!("SELECT {function}({arguments}) FROM reviews"));
    functions.iter().flat_map(|function| of(function)).collect()
}

fn queries() -> Vec<String> {
    let mut all: Vec<String> = [
        "SELECT", "SELECT 1 +", "SELECT FROM", "SELEC 1", "SELECT (1", "SELECT 'open", "SELECT \"open", "SELECT 1)",
        "SELECT nope FROM reviews", "SELECT r.nope FROM reviews r", "SELECT x.id FROM reviews r", "SELECT a.b.c.d.e FROM reviews a",
        "SELECT id FROM nope", "SELECT id FROM no.such.table", "SELECT id FROM a.b.c.d", "SELECT id FROM nightjar.nope",
        "SELECT id.x FROM reviews", "SELECT review.x.y FROM reviews", "SELECT id[1] FROM reviews", "SELECT review['a'] FROM reviews",
        "SELECT id FROM reviews WHERE review", "SELECT id FROM reviews WHERE id = 'abc'", "SELECT id FROM reviews WHERE sum(id) > 1",
        "SELECT id FROM reviews WHERE id IN (SELECT id, review FROM reviews)", "SELECT id FROM reviews WHERE id > (SELECT id FROM reviews)",
        "SELECT id, sum(id) FROM reviews", "SELECT id FROM reviews HAVING id > 1", "SELECT id FROM reviews GROUP BY 7",
        "SELECT id FROM reviews GROUP BY nope", "SELECT id FROM reviews ORDER BY nope", "SELECT id FROM reviews ORDER BY 9",
        "SELECT id FROM reviews LIMIT 'x'", "SELECT id FROM reviews LIMIT -1", "SELECT id FROM reviews LIMIT id",
        "SELECT id FROM reviews OFFSET -1", "SELECT id FROM reviews UNION SELECT id, review FROM reviews",
        "SELECT id FROM reviews EXCEPT ALL BY NAME SELECT 1", "SELECT id FROM reviews JOIN reviews USING (nope)",
        "SELECT id FROM reviews a JOIN reviews b ON a.id = b.id", "SELECT a.id FROM reviews a JOIN reviews b ON nope = b.id",
        "SELECT a.id FROM reviews a ASOF JOIN reviews b MATCH_CONDITION (a.id > b.id)", "SELECT a.id FROM reviews a CROSS APPLY reviews b",
        "SELECT id FROM reviews PIVOT (sum(id) FOR label IN ('good'))", "SELECT id FROM reviews UNPIVOT (v FOR n IN (id, stars))",
        "SELECT * FROM JSON_TABLE('[1]', '$[*]' COLUMNS (a INT PATH '$'))", "SELECT * FROM TABLE(range(1, 3))",
        "SELECT * FROM UNNEST([1]) WITH OFFSET", "SELECT * FROM UNNEST(1)", "SELECT * FROM no_such_function(1)",
        "SELECT * FROM reviews FOR UPDATE", "SELECT * FROM reviews WITH (NOLOCK)", "SELECT * FROM reviews TABLESAMPLE (5)",
        "SELECT * FROM reviews TABLESAMPLE (BUCKET 1 OUT OF 2)", "SELECT * FROM reviews CONNECT BY PRIOR id = id",
        "SELECT id FROM reviews a WHERE id = (SELECT max(b.id) FROM reviews b WHERE b.id <> a.id)",
        "SELECT a.id, l.n FROM reviews a CROSS JOIN LATERAL (SELECT upper(a.review) AS n FROM reviews b WHERE b.id <> a.id) l",
        "SELECT (SELECT max(b.id) FROM reviews b WHERE b.id > a.id) FROM reviews a",
        "SELECT CAST('x' AS INT)", "SELECT CAST('x' AS NOPE)", "SELECT 'x'::date", "SELECT DATE '2026-99-99'", "SELECT 1 / 0",
        "SELECT INTERVAL 'x' DAY", "SELECT 9223372036854775807 + 1", "SELECT 'a' + 1", "SELECT 'a' AND true", "SELECT -'a'", "SELECT NOT 1",
        "SELECT [1, 'a', DATE '2026-01-01']", "SELECT [1][", "SELECT {a: 1", "SELECT CASE WHEN 1 THEN END", "SELECT x -> x + 1",
        "SELECT id LIKE ANY ('a') FROM reviews", "SELECT review ILIKE 5 FROM reviews", "SELECT review ~ '(' FROM reviews",
        "SELECT regexp_replace(review, '(', '') FROM reviews", "SELECT rank() FROM reviews", "SELECT rank() OVER nope FROM reviews",
        "SELECT sum(id) OVER (ROWS BETWEEN 1 FOLLOWING AND 1 PRECEDING) FROM reviews", "SELECT sum(sum(id)) FROM reviews",
        "SELECT count(DISTINCT id, review) FROM reviews", "SELECT max(id) FILTER (WHERE review) FROM reviews",
        "SELECT string_agg(review) FROM reviews", "SELECT percentile_cont(2) WITHIN GROUP (ORDER BY id) FROM reviews",
        "SELECT DISTINCT ON (nope) id FROM reviews", "SELECT * EXCLUDE (nope) FROM reviews", "SELECT * REPLACE (1 AS nope) FROM reviews",
        "SELECT * RENAME (nope AS x) FROM reviews", "SELECT nope.* FROM reviews", "SELECT 1 AS a, 2 AS a", "SELECT $1", "SELECT :x", "SELECT @x", "SELECT ?",
        "WITH a AS (SELECT 1), a AS (SELECT 2) SELECT 1", "WITH RECURSIVE a AS (SELECT 1) SELECT * FROM nope", "WITH a AS (SELECT * FROM b) SELECT 1 FROM a",
        "VALUES (1), (1, 2)", "VALUES (1), ('a', NULL)", "TABLE nope", "EXPLAIN nope", "EXPLAIN EXPLAIN SELECT 1", "EXPLAIN (FORMAT nope) SELECT 1",
        "DESCRIBE nope", "SHOW nope", "SHOW COLUMNS FROM nope", "SHOW CREATE TABLE nope", "SET nope = 1", "SET nightjar.nope = 1",
        "SET nightjar.precision = 'x'", "SET datafusion.execution.batch_size = 'x'", "SET TIME ZONE 'Nowhere/City'", "RESET nope",
        "INSERT INTO nope VALUES (1)", "INSERT INTO reviews VALUES (1)", "INSERT INTO kept VALUES (1, 2, 3)", "INSERT INTO kept (nope) VALUES (1)",
        "INSERT INTO kept VALUES ('x')", "INSERT INTO kept VALUES (1) ON CONFLICT DO NOTHING", "INSERT INTO kept VALUES (1) RETURNING a",
        "INSERT OR REPLACE INTO kept VALUES (1)", "INSERT INTO kept DEFAULT VALUES", "INSERT INTO kept PARTITION (a = 1) SELECT 1", "INSERT INTO kept SELECT nope",
        "UPDATE kept SET a = 2", "UPDATE nope SET a = 2", "DELETE FROM kept WHERE a = 1", "DELETE FROM nope", "TRUNCATE kept", "MERGE INTO kept USING reviews ON true WHEN MATCHED THEN DELETE",
        "COPY nope TO 'x.csv'", "COPY (SELECT 1 AS a) TO 'x'", "COPY (SELECT 1 AS a) TO '/proc/nope/x.csv'", "COPY (SELECT 1 AS a) TO 'x.nope'",
        "COPY (SELECT 1 AS a) TO 'x.csv' STORED AS NOPE", "COPY (SELECT 1 AS a) TO 'x.csv' OPTIONS ('nope' '1')", "COPY (SELECT 1 AS a) TO 'x/' STORED AS CSV PARTITIONED BY (nope)",
        "COPY (SELECT nope) TO 'x.csv'", "COPY (SELECT 1 AS a) TO 'nope://b/x.csv'", "COPY (SELECT 1 AS a) TO 's3://'",
        "CREATE TABLE kept (a INT)", "CREATE TABLE t (a NOPE)", "CREATE TABLE t (a INT, a INT)", "CREATE TABLE t (a INT CHECK (a > 1))", "CREATE TABLE t (a INT REFERENCES u (b))",
        "CREATE TABLE t (a INT) PARTITION BY (a)", "CREATE TABLE t LIKE kept", "CREATE TEMPORARY TABLE t AS SELECT 1 AS a", "CREATE TABLE t AS SELECT nope",
        "CREATE TABLE t AS SELECT 1 AS a, 2 AS a", "CREATE VIEW v AS SELECT nope", "CREATE VIEW v AS SELECT * FROM v", "CREATE VIEW v (a, b) AS SELECT 1", "CREATE VIEW IF NOT EXISTS v AS SELECT 1",
        "CREATE SECURE VIEW v AS SELECT 1", "CREATE EXTERNAL TABLE t LOCATION 'x'", "CREATE EXTERNAL TABLE t STORED AS NOPE LOCATION 'x'",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/no/such/folder/'", "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '/no/such.parquet'", "CREATE EXTERNAL TABLE t (a NOPE) STORED AS CSV LOCATION 'x/'",
        "CREATE EXTERNAL TABLE t STORED AS CSV OPTIONS ('nope' 'x') LOCATION 'x/'", "CREATE EXTERNAL TABLE t STORED AS PARQUET PARTITIONED BY (nope) LOCATION 'x/'", "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION 's3://bucket/*.csv'",
        "CREATE FUNCTION f(x INT) RETURNS INT RETURN x", "CREATE INDEX i ON kept (a)", "CREATE SEQUENCE s", "CREATE DATABASE", "CREATE ROLE r", "CREATE TRIGGER t BEFORE INSERT ON kept EXECUTE FUNCTION f()",
        "DROP TABLE nope", "DROP VIEW nope", "DROP SCHEMA nope", "DROP INDEX i", "DROP FUNCTION f", "DROP DATABASE d", "ALTER TABLE kept ADD COLUMN b INT", "ALTER VIEW v AS SELECT 1", "GRANT SELECT ON kept TO x", "REVOKE ALL ON kept FROM x",
        "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT s", "CALL f()", "ANALYZE kept", "VACUUM", "LOAD 'x'", "USE nope", "KILL 1", "LISTEN x", "DECLARE c CURSOR FOR SELECT 1", "FETCH NEXT FROM c", "CLOSE c", "LOCK TABLE kept",
        "PREPARE p AS SELECT nope", "PREPARE p AS SELECT $1 FROM nope", "PREPARE p(NOPE) AS SELECT $1", "EXECUTE nope(1)", "DEALLOCATE nope", "EXECUTE asked(1, 2, 3)", "EXECUTE asked('x')", "EXECUTE asked(id)",
        "DROP MODEL nope", "DESCRIBE MODEL nope", "SHOW VERSIONS OF nope", "SHOW TRAINING OF nope", "EVALUATE MODEL nope ON reviews", "ALTER MODEL nope SET DEFAULT", "PROMOTE MODEL nope", "RESUME TRAINING OF nope", "DISCARD TRAINING OF nope",
        "CREATE MODEL m FROM tiny FINE_TUNE ON (SELECT nope FROM reviews)", "CREATE MODEL m FROM tiny FINE_TUNE ON nope", "CREATE MODEL m FROM tiny FINE_TUNE ON (SELECT id FROM reviews)",
        "CREATE MODEL m FROM nope FINE_TUNE ON (SELECT review, label FROM reviews)", "CREATE MODEL m FROM tiny FINE_TUNE ON (SELECT review, label FROM reviews) WITH (nope = 1)",
        "CREATE MODEL m FROM tiny FINE_TUNE ON (SELECT review, label FROM reviews) WITH (epochs = 'x')", "CREATE MODEL m FROM tiny FINE_TUNE ON (SELECT review, label FROM reviews WHERE false)", "CREATE MODEL m FROM '/no/such/folder'",
        "CREATE MODEL m FROM tiny FINE_TUNE ON (SELECT review, label FROM reviews) TARGET nope", "CREATE MODEL tiny FROM '/no/such/folder'",
        "RUN JOB nope", "DROP JOB nope", "PAUSE JOB nope", "SHOW LOG OF RUN 99", "CANCEL RUN 99", "CREATE JOB j SCHEDULE 'x' AS SELECT 1", "CREATE JOB j SCHEDULE '0 0 * * *' AS SELECT nope FROM nope",
        "REFRESH MATERIALIZED VIEW nope", "DROP MATERIALIZED VIEW nope", "CREATE MATERIALIZED VIEW w AS SELECT nope", "CREATE MATERIALIZED VIEW w AS SELECT 1 AS a, 2 AS a",
    ]
    .map(str::to_owned)
    .to_vec();
    for to in [
        "INT",
        "DATE",
        "TIMESTAMP",
        "BOOLEAN",
        "DECIMAL(3, 1)",
        "INTERVAL",
        "BYTEA",
        "DOUBLE",
        "TIME",
        "INT[]",
        "STRUCT<a INT>",
    ] {
        all.push(format!("SELECT CAST('x y' AS {to})"));
        all.push(format!("SELECT CAST(review AS {to}) FROM reviews"));
    }
    all
}

/// Files that are missing, are folders, or hold something else than their ending says.
fn files(folder: &std::path::Path) -> Vec<String> {
    let mut all = Vec::new();
    for ending in [
        "parquet", "arrow", "avro", "json", "ndjson", "csv.gz", "csv.zst", "json.bz2", "csv.xz", "csv", "pdf",
    ] {
        for (kind, bytes) in
            [("garbage", &b"\x00\xff{not [this"[..]), ("empty", b""), ("cut", b"PAR1ARROW1Obj\x01")]
        {
            let file = folder.join(format!("{kind}.{ending}"));
            fs::write(&file, bytes).expect("a wrong file");
            all.push(format!("SELECT * FROM '{}'", file.display()));
            all.push(format!("SELECT count(nope) FROM '{}'", file.display()));
        }
        let missing = folder.join(format!("missing.{ending}"));
        all.push(format!("SELECT * FROM '{}'", missing.display()));
        // A file in the place of a folder.
        all.push(format!("SELECT * FROM '{}/garbage.{ending}/x.parquet'", folder.display()));
        all.push(format!("COPY (SELECT 1 AS a) TO '{}/garbage.csv/x.{ending}'", folder.display()));
    }
    all
}

/// Returns what a user could not read in an answer.
fn internal(statement: &str, message: &str, hint: Option<&str>) -> Option<String> {
    let answer = format!("{message}; hint: {}", hint.unwrap_or_default());
    let internal = INTERNAL.iter().find(|word| answer.contains(**word) && !statement.contains(**word));
    if let Some(word) = internal {
        return Some(format!("{word:?} in the answer to\n  {statement}\n  {answer}"));
    }
    // What the terminal shows is the same.
    let shown = plain_words(message);
    (shown != message.trim()).then(|| format!("not what is shown: {statement}\n  {message}\n  {shown}"))
}

async fn answer(session: &Session, sql: &str) -> Result<(), nightjar_engine::EngineError> {
    session.sql(sql).await?.collect().await?;
    Ok(())
}

#[test]
fn answers_to_wrong_statements_hold_nothing_internal() {
    block_on(async {
        let (store, fixtures) = (TestStore::with_tiny(31).await, Fixtures::write().await);
        let session = store.session();
        for right in [
            &format!(
                "CREATE VIEW reviews AS SELECT * FROM '{}'",
                fixtures.path().join("reviews.parquet").display()
            ),
            "CREATE TABLE kept AS SELECT 1 AS a",
            "PREPARE asked AS SELECT id FROM reviews WHERE id = $1 LIMIT $2",
        ] {
            answer(&session, right).await.expect(right);
        }
        let (mut failed, mut unreadable) = (BTreeSet::new(), Vec::new());
        let scratch = tempfile::tempdir().expect("a folder");
        let here = scratch.path().display();
        let placed = |sql: String| {
            let sql = sql.replace(" TO 'x", &format!(" TO '{here}/x"));
            sql.replace("LOCATION 'x", &format!("LOCATION '{here}/x"))
        };
        for sql in calls().into_iter().chain(queries().into_iter().map(placed)).chain(files(scratch.path())) {
            if let Err(error) = answer(&session, &sql).await {
                unreadable.extend(internal(&sql, &error.to_string(), error.hint().as_deref()));
                failed.insert(sql);
            }
        }
        assert!(unreadable.is_empty(), "{}", unreadable.join("\n"));
        assert!(failed.len() >= 300, "only {} statements are wrong", failed.len());
    });
}

#[test]
fn our_statements_with_any_word_missing_doubled_or_wrong_are_answered_in_words() {
    let (mut wrong, mut unreadable) = (0, Vec::new());
    for kind in STATEMENTS {
        let words: Vec<&str> = kind.example.split_whitespace().collect();
        for at in 0..words.len() {
            let (before, after) = (words[..at].join(" "), words[at + 1..].join(" "));
            let word = words[at];
            for broken in [
                format!("{before} {after}"),
                format!("{before} {word} {word} {after}"),
                format!("{before} 42 {after}"),
                format!("{before} ('x {after}"),
                before.clone(),
            ] {
                if let Err(error) = parse_statements(&broken) {
                    unreadable.extend(internal(&broken, &error.to_string(), error.hint().as_deref()));
                    wrong += 1;
                }
            }
        }
    }
    assert!(unreadable.is_empty(), "{}", unreadable.join("\n"));
    assert!(wrong >= 300, "only {wrong} statements are wrong");
}
