//! Lifting changes no row, in queries that nobody wrote: each is made from a row of bytes, runs with the rule and without it, at
//! several batch sizes and partitions, and gives the same rows, or an error both times.
//!
//! `NIGHTJAR_QUERIES=10000` sets how many, `NIGHTJAR_SEED=7` which.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod choices;
mod expressions;
mod queries;

use std::sync::Mutex;

use datafusion::arrow::util::pretty::pretty_format_batches;
use nightjar_engine::{Session, session_config};
use nightjar_tests::{TestStore, block_on};
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

/// How many queries run where nobody says.
const QUERIES: u32 = 100;

/// How many run on one store.
const ROUND: u32 = 500;

/// Rows of a batch, and partitions.
const SETTINGS: [(usize, usize); 4] = [(8192, 1), (1, 2), (3, 3), (5, 1)];

const ROWS: &str = "CREATE VIEW r AS SELECT * FROM (VALUES \
    (1, 'the phone is great', 'good', 5.0, true, 'phone', true), \
    (2, 'the phone is terrible', 'bad', 2.0, false, 'phone', NULL), \
    (3, NULL, 'good', NULL, true, 'hotel', false), \
    (4, 'the hotel is dirty', 'bad', 1.0, NULL, 'hotel', true), \
    (5, '', NULL, 4.0, false, 'movie', NULL), \
    (6, 'the movie is great', 'good', 5.0, true, NULL, false), \
    (7, 'the phone is great', 'bad', 2.5, NULL, 'phone', true), \
    (8, 'the movie is boring', 'bad', NULL, false, 'movie', NULL)) \
    AS v(id, t, label, stars, helpful, product, good)";
const NAMES: &str = "CREATE VIEW n AS SELECT * FROM (VALUES (1, 'phone', 'the phone is great'), \
    (2, 'hotel', 'the hotel is bad'), (3, NULL, NULL), (4, 'movie', '')) AS v(n, product, t)";

fn number(variable: &str, otherwise: u32) -> u32 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect(variable))
}

/// A store with a model for labels, one for products and one for numbers.
async fn store() -> TestStore {
    let store = TestStore::with_tiny(61).await;
    let session = store.session();
    let train = |name: &str, label: &str| {
        format!(
            "CREATE MODEL {name} FROM tiny FINE_TUNE ON (SELECT t, {label} AS label FROM r WHERE t <> '' AND {label} IS NOT NULL) \
             WITH (method = 'head', regularization = 10)"
        )
    };
    let (sentiment, products, stars) =
        (train("sentiment", "label"), train("products", "product"), train("stars", "stars"));
    let default = "SET nightjar.classify_model = 'sentiment'";
    for statement in [ROWS, NAMES, &sentiment, &products, &stars, default] {
        session.sql(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    store
}

fn session(store: &TestStore, (batch, partitions): (usize, usize), lifting: bool) -> Session {
    let session =
        store.session_with(session_config().with_target_partitions(partitions).with_batch_size(batch));
    if !lifting {
        assert!(session.context().remove_optimizer_rule("lift_model_calls"), "the rule was there");
    }
    session
}

async fn rows(session: &Session, sql: &str) -> Result<Vec<String>, String> {
    let rows = session.sql(sql).await.map_err(|error| error.to_string())?;
    let batches = rows.collect().await.map_err(|error| error.to_string())?;
    let printed = pretty_format_batches(&batches).map_err(|error| error.to_string())?.to_string();
    let mut lines: Vec<String> = printed.lines().map(str::to_owned).collect();
    lines.sort();
    Ok(lines)
}

#[test]
fn lifting_changes_no_row_of_generated_queries() {
    let (queries, seed) = (number("NIGHTJAR_QUERIES", QUERIES), number("NIGHTJAR_SEED", 1));
    let mut failing = Vec::new();
    for start in (0..queries).step_by(ROUND as usize) {
        failing.extend(block_on(run(ROUND.min(queries - start), seed + start)));
    }
    eprintln!("{queries} queries, of which {} fail with and without lifting", failing.len());
    let first: Vec<&str> = failing.iter().take(20).map(String::as_str).collect();
    assert!(failing.len() < queries as usize / 4, "most have rows; without are:\n{}", first.join("\n"));
}

/// Runs some queries and returns those that fail both times, with the error.
async fn run(cases: u32, seed: u32) -> Vec<String> {
    let store = store().await;
    let mut sessions = Vec::new();
    for settings in SETTINGS {
        sessions.push((session(&store, settings, true), session(&store, settings, false)));
    }
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 400, ..Config::default() };
    let seed = [seed.to_le_bytes(); 8].concat();
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let runtime = tokio::runtime::Handle::current();
    let failing = Mutex::new(Vec::new());
    let result = runner.run(&vec(any::<u8>(), 1..90), |bytes| {
        let sql = queries::query(&bytes);
        let (lifted, plain) = &sessions[usize::from(bytes[0]) / 12 % SETTINGS.len()];
        let found = tokio::task::block_in_place(|| {
            runtime.block_on(async { (rows(lifted, &sql).await, rows(plain, &sql).await) })
        });
        match found {
            (Ok(found), Ok(expected)) if found == expected => Ok(()),
            (Err(error), Err(_)) => {
                failing.lock().expect("no panic holds it").push(format!("{sql}\n  {error}"));
                Ok(())
            }
            (found, expected) => {
                Err(TestCaseError::fail(format!("{sql}\n  lifted: {found:#?}\n  plain: {expected:#?}")))
            }
        }
    });
    match result {
        Ok(()) => failing.into_inner().expect("no panic holds it"),
        Err(TestError::Fail(reason, bytes)) => panic!("{}\n{reason}", queries::query(&bytes)),
        Err(error) => panic!("{error}"),
    }
}
