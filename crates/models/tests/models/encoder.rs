//! What an encoder owes every row: the same bits in any company, and some result for any text.

use std::ops::ControlFlow;

use nightjar_models::{Backend, EncoderOptions, ModelError, Pooling, Precision, TextEncoder};
use proptest::prelude::*;

use crate::{some_text, tiny};

fn bits(row: &[f32]) -> Vec<u32> {
    row.iter().map(|value| value.to_bits()).collect()
}

/// Checks each text of a batch against the same text alone.
fn check_alone(encoder: &TextEncoder, texts: &[&str]) {
    let together = encoder.embed(texts).unwrap();
    for (i, text) in texts.iter().enumerate() {
        let alone = encoder.embed(&[text]).unwrap();
        assert_eq!(bits(together.row(i)), bits(alone.row(0)), "row {i} of {}: {text:?}", texts.len());
    }
}

/// Returns a tiny encoder in each precision.
fn precisions(seed: u64) -> (tempfile::TempDir, Vec<TextEncoder>) {
    let (dir, _) = tiny(seed);
    let load = |precision| TextEncoder::load_with(dir.path(), &EncoderOptions::from(precision)).unwrap();
    let encoders = Precision::ALL.map(load).into();
    (dir, encoders)
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn rows_have_the_same_bits_alone_and_in_batches_of_any_size_in_every_precision() {
    let (_dir, encoders) = precisions(1);
    // Every length from nothing to beyond the window of 64.
    let texts: Vec<String> = (0..80).map(|i| some_text(i, i)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for encoder in &encoders {
        check_alone(encoder, &texts);
        for size in [2, 3, 5, 6, 7, 16, 17, 47, 48, 49] {
            check_alone(encoder, &texts[texts.len() - size..]);
        }
    }
}

#[test]
fn rows_have_the_same_bits_for_any_number_of_threads_in_every_precision() {
    let (_dir, encoders) = precisions(2);
    let texts: Vec<String> = (0..300).map(|i| some_text(i, i % 70)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for encoder in &encoders {
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| encoder.embed(&texts).unwrap())
        };
        let one = with(1);
        for threads in [2, 3, 5] {
            assert_eq!(bits(&one.data), bits(&with(threads).data));
        }
    }
}

#[test]
fn rows_have_the_same_bits_for_any_token_budget_in_every_precision() {
    let (dir, encoders) = precisions(3);
    let texts: Vec<String> = (0..120).map(|i| some_text(i, i % 70)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for (precision, encoder) in Precision::ALL.into_iter().zip(encoders) {
        let expected = encoder.embed(&texts).unwrap();
        for token_budget in [1, 64, 129, 100_000] {
            let options = EncoderOptions { token_budget, ..EncoderOptions::from(precision) };
            let found = TextEncoder::load_with(dir.path(), &options).unwrap().embed(&texts).unwrap();
            assert_eq!(bits(&found.data), bits(&expected.data), "{precision}, {token_budget} tokens");
        }
    }
}

#[test]
fn every_precision_agrees_with_the_reference_on_candle() {
    let (dir, encoders) = precisions(4);
    let texts: Vec<String> = (0..70).map(|i| some_text(i, i)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let backend = Backend::Candle(candle_core::Device::Cpu);
    let options = EncoderOptions { backend, ..EncoderOptions::default() };
    let reference = TextEncoder::load_with(dir.path(), &options).unwrap().embed(&texts).unwrap();
    // Random weights are a hard case: nothing in them averages out.
    for (encoder, least) in encoders.iter().zip([1.0 - 1e-10, 0.9998, 0.98]) {
        let found = encoder.embed(&texts).unwrap();
        for (i, text) in texts.iter().enumerate() {
            let cosine = cosine(found.row(i), reference.row(i));
            assert!(cosine >= least, "{cosine} < {least} for {text:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_texts_have_the_same_bits_alone_and_together(
        texts in proptest::collection::vec("[a-z ,.!\u{0}\u{e9}\u{4e2d}\u{1f600}]{0,120}", 1..40),
        rotation in 0usize..40,
    ) {
        let (_dir, encoder) = tiny(3);
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut rotated = texts.clone();
        rotated.rotate_left(rotation % texts.len());
        let (a, b) = (encoder.embed(&texts).unwrap(), encoder.embed(&rotated).unwrap());
        for i in 0..texts.len() {
            let j = (i + texts.len() - rotation % texts.len()) % texts.len();
            prop_assert_eq!(bits(a.row(i)), bits(b.row(j)));
            prop_assert!((a.row(i).iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-5);
        }
        check_alone(&encoder, &texts);
    }
}

#[test]
fn equal_texts_are_computed_once_and_micro_batches_may_run_in_any_order() {
    let (_dir, encoder) = tiny(4);
    let texts: Vec<String> = (0..400).map(|i| some_text(i % 130, i % 130)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let job = encoder.prepare(&texts);
    assert_eq!(job.distinct(), 130);
    assert!(job.micro_batches() > 1);
    assert_eq!((0..job.micro_batches()).map(|i| job.rows(i)).sum::<usize>(), 400);
    assert_eq!((0..job.micro_batches()).map(|i| job.tokens(i)).sum::<usize>(), job.total_tokens());
    let long = texts.iter().filter(|text| encoder.tokenizer().count(text) > 64).count();
    assert_eq!(job.truncated(), long);
    let mut parts: Vec<Vec<f32>> = vec![Vec::new(); job.micro_batches()];
    for i in (0..job.micro_batches()).rev() {
        let texts = (0..job.distinct()).filter(|&text| job.micro_batch_of(text) == i).count();
        parts[i] = vec![0.0; texts * encoder.spec().dim];
        encoder.encode(&job, i, &mut parts[i]).unwrap();
    }
    let all = encoder.encode_all(&job, |_| ControlFlow::Continue(())).unwrap().unwrap();
    assert_eq!(parts.concat(), all.data);
    let rows = encoder.embed(&texts).unwrap();
    assert!((0..texts.len()).all(|row| rows.row(row) == all.row(job.text_of(row))));
}

#[test]
fn encoding_stops_within_a_micro_batch_a_thread() {
    let (_dir, encoder) = tiny(4);
    let texts: Vec<String> = (0..2000).map(|i| format!("{i} {}", some_text(i, 20))).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let job = encoder.prepare(&texts);
    let threads = rayon::current_num_threads();
    assert!(job.micro_batches() > 4 * threads);
    let done = std::sync::atomic::AtomicUsize::new(0);
    let stop = |_| {
        done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        ControlFlow::Break(())
    };
    assert_eq!(encoder.encode_all(&job, stop).unwrap(), None);
    assert!(done.into_inner() <= threads);
}

#[test]
fn any_text_has_a_result() {
    let (_dir, encoder) = tiny(5);
    let long = "x".repeat(1 << 20);
    let many = "word, ".repeat(200_000);
    let texts = [
        "",
        " ",
        "\0",
        "\u{feff}\u{200b}",
        "\u{1f600}\u{1f3fd}\u{200d}",
        "\u{5d0}\u{5d1} \u{4e2d}\u{6587} caf\u{e9} \u{301}",
        "\u{7}\u{1b}[31m",
        "[SEP] [CLS] [MASK]",
        "\u{fffd}\u{10ffff}",
        &long,
        &many,
    ];
    let out = encoder.embed(&texts).unwrap();
    assert_eq!(out.rows(), texts.len());
    assert!(out.data.iter().all(|value| value.is_finite()));
    // Whitespace and control characters are no tokens.
    assert_eq!(out.row(0), out.row(1));
    assert_eq!(out.row(0), out.row(2));
}

#[test]
fn no_rows_are_no_work() {
    let (_dir, encoder) = tiny(6);
    let job = encoder.prepare(&[]);
    assert_eq!((job.micro_batches(), job.distinct(), job.truncated()), (0, 0, 0));
    assert_eq!(encoder.embed(&[]).unwrap().rows(), 0);
    let wrong = encoder.encode(&job, 0, &mut []);
    assert!(matches!(wrong, Err(ModelError::SizeMismatch { .. })));
}

#[test]
fn seeds_give_equal_or_different_models() {
    let embed = |seed| tiny(seed).1.embed(&["a good movie"]).unwrap();
    assert_eq!(embed(7), embed(7));
    assert_ne!(embed(7), embed(8));
}

// The vectors' cosines under each pooling differ from one another, so the pooling named in the files is the
// one used.
#[test]
fn pooling_and_normalisation_follow_the_files() {
    let (dir, mean) = tiny(9);
    let pooled = |config: &str| {
        std::fs::write(dir.path().join("1_Pooling/config.json"), config).unwrap();
        TextEncoder::load(dir.path()).unwrap()
    };
    let cls = pooled(r#"{"pooling_mode_cls_token": true}"#);
    let max = pooled(r#"{"pooling_mode": "max"}"#);
    assert_eq!((cls.spec().pooling, max.spec().pooling), (Pooling::Cls, Pooling::Max));
    let [a, b, c] = [&mean, &cls, &max].map(|encoder| encoder.embed(&["a good movie"]).unwrap());
    assert!(a != b && b != c && a != c);
    std::fs::remove_file(dir.path().join("modules.json")).unwrap();
    let plain = TextEncoder::load(dir.path()).unwrap();
    assert!(!plain.spec().normalize && plain.spec().pooling == Pooling::Mean);
    let length = plain.embed(&["a good movie"]).unwrap().data.iter().map(|v| v * v).sum::<f32>();
    assert!((length - 1.0).abs() > 0.1, "{length}");
}
