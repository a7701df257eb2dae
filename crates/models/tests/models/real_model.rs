//! The same promises on a real model: set NIGHTJAR_TEST_MODEL_DIR to the folder of all-MiniLM-L6-v2.

use std::path::PathBuf;

use nightjar_models::{Backend, EncoderOptions, Precision, TextEncoder};

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
fn every_precision_is_as_true_as_promised() {
    let Some(dir) = std::env::var_os("NIGHTJAR_TEST_MODEL_DIR").map(PathBuf::from) else { return };
    let texts: Vec<String> = (0..60).map(|i| some_text(i, 2 * i)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let embed =
        |options: &EncoderOptions| TextEncoder::load_with(&dir, options).unwrap().embed(&texts).unwrap();
    let backend = Backend::Candle(candle_core::Device::Cpu);
    let reference = embed(&EncoderOptions { backend, ..EncoderOptions::default() });
    for (precision, mean, min) in [
        (Precision::F32, 1.0 - 1e-6, 1.0 - 1e-6),
        (Precision::Bf16, 0.9999, 0.999),
        (Precision::Int8, 0.995, 0.99),
    ] {
        let found = embed(&EncoderOptions::from(precision));
        let cosine =
            |i| found.row(i).iter().zip(reference.row(i)).map(|(a, b)| f64::from(a * b)).sum::<f64>();
        let cosines: Vec<f64> = (0..texts.len()).map(cosine).collect();
        let average = cosines.iter().sum::<f64>() / cosines.len() as f64;
        let least = cosines.iter().copied().fold(1.0, f64::min);
        assert!(average >= mean && least >= min, "{precision}: mean {average}, min {least}");
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
