//! What is true of all-MiniLM-L6-v2 and can't be of a tiny random model.
//!
//! Runs when NIGHTJAR_TEST_STORE names a store that holds the model (`nightjar --store DIR model pull all-MiniLM-L6-v2`);
//! says that it is skipped otherwise. The store is only read.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use nightjar_catalog::Store;
use nightjar_engine::{Session, session_config};
use nightjar_tests::{block_on, values};
use serde_json::Value;

const MODEL: &str = "all-MiniLM-L6-v2";

/// Made by tests/golden/all_minilm_l6_v2.py.
const GOLDEN: &str = include_str!("../golden/all_minilm_l6_v2.json");

/// The cosine to the golden embedding that a float32 implementation reaches on any instruction set.
const GOLDEN_COSINE: f64 = 0.99999;

fn session() -> Option<Session> {
    let Some(store) = std::env::var_os("NIGHTJAR_TEST_STORE") else {
        eprintln!("skipped: NIGHTJAR_TEST_STORE names no store with {MODEL}");
        return None;
    };
    let store = Store::open(Some(store.to_str().expect("a path in UTF-8"))).expect("the store opens");
    Some(Session::new(store, session_config().set_str("nightjar.precision", "f32")))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

async fn one(session: &Session, sql: &str) -> String {
    let mut rows = values(session, sql).await;
    assert_eq!(rows.len(), 1, "{sql}");
    rows.remove(0).remove(0)
}

#[test]
fn embeddings_are_those_of_the_reference() {
    let Some(session) = session() else { return };
    block_on(async move {
        let golden: Vec<Value> = serde_json::from_str(GOLDEN).unwrap();
        assert!(golden.len() > 5);
        for row in &golden {
            let text = quoted(row["text"].as_str().unwrap());
            let expected: Vec<f64> =
                row["embedding"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
            // As a constant, and as a row of the operator.
            for rows in [format!("SELECT {text} AS t"), format!("VALUES ({text}), ('another'), ({text})")] {
                let sql = format!("SELECT embed(t, '{MODEL}') FROM ({rows}) AS x(t) WHERE t <> 'another'");
                for found in values(&session, &sql).await {
                    let cosine = cosine(&vector(&found[0]), &expected);
                    assert!(cosine >= GOLDEN_COSINE, "{text}: {cosine}");
                }
            }
        }
    });
}

/// Reads a list as it is printed: `[0.1, 0.2]`.
fn vector(printed: &str) -> Vec<f64> {
    printed.trim_matches(['[', ']']).split(", ").map(|number| number.parse().unwrap()).collect()
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn token_counts_are_those_of_the_reference() {
    let Some(session) = session() else { return };
    block_on(async move {
        let golden: Vec<Value> = serde_json::from_str(GOLDEN).unwrap();
        for row in &golden {
            let text = quoted(row["text"].as_str().unwrap());
            let count = one(&session, &format!("SELECT count_tokens({text}, '{MODEL}')")).await;
            assert_eq!(count, row["tokens"].to_string(), "{text}");
            // [CLS] and [SEP] count, because they fill the window; tokenize() leaves them out.
            let pieces =
                one(&session, &format!("SELECT coalesce(array_length(tokenize({text}, '{MODEL}')), 0)"))
                    .await;
            assert_eq!(pieces.parse::<i64>().unwrap() + 2, count.parse::<i64>().unwrap(), "{text}");
        }
        let tokens = one(&session, &format!("SELECT tokenize('unbelievably naïve', '{MODEL}')")).await;
        assert_eq!(tokens, "[un, ##bel, ##ie, ##va, ##bly, naive]");
    });
}

#[test]
fn vectors_have_384_dimensions_and_unit_length() {
    let Some(session) = session() else { return };
    block_on(async move {
        let vector = format!("embed('The ferry leaves at seven.', '{MODEL}')");
        let sql = format!(
            "SELECT array_length({vector}), arrow_typeof({vector}), abs(dot_product({vector}, {vector}) - 1) < 1e-5"
        );
        assert_eq!(values(&session, &sql).await, [["384", "FixedSizeList(384 x Float32)", "true"]]);
    });
}

#[test]
fn like_sentences_are_nearer_than_unlike_ones() {
    let Some(session) = session() else { return };
    block_on(async move {
        let triples = [
            (
                "The ferry to the island leaves at seven.",
                "The boat departs for the isle at 7 a.m.",
                "I prefer my coffee black.",
            ),
            ("My parcel never arrived.", "The package was not delivered.", "The concert was wonderful."),
            (
                "How do I reset my password?",
                "I forgot my login and need a new one.",
                "The recipe needs two eggs.",
            ),
            (
                "Shares fell sharply on Monday.",
                "The stock market dropped at the start of the week.",
                "The cat sleeps on the sofa.",
            ),
        ];
        for (text, near, far) in triples {
            let cosine = |other: &str| format!("similarity({}, {}, '{MODEL}')", quoted(text), quoted(other));
            let sql = format!("SELECT {} AS near, {} AS far", cosine(near), cosine(far));
            let rows = values(&session, &sql).await;
            let (near, far): (f64, f64) = (rows[0][0].parse().unwrap(), rows[0][1].parse().unwrap());
            assert!(near > far + 0.3, "{text}: near {near}, far {far}");
        }
    });
}

#[test]
fn zero_shot_is_sane() {
    let Some(session) = session() else { return };
    block_on(async move {
        let cases = [
            (
                "The goalkeeper saved a penalty in the last minute.",
                "['football', 'politics', 'cooking']",
                "football",
            ),
            (
                "Parliament passed the budget after a long debate.",
                "['sports', 'politics', 'cooking']",
                "politics",
            ),
            ("Simmer the onions until they are golden.", "['sports', 'politics', 'cooking']", "cooking"),
            (
                "I was charged twice for the same transfer.",
                "['card payment problem', 'weather', 'holiday plans']",
                "card payment problem",
            ),
        ];
        for (text, labels, expected) in cases {
            let sql = format!("SELECT classify({}, {labels}, '{MODEL}')", quoted(text));
            assert_eq!(one(&session, &sql).await, expected, "{text}");
        }
    });
}

#[test]
fn a_text_of_a_megabyte_is_cut_at_the_window() {
    let Some(session) = session() else { return };
    block_on(async move {
        let sql = format!(
            "SELECT embed(repeat('word ', 200000), '{MODEL}') = embed(repeat('word ', 254), '{MODEL}') AS at_window, \
             embed(repeat('word ', 253), '{MODEL}') = embed(repeat('word ', 254), '{MODEL}') AS below, \
             count_tokens(repeat('word ', 200000), '{MODEL}') AS tokens"
        );
        assert_eq!(values(&session, &sql).await, [["true", "false", "200002"]]);
    });
}
