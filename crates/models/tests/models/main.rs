//! Tests of the crate from outside: a tiny model is made, run, broken and learned from.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod broken_files;
mod encoder;
mod folders;
mod learning;
mod pairs;
mod real_model;
mod specs;
mod tokenizer;

use nightjar_models::TextEncoder;
use nightjar_models::testing::write_tiny_model;

/// Returns a tiny model and the folder that holds it.
fn tiny(seed: u64) -> (tempfile::TempDir, TextEncoder) {
    let dir = tempfile::tempdir().unwrap();
    write_tiny_model(dir.path(), seed).unwrap();
    let encoder = TextEncoder::load(dir.path()).unwrap();
    (dir, encoder)
}

/// Returns `words` words of text that follow from `seed`.
fn some_text(seed: usize, words: usize) -> String {
    const WORDS: [&str; 11] =
        ["good", "bad", "battery", "coffee", "the", "zyxw", "movie", "slow", "42", "great!", "screen"];
    let word = |i: usize| WORDS[(seed * 7 + i * i * 3 + i * seed) % WORDS.len()];
    (0..words).map(word).collect::<Vec<_>>().join(" ")
}
