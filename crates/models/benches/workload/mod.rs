//! What the benchmarks of the encoder read: a model and texts.

use std::io::{self, Write};
use std::path::PathBuf;

/// Texts that are made up where none are given.
const TEXTS: u32 = 300;

/// Words of the made-up texts, most of them one token each.
const WORDS: &str = "the a of to and in for on with as by from at that it was will has its over after new first two year \
week company market shares price growth report bank oil trade quarter president government minister country court police \
attack troops election vote team season game win coach player city world software computer internet search phone network \
service users security technology research space scientists announced said plans expected agreed rose fell higher lower";

/// Returns the folder of the model, NIGHTJAR_TEST_MODEL_DIR; says so where it is not set.
pub(crate) fn model_dir() -> Option<PathBuf> {
    let dir = std::env::var_os("NIGHTJAR_TEST_MODEL_DIR").map(PathBuf::from);
    if dir.is_none() {
        let mut err = io::stderr().lock();
        writeln!(err, "skipped: set NIGHTJAR_TEST_MODEL_DIR to the folder of all-MiniLM-L6-v2").unwrap();
    }
    dir
}

/// Returns the lines of the file NIGHTJAR_BENCH_TEXTS, else made-up texts of 2 to 200 words, the same in each run.
pub(crate) fn texts() -> Vec<String> {
    match std::env::var_os("NIGHTJAR_BENCH_TEXTS") {
        Some(path) => std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect(),
        None => (0..TEXTS).map(made_up).collect(),
    }
}

/// Returns text `i`: mostly of a paragraph's length, few long.
fn made_up(i: u32) -> String {
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let mut state = i;
    let mut next = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    let length = 2 + next(70) + if next(10) == 0 { next(130) } else { 0 };
    let text: Vec<&str> = (0..length).map(|_| words[next(words.len())]).collect();
    text.join(" ")
}
