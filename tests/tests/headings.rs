//! Columns are named as they were typed, in results, files, tables and views.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use nightjar_engine::Session;
use nightjar_tests::{Fixtures, TestStore, block_on};

async fn headings(session: &Session, sql: &str) -> Vec<String> {
    let rows = session.sql(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    rows.schema().fields().iter().map(|field| field.name().clone()).collect()
}

#[test]
fn columns_without_a_name_have_the_text_that_was_typed() {
    block_on(async {
        let (store, fixtures) = (TestStore::with_tiny(33).await, Fixtures::write().await);
        let session = store.session();
        let file = fixtures.path().join("reviews.parquet");
        let view = format!("CREATE VIEW reviews AS SELECT * FROM '{}'", file.display());
        session.sql(&view).await.unwrap();
        let cases: &[(&str, &[&str])] = &[
            (
                "SELECT classify('the battery died', ['a', 'b'])",
                &["classify('the battery died', ['a', 'b'])"],
            ),
            ("SELECT 1, 'x', NULL, 1.5", &["1", "'x'", "NULL", "1.5"]),
            ("SELECT 1, 1", &["1", "1_1"]),
            ("SELECT count(*), max(id) FROM reviews", &["count(*)", "max(id)"]),
            (
                "SELECT id, r.label, id + 1, CAST(id AS TEXT) FROM reviews r",
                &["id", "label", "id + 1", "CAST(id AS TEXT)"],
            ),
            (
                "SELECT upper(label) FROM reviews GROUP BY upper(label) ORDER BY upper(label)",
                &["upper(label)"],
            ),
            ("SELECT DISTINCT upper(label) FROM reviews ORDER BY upper(label) DESC", &["upper(label)"]),
            ("SELECT id + 1 FROM reviews UNION BY NAME SELECT id + 1 FROM reviews", &["id + 1"]),
            ("SELECT DISTINCT ON (label) label, id FROM reviews ORDER BY label, id", &["label", "id"]),
            ("(SELECT id * 2 FROM reviews) UNION ALL (SELECT id FROM reviews)", &["id * 2"]),
            (
                "SELECT id * 2 FROM reviews WHERE EXISTS (SELECT 1) AND id IN (SELECT id + 1 FROM reviews)",
                &["id * 2"],
            ),
            (
                "SELECT upper(label) FROM reviews UNION ALL SELECT lower(label) FROM reviews",
                &["upper(label)"],
            ),
            (
                "SELECT label, count(*) FROM reviews GROUP BY 1 HAVING count(*) > 1 ORDER BY count(*), 1",
                &["label", "count(*)"],
            ),
            ("SELECT row_number() OVER (ORDER BY id) FROM reviews", &["row_number() OVER (ORDER BY id)"]),
            ("SELECT (SELECT max(id) FROM reviews)", &["(SELECT max(id) FROM reviews)"]),
            ("SELECT * FROM (SELECT upper(label) FROM reviews)", &["upper(label)"]),
            ("SELECT [named_struct('a', id)][1].a FROM reviews", &["[named_struct('a', id)][1].a"]),
            ("SELECT id AS n, (id) FROM reviews", &["n", "id"]),
            (
                "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT i * 2 FROM n",
                &["i * 2"],
            ),
        ];
        for (sql, expected) in cases {
            assert_eq!(headings(&session, sql).await, *expected, "{sql}");
            session.sql(sql).await.unwrap().collect().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
        // What is made from a query has the names that the query shows.
        session.sql("CREATE TABLE t AS SELECT upper(label), 1 FROM reviews").await.unwrap();
        assert_eq!(headings(&session, "SELECT * FROM t").await, ["upper(label)", "1"]);
        session.sql("CREATE VIEW v AS SELECT upper(label), 1 FROM reviews").await.unwrap();
        assert_eq!(headings(&session, "SELECT * FROM v").await, ["upper(label)", "1"]);
        let written = store.scratch().join("named.csv");
        session.sql(&format!("COPY (SELECT upper('a'), 1) TO '{}'", written.display())).await.unwrap();
        let text = std::fs::read_to_string(&written).unwrap();
        assert_eq!(text.lines().next(), Some("upper('a'),1"));
    });
}
