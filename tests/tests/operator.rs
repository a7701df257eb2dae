//! The model operator at work: what it keeps of its input, what it encodes, and where it stops.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{Int32Type, Int64Type};
use datafusion::logical_expr::{Extension, LogicalPlan, lit};
use datafusion::physical_plan::{
    ExecutionPlan, ExecutionPlanProperties, collect_partitioned, execute_stream,
};
use futures::StreamExt;
use nightjar_engine::infer::{InferCall, InferExec, InferNode};
use nightjar_engine::{Session, session_config};
use nightjar_tests::{Fixtures, TestStore, block_on};

/// Returns a store with the model `tiny`, and the fixture files.
async fn store(seed: u64) -> (TestStore, Fixtures) {
    (TestStore::with_tiny(seed).await, Fixtures::write().await)
}

/// Returns the plan of a query, in which `$reviews` is the reviews' file and `$parts` the folder of its three parts.
async fn plan(session: &Session, fixtures: &Fixtures, sql: &str) -> Arc<dyn ExecutionPlan> {
    let folder = fixtures.path().display().to_string();
    let sql = sql
        .replace("$reviews", &format!("'{folder}/reviews.parquet'"))
        .replace("$parts", &format!("'{folder}/parts/'"));
    let rows = session.context().sql(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    rows.create_physical_plan().await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn operators(plan: &Arc<dyn ExecutionPlan>) -> Vec<Arc<dyn ExecutionPlan>> {
    let mut found: Vec<_> = plan.children().into_iter().flat_map(operators).collect();
    if plan.downcast_ref::<InferExec>().is_some() {
        found.push(Arc::clone(plan));
    }
    found
}

/// Returns a metric of the only operator, summed over its partitions.
fn metric(plan: &Arc<dyn ExecutionPlan>, name: &str) -> usize {
    let operators = operators(plan);
    assert_eq!(operators.len(), 1, "one operator");
    let metrics = operators[0].metrics().expect("metrics");
    metrics.sum_by_name(name).unwrap_or_else(|| panic!("the metric {name}")).as_usize()
}

fn ids(batches: &[RecordBatch]) -> Vec<i64> {
    batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
}

#[test]
fn only_the_rows_of_a_branch_are_encoded() {
    block_on(async {
        let (store, fixtures) = store(41).await;
        let session = store.session();
        // 60 distinct reviews, 20 of each product, ids 1 to 60.
        for (sql, encoded) in [
            ("SELECT CASE WHEN product = 'phone' THEN embed(review) END FROM $reviews", 20),
            ("SELECT CASE WHEN product = 'phone' THEN NULL ELSE embed(review) END FROM $reviews", 40),
            (
                "SELECT CASE product WHEN 'phone' THEN NULL WHEN 'hotel' THEN embed(review) END FROM $reviews",
                20,
            ),
            ("SELECT CASE WHEN id > 60 THEN embed(review) END FROM $reviews", 0),
            ("SELECT CASE WHEN NULLIF(id, id) > 1 THEN embed(review) ELSE NULL END FROM $reviews", 0),
            ("SELECT CASE WHEN NULLIF(id, id) > 1 THEN NULL ELSE embed(review) END FROM $reviews", 60),
            ("SELECT coalesce(CASE WHEN id > 7 THEN 1.0 END, embed(review)[1]) FROM $reviews", 7),
            ("SELECT nvl(CASE WHEN id > 7 THEN 1.0 END, embed(review)[1]) FROM $reviews", 7),
            ("SELECT CASE WHEN id < 11 THEN embed(review) ELSE embed(upper(review)) END FROM $reviews", 60),
            ("SELECT id FROM $reviews WHERE id < 11 OR embed(review)[1] > 2", 50),
            ("SELECT id < 11 AND embed(review)[1] > 2 FROM $reviews", 10),
            ("SELECT count(embed(review)) FILTER (WHERE product = 'phone') FROM $reviews", 20),
            (
                "SELECT CASE WHEN id < 11 THEN CASE WHEN id > 5 THEN try_embed(review) END END FROM $reviews",
                5,
            ),
            (
                "SELECT CASE WHEN id < 11 THEN embed(review) END, CASE WHEN id < 21 THEN embed(review) END FROM $reviews",
                20,
            ),
        ] {
            let plan = plan(&session, &fixtures, sql).await;
            collect_partitioned(Arc::clone(&plan), session.context().task_ctx()).await.expect(sql);
            assert_eq!(metric(&plan, "distinct_texts"), encoded, "{sql}");
            assert_eq!(metric(&plan, "rows"), 60, "{sql}");
        }
    });
}

#[test]
fn rows_keep_their_order_and_their_partitions() {
    block_on(async {
        let (store, fixtures) = store(42).await;
        for batch_size in [1, 7, 8192] {
            // A partition that is done would read another's file: then no two runs split the rows alike.
            let config = session_config()
                .with_target_partitions(3)
                .with_batch_size(batch_size)
                .set_bool("datafusion.execution.enable_file_stream_work_stealing", false);
            let session = store.session_with(config);
            // Planned twice: a scan's partitions hand out its files once.
            let sql = "SELECT id, embed(review) AS e FROM $parts";
            let operator = operators(&plan(&session, &fixtures, sql).await).pop().expect("the operator");
            let again = operators(&plan(&session, &fixtures, sql).await).pop().expect("the operator");
            let below = Arc::clone(again.children()[0]);
            assert_eq!(
                operator.output_partitioning().partition_count(),
                below.output_partitioning().partition_count()
            );
            let context = session.context().task_ctx();
            let expected = collect_partitioned(below, Arc::clone(&context)).await.unwrap();
            let found = collect_partitioned(operator, context).await.unwrap();
            let ids_of = |parts: &[Vec<RecordBatch>]| parts.iter().map(|part| ids(part)).collect::<Vec<_>>();
            assert_eq!(ids_of(&found), ids_of(&expected), "batches of {batch_size}");
            assert_eq!(ids_of(&found).concat().len(), 60);
        }
    });
}

#[test]
fn an_order_below_needs_no_sort_above() {
    block_on(async {
        let (store, fixtures) = store(43).await;
        let session = store.session();
        let sql = "SELECT id, row_number() OVER (ORDER BY id) AS n FROM (SELECT id, embed(review) AS e FROM (SELECT * FROM $reviews ORDER BY id LIMIT 50)) WHERE e[1] < 2 ORDER BY id";
        let plan = plan(&session, &fixtures, sql).await;
        let shown = datafusion::physical_plan::displayable(plan.as_ref()).indent(true).to_string();
        assert_eq!(shown.matches("SortExec").count(), 1, "{shown}");
        let batches = datafusion::physical_plan::collect(plan, session.context().task_ctx()).await.unwrap();
        assert_eq!(ids(&batches), (1..=50).collect::<Vec<_>>());
    });
}

#[test]
fn a_limit_above_what_the_model_decides_stops_the_work() {
    block_on(async {
        let (store, fixtures) = store(44).await;
        let session = store.session_with(session_config().with_target_partitions(1));
        // 3600 distinct texts; the filter reads the result, so that the limit can't sink below the operator.
        let sql =
            "SELECT a.id FROM $reviews a CROSS JOIN $reviews b WHERE embed(a.review || b.id)[1] < 2 LIMIT 5";
        let plan = plan(&session, &fixtures, sql).await;
        let batches = datafusion::physical_plan::collect(Arc::clone(&plan), session.context().task_ctx())
            .await
            .unwrap();
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 5);
        assert!(metric(&plan, "rows") <= 512, "{} rows for a limit of 5", metric(&plan, "rows"));
    });
}

#[test]
fn a_stream_that_is_dropped_encodes_no_further() {
    block_on(async {
        let (store, fixtures) = store(45).await;
        let session = store.session_with(session_config().with_target_partitions(1));
        let sql = "SELECT CASE WHEN a.id > 0 THEN embed(a.review || b.review) END FROM $reviews a CROSS JOIN $reviews b";
        let plan = plan(&session, &fixtures, sql).await;
        let mut stream = execute_stream(Arc::clone(&plan), session.context().task_ctx()).unwrap();
        assert!(stream.next().await.unwrap().unwrap().num_rows() > 0);
        drop(stream);
        // What ran beside the reader ends at its next micro-batch.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let encoded = metric(&plan, "encoded_texts");
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(metric(&plan, "encoded_texts"), encoded, "nothing runs any more");
        assert!(encoded < 3600, "{encoded} texts");
    });
}

#[test]
fn a_call_that_simplifies_to_a_constant_is_a_column_like_the_others() {
    block_on(async {
        let (store, fixtures) = store(46).await;
        let session = store.session();
        let state = session.context().state();
        let sql = format!("SELECT embed(review) AS e FROM '{}/reviews.parquet'", fixtures.path().display());
        let projection = state.optimize(&state.create_logical_plan(&sql).await.unwrap()).unwrap();
        let LogicalPlan::Extension(extension) = projection.inputs()[0] else { panic!("{projection}") };
        let infer = extension.node.as_any().downcast_ref::<InferNode>().expect("the operator");
        let constant = |column: &str| InferCall { expr: lit(7), column: column.to_owned() };
        for (calls, operators_left) in [
            (vec![constant("a"), infer.calls()[0].clone(), constant("b")], 1),
            (vec![constant("a"), constant("b")], 0),
        ] {
            let node = Arc::new(InferNode::try_new(infer.input().clone(), calls.clone()).unwrap());
            let plan = LogicalPlan::Extension(Extension { node });
            let names: Vec<String> =
                plan.schema().fields().iter().map(|field| field.name().clone()).collect();
            let plan = state.query_planner().create_physical_plan(&plan, &state).await.unwrap();
            let fields = plan.schema().fields().clone();
            assert_eq!(fields.iter().map(|field| field.name().clone()).collect::<Vec<_>>(), names);
            assert_eq!(operators(&plan).len(), operators_left);
            let batches =
                datafusion::physical_plan::collect(plan, session.context().task_ctx()).await.unwrap();
            let batch = concat_batches(&batches[0].schema(), &batches).unwrap();
            assert_eq!(batch.num_rows(), 60);
            assert_eq!(batch.column_by_name("b").unwrap().as_primitive::<Int32Type>().value(59), 7);
        }
    });
}
