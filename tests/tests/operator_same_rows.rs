//! Lifting changes plans, never rows: each query runs with the rule, without it, and by a plan that was sent through the
//! codec. Optimized a second time, as a scheduler does, a plan stays what it is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::Schema;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::collect;
use datafusion_proto::bytes::{
    physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
};
use datafusion_proto::physical_plan::DefaultPhysicalExtensionCodec;
use nightjar_engine::{Session, physical_codec, session_config};
use nightjar_tests::{Fixtures, TestStore, block_on};

const QUERIES: &[&str] = &[
    // Branches.
    "SELECT id, CASE WHEN id % 3 = 0 THEN classify(t) WHEN id % 3 = 1 THEN classify(t, 'products') ELSE label END FROM r",
    "SELECT id, CASE product WHEN 'phone' THEN classify(t) WHEN classify(t, 'products') THEN 'same' ELSE classify(upper(t)) END FROM r",
    "SELECT id, CASE classify(t) WHEN 'good' THEN classify(t, 'products') WHEN label THEN classify(label) END FROM r",
    "SELECT id, CASE WHEN classify(t) = 'good' THEN CASE WHEN classify(t, 'products') = 'phone' THEN classify(product) ELSE 'x' END ELSE classify(label) END FROM r",
    "SELECT id, CASE WHEN NULLIF(helpful, true) THEN classify(t) WHEN NOT NULLIF(helpful, true) THEN classify(t, 'products') ELSE classify(label) END FROM r",
    "SELECT id, coalesce(NULLIF(classify(t), 'good'), NULLIF(classify(t, 'products'), 'phone'), classify(label), 'none') FROM r",
    "SELECT id, nvl(NULLIF(classify(t), 'good'), classify(product)), nvl2(NULLIF(label, 'good'), classify(t), classify(product)) FROM r",
    "SELECT id, greatest(classify(t), label), NULLIF(classify(t), label), least(classify(t), classify(label)) FROM r",
    "SELECT id, helpful AND classify(t) = 'good' OR classify(t, 'products') = 'phone' AND NOT helpful FROM r",
    "SELECT id, NOT (helpful OR classify(t) = 'good') AND (id < 9 OR classify(label) = 'good' OR id > 50) FROM r",
    "SELECT id, CASE WHEN helpful AND classify(t) = 'good' THEN predict(t) WHEN id > 30 THEN similarity(t, label) ELSE stars END FROM r",
    "SELECT id, classify(t) IN ('good', label), classify(t) BETWEEN 'a' AND label, classify(t) LIKE 'g%' FROM r",
    "SELECT id FROM r WHERE CASE WHEN helpful THEN classify(t) = 'good' ELSE classify(t, 'products') = 'phone' END",
    "SELECT id FROM r WHERE (classify(t) = 'good' OR id < 10) AND (classify(t, 'products') = 'phone' OR id > 40) AND id <> 7",
    "SELECT id, similarity(CASE WHEN helpful THEN t END, CASE WHEN id > 5 THEN label END) FROM r",
    "SELECT id, CASE WHEN helpful THEN similarity(t, 'good') WHEN id < 20 THEN similarity('bad', t) END FROM r",
    "SELECT id, CASE WHEN helpful THEN embed(t)[1] END, CASE WHEN NOT helpful THEN embed(t)[1] END, CASE WHEN id < 5 THEN embed(t)[1] END FROM r",
    "SELECT id, CASE WHEN 1 = 2 THEN classify(t) ELSE 'z' END, CASE WHEN 1 = 1 THEN classify(t) ELSE 'z' END FROM r",
    // Nested calls.
    "SELECT id, classify(classify(t), 'products'), similarity(classify(t), classify(t, 'products')) FROM r",
    "SELECT id, CASE WHEN helpful THEN classify(classify(t), 'products') ELSE classify(t) END FROM r",
    "SELECT id, classify(CASE WHEN classify(t) = 'good' THEN product ELSE label END, 'products') FROM r",
    "SELECT id, cosine_similarity(embed(t), embed(label)) = similarity(t, label) FROM r",
    "SELECT id, classify(t, ['x', 'y']), classify(t, ['y', 'x']), classify_scores(t, ['x', 'y'])[1]['label'] FROM r",
    // Aggregates, windows, order.
    "SELECT classify(t) AS c, product, count(*), max(classify(label)) FROM r GROUP BY c, product",
    "SELECT classify(t), grouping(classify(t)), product, count(*) FROM r GROUP BY CUBE (classify(t), product)",
    "SELECT CASE WHEN helpful THEN classify(t) END AS c, count(*) FROM r GROUP BY GROUPING SETS ((c), ())",
    "SELECT product, count(*) FILTER (WHERE classify(t) = 'good'), max(classify(t, 'products')) FILTER (WHERE helpful), count(DISTINCT classify(t)) FROM r GROUP BY product",
    "SELECT product, array_agg(classify(t) ORDER BY classify(t, 'products'), id) FILTER (WHERE classify(t) = 'good' AND id < 20) FROM r GROUP BY product",
    "SELECT product FROM r GROUP BY product HAVING count(DISTINCT classify(t)) > 1 AND classify(product) = 'good'",
    "SELECT classify(max(t)), max(classify(t)) FROM r",
    "SELECT id, lag(classify(t)) OVER (PARTITION BY CASE WHEN helpful THEN classify(t, 'products') END ORDER BY similarity(t, 'good'), id) FROM r",
    "SELECT id, count(*) FILTER (WHERE classify(t) = 'good') OVER (ORDER BY id) FROM r",
    "SELECT id, classify(t) AS c FROM r QUALIFY row_number() OVER (PARTITION BY classify(t) ORDER BY id) <= 2",
    "SELECT id FROM r ORDER BY CASE WHEN helpful THEN classify(t) ELSE classify(t, 'products') END, id LIMIT 7",
    "SELECT id, c FROM (SELECT id, t, classify(t) AS c FROM r ORDER BY id LIMIT 9) WHERE c = classify(t) ORDER BY id DESC LIMIT 4",
    "SELECT DISTINCT ON (classify(t)) classify(t), id FROM r ORDER BY classify(t), id",
    // Joins.
    "SELECT a.id, b.n FROM r a JOIN n b ON classify(a.t, 'products') = b.product",
    "SELECT a.id, b.n FROM r a LEFT JOIN n b ON classify(a.t, 'products') = b.product AND (a.helpful OR classify(b.t) = 'good')",
    "SELECT a.id, b.n FROM r a RIGHT JOIN n b ON classify(a.t, 'products') = b.product AND classify(a.t) = 'good' AND b.n > 1",
    "SELECT a.id, b.n FROM r a FULL JOIN n b ON classify(a.t, 'products') = b.product AND classify(b.t) = 'good'",
    "SELECT a.id, b.n, similarity(a.t, b.t) FROM r a FULL JOIN n b ON similarity(a.t, b.t) > 0.9 AND a.id < 10",
    "SELECT a.id, b.id FROM r a JOIN r b ON a.id = b.id - 1 AND classify(a.t) = classify(b.t) AND classify(a.t || b.t) = 'good'",
    "SELECT a.id, b.n, classify(a.t), classify(b.t), classify(coalesce(b.t, 'bad')) FROM r a LEFT JOIN n b ON a.product = b.product AND classify(coalesce(b.t, 'bad')) = 'good' AND classify(b.t) = classify(a.t)",
    "SELECT a.id, b.n FROM r a CROSS JOIN n b WHERE classify(a.t) = classify(b.t) OR similarity(a.t, b.t) > 0.9",
    "SELECT a.id, b.n FROM r a CROSS JOIN n b WHERE classify(a.t || coalesce(b.t, '')) = 'good' AND CASE WHEN b.n = 1 THEN classify(a.t) END = 'good'",
    "SELECT a.id, b.n FROM r a LEFT JOIN n b ON a.product = b.product WHERE classify(b.t) IS NULL OR classify(a.t) = 'good'",
    "SELECT a.id, b.n, c.n FROM r a JOIN n b ON classify(a.t, 'products') = b.product LEFT JOIN n c ON similarity(b.t, c.t) > 0.99 AND classify(c.t) = classify(a.t)",
    "SELECT b.n FROM n b LEFT SEMI JOIN r a ON classify(a.t, 'products') = b.product AND similarity(a.t, b.t) > 0.5",
    "SELECT b.n FROM n b LEFT ANTI JOIN r a ON classify(a.t, 'products') = b.product AND classify(b.t) = 'good'",
    "SELECT product, max(classify(t)) FROM (SELECT r.product, r.t FROM r JOIN n USING (product)) GROUP BY product",
    "SELECT * FROM (SELECT id, classify(t) AS c FROM r) a NATURAL JOIN (SELECT id, classify(t, 'products') AS p FROM r) b WHERE c = 'good' AND p <> 'phone'",
    // Subqueries, sets, names.
    "SELECT id FROM r a WHERE EXISTS (SELECT 1 FROM n b WHERE similarity(a.t, b.t) > 0.9 AND classify(b.t) = classify(a.t))",
    "SELECT id FROM r WHERE classify(t, 'products') NOT IN (SELECT product FROM n WHERE product IS NOT NULL AND classify(t) = 'good')",
    "SELECT id FROM r WHERE classify(t, 'products') NOT IN (SELECT product FROM n)",
    "SELECT id, (SELECT max(classify(b.t)) FROM n b WHERE b.product = a.product) FROM r a",
    "SELECT id, similarity(t, (SELECT min(t) FROM r)), CASE WHEN helpful THEN similarity(t, (SELECT max(t) FROM r)) END FROM r",
    "SELECT id, classify(t || (SELECT min(label) FROM r)), classify(classify(t) || (SELECT min(label) FROM r)) FROM r",
    "SELECT id FROM r WHERE CASE WHEN id = (SELECT min(id) FROM r) THEN classify(t) ELSE classify(label) END = 'good'",
    "SELECT a.id, b.c FROM r a, LATERAL (SELECT classify(n.t) AS c FROM n WHERE n.product = a.product AND classify(a.t) = 'good') b",
    "SELECT classify(t) FROM r UNION ALL SELECT CASE WHEN n > 1 THEN classify(t) END FROM n",
    "SELECT classify(t, 'products') FROM r INTERSECT SELECT product FROM n",
    "WITH c AS (SELECT id, t, classify(t) AS l FROM r) SELECT a.id, b.l, classify(b.t, 'products') FROM c a JOIN c b ON a.id = b.id AND a.l = b.l WHERE classify(a.t) = 'good'",
    "SELECT classify(t) FROM (SELECT product AS t, t AS product, id FROM r WHERE classify(t) = 'good') WHERE classify(product) = classify(t)",
    "SELECT t, classify(t) FROM (SELECT classify(t) AS t FROM r WHERE classify(t) = 'good')",
    "SELECT a.t, classify(a.t) FROM (SELECT b.t FROM (SELECT label AS t FROM r WHERE classify(t) = 'good') b) a",
    "SELECT c, count(*) FROM (SELECT classify(t) AS c FROM r) GROUP BY 1",
    "SELECT id, unnest([classify(t), CASE WHEN helpful THEN classify(t, 'products') END]) FROM r",
    // Nothing to encode.
    "SELECT classify(t), CASE WHEN helpful THEN classify(t, 'products') END FROM r WHERE false",
    "SELECT max(classify(t)), count(classify(t)) FROM r WHERE id < 0",
    "SELECT classify(x), similarity(x, x) FROM (SELECT CAST(NULL AS VARCHAR) AS x FROM r)",
    "SELECT a.id FROM r a JOIN (SELECT * FROM n WHERE n > 99) b ON similarity(a.t, b.t) > 0",
    "SELECT id, CASE WHEN id > 60 THEN classify(t) END, CASE WHEN id > 60 THEN 1 / (id - id) END FROM r",
];

async fn session(store: &TestStore, lifting: bool) -> Session {
    let session = store.session_with(session_config().with_target_partitions(3).with_batch_size(16));
    if !lifting {
        assert!(session.context().remove_optimizer_rule("lift_model_calls"), "the rule was there");
    }
    session
}

async fn rows(session: &Session, sql: &str) -> Result<Vec<String>, String> {
    let rows = session.sql(sql).await.map_err(|error| error.to_string())?;
    let batches = rows.collect().await.map_err(|error| error.to_string())?;
    Ok(lines(&batches))
}

fn lines(batches: &[RecordBatch]) -> Vec<String> {
    // By place: DataFusion's own planner, which the plans that are sent come from, names columns otherwise.
    let placed: Vec<RecordBatch> = batches
        .iter()
        .map(|batch| {
            let fields = batch.schema_ref().fields().iter().enumerate();
            let fields: Vec<_> =
                fields.map(|(place, field)| field.as_ref().clone().with_name(place.to_string())).collect();
            RecordBatch::try_new(Arc::new(Schema::new(fields)), batch.columns().to_vec())
                .expect("the same columns")
        })
        .collect();
    let printed = pretty_format_batches(&placed).expect("printable rows").to_string();
    let mut lines: Vec<String> = printed.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Returns the rows of the plan as another process would run it.
async fn sent_rows(session: &Session, sql: &str) -> Result<Vec<String>, String> {
    let codec = physical_codec(Arc::new(DefaultPhysicalExtensionCodec {}));
    let context = session.context().task_ctx();
    let send = async {
        let plan = session.context().sql(sql).await?.create_physical_plan().await?;
        let sent = physical_plan_to_bytes_with_extension_codec(plan, codec.as_ref())?;
        let plan = physical_plan_from_bytes_with_extension_codec(&sent, &context, codec.as_ref())?;
        collect(plan, Arc::clone(&context)).await
    };
    let batches = send.await.map_err(|error: DataFusionError| error.to_string())?;
    Ok(lines(&batches))
}

/// Returns how many operators and calls a plan has once optimized, and once optimized again.
async fn twice_optimized(session: &Session, sql: &str) -> [(usize, usize); 2] {
    let state = session.context().state();
    let once = state.optimize(&state.create_logical_plan(sql).await.expect(sql)).expect(sql);
    let twice = state.optimize(&once).unwrap_or_else(|error| panic!("{sql}: {error}\n{once}"));
    [once, twice].map(|plan| {
        let shown = plan.display_indent().to_string();
        (shown.matches("Infer: ").count(), shown.matches(" AS __infer").count())
    })
}

#[test]
fn lifting_changes_no_row() {
    block_on(async {
        let (store, fixtures) = (TestStore::with_tiny(51).await, Fixtures::write().await);
        let here = store.session();
        let folder = fixtures.path().display().to_string();
        for statement in [
            format!("CREATE VIEW r AS SELECT id, review AS t, label, stars, helpful, product FROM '{folder}/parts/'"),
            "CREATE VIEW n AS SELECT * FROM (VALUES (1, 'phone', 'the phone is great'), (2, 'hotel', 'the hotel is bad'), (3, NULL, NULL), (4, 'movie', '')) AS v(n, product, t)".to_owned(),
            "CREATE MODEL sentiment FROM tiny FINE_TUNE ON (SELECT t, label FROM r) WITH (method = 'head', regularization = 10)".to_owned(),
            "CREATE MODEL products FROM tiny FINE_TUNE ON (SELECT t, product AS label FROM r) WITH (method = 'head', regularization = 10)".to_owned(),
            "CREATE MODEL stars FROM tiny FINE_TUNE ON (SELECT t, stars AS label FROM r) WITH (method = 'head', regularization = 10)".to_owned(),
            "SET nightjar.classify_model = 'sentiment'".to_owned(),
        ] {
            here.sql(&statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
        let (lifted, plain) = (session(&store, true).await, session(&store, false).await);
        let mut wrong = Vec::new();
        for sql in QUERIES {
            let [once, twice] = twice_optimized(&lifted, sql).await;
            if once != twice {
                wrong.push(format!("{sql}\n  once: {once:?}\n  twice: {twice:?}"));
            }
            // DataFusion's own codec loses the FILTER of a window function.
            let sendable = !sql.contains("FILTER (WHERE classify(t) = 'good') OVER");
            match (rows(&lifted, sql).await, sent_rows(&lifted, sql).await) {
                (Ok(here), Ok(there)) if here == there || !sendable => {}
                (here, there) => wrong.push(format!("{sql}\n  here: {here:?}\n  there: {there:?}")),
            }
            match (rows(&lifted, sql).await, rows(&plain, sql).await) {
                (Ok(found), Ok(expected)) if found == expected => {}
                (found, expected) => wrong.push(format!("{sql}\n  lifted: {found:?}\n  plain: {expected:?}")),
            }
        }
        assert!(wrong.is_empty(), "{} of {} queries\n{}", wrong.len(), QUERIES.len(), wrong.join("\n"));
    });
}
