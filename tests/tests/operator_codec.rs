//! The model operator as it travels to another process: what comes out is what went in, without the catalog.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, collect, displayable};
use datafusion::prelude::ParquetReadOptions;
use datafusion_proto::bytes::{
    logical_plan_from_bytes_with_extension_codec, logical_plan_to_bytes_with_extension_codec,
    physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
};
use datafusion_proto::logical_plan::DefaultLogicalExtensionCodec;
use datafusion_proto::physical_plan::{
    DefaultPhysicalExtensionCodec, DefaultPhysicalProtoConverter, PhysicalExtensionCodec,
};
use nightjar_catalog::Store;
use nightjar_engine::infer::InferExec;
use nightjar_engine::{Session, logical_codec, physical_codec, session_config};
use nightjar_tests::{Fixtures, TestStore, block_on, digests, values};

struct Places {
    _fixtures: Fixtures,
    store: TestStore,
    reviews: String,
    bytes: String,
}

impl Places {
    async fn new(seed: u64) -> Self {
        let (store, fixtures) = (TestStore::with_tiny(seed).await, Fixtures::write().await);
        let reviews = format!("'{}/reviews.parquet'", fixtures.path().display());
        let bytes = format!("'{}/bytes.parquet'", fixtures.path().display());
        let session = store.session();
        for (name, query) in [
            ("sentiment", "SELECT review, label"),
            ("products", "SELECT review, product AS label"),
            ("stars", "SELECT review, stars AS label"),
        ] {
            let sql = format!(
                "CREATE MODEL {name} FROM tiny FINE_TUNE ON ({query} FROM {reviews}) WITH (method = 'head', regularization = 10)"
            );
            session.sql(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
        let sql = format!(
            "CREATE MODEL pairs FROM tiny FINE_TUNE ON (SELECT product, review, label FROM {reviews}) WITH (epochs = 1)"
        );
        session.sql(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        Self { _fixtures: fixtures, store, reviews, bytes }
    }

    /// Returns a session on a store with the same artifacts and an empty catalog.
    fn elsewhere(&self) -> Session {
        let root = self.store.scratch().join("elsewhere");
        if !root.exists() {
            copy(&self.store.root().join("artifacts"), &root.join("artifacts"));
        }
        let store = Store::open(Some(root.to_str().unwrap())).expect("the other store");
        Session::new(store, session_config().with_target_partitions(4))
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn codec() -> Arc<dyn PhysicalExtensionCodec> {
    physical_codec(Arc::new(DefaultPhysicalExtensionCodec {}))
}

async fn plan(session: &Session, sql: &str) -> Arc<dyn ExecutionPlan> {
    let rows = session.context().sql(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    rows.create_physical_plan().await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

async fn rows(plan: Arc<dyn ExecutionPlan>, context: Arc<TaskContext>) -> Vec<String> {
    let batches = collect(plan, context).await.expect("the rows");
    let mut lines: Vec<String> =
        pretty_format_batches(&batches).unwrap().to_string().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn find_infer(plan: &Arc<dyn ExecutionPlan>) -> Option<Arc<dyn ExecutionPlan>> {
    if plan.downcast_ref::<InferExec>().is_some() {
        return Some(Arc::clone(plan));
    }
    plan.children().into_iter().find_map(find_infer)
}

#[test]
fn a_physical_plan_gives_the_same_rows_where_the_catalog_is_empty() {
    block_on(async {
        let places = Places::new(31).await;
        let (reviews, bytes) = (&places.reviews, &places.bytes);
        let here = places.store.session();
        let there = places.elsewhere();
        assert!(
            values(&there, "SELECT * FROM nightjar.models").await.is_empty(),
            "no model has a name there"
        );
        let digest = digests(&here, "tiny").await.pop().unwrap();
        let queries = [
            format!("SELECT id, embed(review, 'tiny') FROM {reviews}"),
            format!("SELECT id, classify(review), classify_scores(review, 'products') FROM {reviews}"),
            format!("SELECT id, classify(review, ['phone', 'a \"quoted\" é', '']) FROM {reviews}"),
            format!("SELECT id, classify_scores(review, ['good', 'bad'], 'sentiment') FROM {reviews}"),
            format!("SELECT id, predict(review, 'stars') FROM {reviews}"),
            format!("SELECT id, classify(product, review, 'pairs') FROM {reviews}"),
            format!(
                "SELECT id, CASE WHEN id > 9 THEN classify_scores('a phone', review, 'pairs') END, similarity(label, review, 'pairs') FROM {reviews}"
            ),
            format!("SELECT id, try_classify(bytes, 'it''s', 'pairs') FROM {bytes}"),
            format!("SELECT id, similarity(review, product), similarity('good', review) FROM {reviews}"),
            format!("SELECT id, tokenize(review, 'tiny'), count_tokens(review, 'tiny') FROM {reviews}"),
            format!(
                "SELECT id, try_embed(bytes), try_classify(bytes), try_classify_scores(bytes) FROM {bytes}"
            ),
            format!("SELECT id, try_predict(bytes), try_similarity(bytes, 'good') FROM {bytes}"),
            format!("SELECT id, embed(review, 'tiny@1#{digest}~4') FROM {reviews}"),
            format!("SELECT classify(review), count(*) FROM {reviews} WHERE product = 'phone' GROUP BY 1"),
            format!(
                "SELECT id, CASE WHEN product = 'phone' THEN classify(review) WHEN id > 30 THEN classify(label, 'products') END FROM {reviews}"
            ),
            format!(
                "SELECT id, CASE WHEN classify(review) = 'good' THEN classify(review || '!') END FROM {reviews}"
            ),
            format!(
                "SELECT a.id, b.id FROM {reviews} a JOIN {reviews} b ON similarity(a.review, b.review) > 0.9 AND a.id < 9"
            ),
            format!(
                "SELECT product, accuracy(label, classify(review)), f1(label, classify(review), 'good'), \
                 confusion_matrix(label, classify(review)), round(log_loss(label, classify_scores(review)), 9), \
                 roc_auc(label, classify_scores(review), 'good'), round(rmse(stars, predict(review, 'stars')), 9), \
                 round(spearman(stars, predict(review, 'stars')), 9) FROM {reviews} GROUP BY product"
            ),
            format!(
                "SELECT id FROM {reviews} WHERE similarity(review, (SELECT max(review) FROM {reviews})) > 0.5"
            ),
        ];
        for sql in &queries {
            let plan = plan(&here, sql).await;
            let sent = physical_plan_to_bytes_with_extension_codec(Arc::clone(&plan), codec().as_ref())
                .unwrap_or_else(|error| panic!("{sql}: {error}"));
            let context = there.context().task_ctx();
            let received = physical_plan_from_bytes_with_extension_codec(&sent, &context, codec().as_ref())
                .unwrap_or_else(|error| panic!("{sql}: {error}"));
            let shown = |plan: &Arc<dyn ExecutionPlan>| displayable(plan.as_ref()).indent(true).to_string();
            assert_eq!(shown(&received), shown(&plan), "{sql}");
            assert_eq!(received.schema(), plan.schema(), "{sql}");
            let expected = rows(plan, here.context().task_ctx()).await;
            assert!(expected.len() > 4, "{sql} gives rows");
            assert_eq!(rows(received, context).await, expected, "{sql}");
        }
    });
}

#[test]
fn a_logical_plan_is_read_back_as_it_was() {
    block_on(async {
        let places = Places::new(32).await;
        let (here, there) = (places.store.session(), places.elsewhere());
        let codec = logical_codec(Arc::new(DefaultLogicalExtensionCodec {}));
        // Only DataFusion's own tables have a form in logical plans: to executors go physical ones.
        let path = places.reviews.trim_matches('\'');
        here.context().register_parquet("texts", path, ParquetReadOptions::default()).await.unwrap();
        for sql in [
            "SELECT id, classify(review), classify(review, ['a', 'b']) FROM reviews",
            "SELECT id, CASE WHEN product = 'phone' THEN classify(review) END, similarity(review, label) FROM reviews",
            "SELECT id, classify(label, review, 'pairs'), CASE WHEN id > 9 THEN classify(review, 'the phone', 'pairs') END FROM reviews",
        ] {
            let sql = sql.replace("reviews", "texts");
            let state = here.context().state();
            let plan = state.create_logical_plan(&sql).await.unwrap();
            let plan = state.optimize(&plan).unwrap();
            assert!(plan.to_string().contains("Infer:"), "{plan}");
            let sent = logical_plan_to_bytes_with_extension_codec(&plan, codec.as_ref()).unwrap();
            let context = there.context().task_ctx();
            let received =
                logical_plan_from_bytes_with_extension_codec(&sent, &context, codec.as_ref()).unwrap();
            assert_eq!(received.to_string(), plan.to_string());
            let run = async |session: &Session, plan| {
                let plan = session.context().state().create_physical_plan(&plan).await.unwrap();
                rows(plan, session.context().task_ctx()).await
            };
            assert_eq!(run(&there, received).await, run(&here, plan).await, "{sql}");
        }
    });
}

#[test]
fn bytes_that_are_no_operator_are_refused() {
    block_on(async {
        let places = Places::new(33).await;
        let session = places.store.session();
        let sql = format!(
            "SELECT classify(CASE WHEN product = 'phone' THEN review END), embed(review) FROM {}",
            places.reviews
        );
        let infer = find_infer(&plan(&session, &sql).await).expect("the operator");
        let inputs: Vec<_> = infer.children().into_iter().cloned().collect();
        let (codec, converter) = (codec(), DefaultPhysicalProtoConverter {});
        let mut bytes = Vec::new();
        codec.try_encode(Arc::clone(&infer), &mut bytes, &converter).unwrap();
        let context = session.context().task_ctx();
        let decode = |bytes: &[u8]| codec.try_decode(bytes, &inputs, &context, &converter);

        assert!(decode(&bytes).is_ok());
        for end in 0..bytes.len() {
            // Cut between two calls, it is an operator with fewer calls; everywhere else it is nothing.
            if let Ok(shorter) = decode(&bytes[..end]) {
                assert!(shorter.schema().fields().len() < infer.schema().fields().len(), "cut at {end}");
            }
        }
        for position in 0..bytes.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[position] ^= flip;
                // An error or another plan, but no panic.
                let _ = decode(&damaged);
            }
        }
        assert!(codec.try_decode(&bytes, &[], &context, &converter).is_err(), "no input");

        // A name would have to be looked up: only what is pinned travels.
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let at =
            text.find("sentiment@1#").or_else(|| text.find("products@1#")).expect("a pinned name in clear");
        let mut unpinned = bytes.clone();
        let hash = bytes.iter().position(|byte| *byte == b'#').unwrap();
        unpinned[hash] = b'@';
        let error = decode(&unpinned).expect_err("an unpinned model").to_string();
        assert!(at > 0 && error.contains("is no pinned model"), "{error}");
    });
}

#[test]
fn what_is_not_ours_goes_to_the_other_codec() {
    block_on(async {
        let places = Places::new(34).await;
        let session = places.store.session();
        let context = session.context().task_ctx();
        let physical = codec();
        let error = physical
            .try_decode(b"someone else's", &[], &context, &DefaultPhysicalProtoConverter {})
            .expect_err("no operator of ours")
            .to_string();
        assert!(error.contains("PhysicalExtensionCodec is not provided"), "{error}");
        let logical = logical_codec(Arc::new(DefaultLogicalExtensionCodec {}));
        let error = logical.try_decode(b"", &[], &context).expect_err("nothing of ours").to_string();
        assert!(error.contains("LogicalExtensionCodec is not provided"), "{error}");
    });
}

#[test]
fn the_cache_travels_with_the_plan_and_not_with_the_session() {
    block_on(async {
        let places = Places::new(35).await;
        let (here, there) = (places.store.session(), places.elsewhere());
        let sql = format!("SELECT embed(review, 'tiny') FROM {}", places.reviews);
        for on in [false, true] {
            if on {
                values(&here, "SET nightjar.cache = 'on'").await;
                values(&here, "SET nightjar.cache_size = '1 MB'").await;
            }
            let bytes =
                physical_plan_to_bytes_with_extension_codec(plan(&here, &sql).await, codec().as_ref())
                    .unwrap();
            let context = there.context().task_ctx();
            let arrived =
                physical_plan_from_bytes_with_extension_codec(&bytes, &context, codec().as_ref()).unwrap();
            let shown = displayable(arrived.as_ref()).indent(false).to_string();
            assert_eq!(shown.contains(" cache=on "), on, "{shown}");
            collect(arrived, context).await.unwrap();
            let entries = values(&there, "SELECT entries FROM nightjar.cache").await;
            assert_eq!(entries, if on { vec![vec!["60".to_owned()]] } else { Vec::new() });
        }
    });
}
