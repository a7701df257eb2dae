//! The same promises on a real model: set NIGHTJAR_TEST_MODEL_DIR to the folder of all-MiniLM-L6-v2.

use std::path::PathBuf;

use nightjar_models::TextEncoder;

use crate::some_text;

fn encoder() -> Option<TextEncoder> {
    match std::env::var_os("NIGHTJAR_TEST_MODEL_DIR") {
        Some(dir) => Some(TextEncoder::load(&PathBuf::from(dir)).unwrap()),
        None => {
            eprintln!("skipped: NIGHTJAR_TEST_MODEL_DIR is not set");
            None
        }
    }
}

#[test]
fn rows_have_the_same_bits_alone_and_in_batches() {
    let Some(encoder) = encoder() else { return };
    assert_eq!(encoder.spec().window, 256);
    let texts: Vec<String> = [0, 1, 2, 5, 9, 14, 30, 46, 47, 64, 100, 300].map(|i| some_text(i, i)).to_vec();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let together = encoder.embed(&texts).unwrap();
    for (i, text) in texts.iter().enumerate() {
        assert_eq!(together.row(i), encoder.embed(&[text]).unwrap().row(0), "{text:?}");
    }
}

#[test]
fn like_sentences_are_near() {
    let Some(encoder) = encoder() else { return };
    let texts = ["A man is playing a guitar.", "Someone plays the guitar.", "The stock market fell sharply."];
    let out = encoder.embed(&texts).unwrap();
    let cosine = |a: usize, b: usize| out.row(a).iter().zip(out.row(b)).map(|(x, y)| x * y).sum::<f32>();
    assert!(cosine(0, 1) > 0.7 && cosine(0, 2) < 0.2, "{} {}", cosine(0, 1), cosine(0, 2));
}
