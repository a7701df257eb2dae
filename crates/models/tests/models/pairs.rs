//! Pairs that are read as one: what training read, the same bits in any company, and never the two texts joined.

use std::ops::ControlFlow;

use nightjar_models::{
    Backend, EncoderOptions, Objective, OptimizerOptions, Precision, Sequence, Target, TextEncoder,
    TokenizedPair, Trainer, TrainerOptions, TrainingRow,
};

use crate::{some_text, tiny};

/// Returns the embeddings of sequences in their order.
fn embed(encoder: &TextEncoder, sequences: &[Sequence<'_>]) -> Vec<Vec<f32>> {
    let job = encoder.prepare_sequences(sequences);
    let distinct = encoder.encode_all(&job, |_| ControlFlow::Continue(())).unwrap().unwrap();
    (0..sequences.len()).map(|row| distinct.row(job.text_of(row)).to_vec()).collect()
}

/// Pairs of all sorts of lengths, some beyond the window of 64, and single texts of the same words.
fn texts() -> Vec<(String, String)> {
    let lengths = [0, 1, 2, 7, 20, 29, 31, 33, 61, 70];
    let both = lengths.iter().flat_map(|first| lengths.map(|second| (*first, second)));
    both.map(|(first, second)| (some_text(first, first), some_text(second + 3, second))).collect()
}

#[test]
fn a_pair_has_the_same_bits_in_any_company_in_every_precision() {
    let (dir, _) = tiny(1);
    let texts = texts();
    let pairs: Vec<_> = texts.iter().map(|(first, second)| Sequence::Pair(first, second)).collect();
    let singles = texts.iter().map(|(first, _)| Sequence::Text(first));
    let mixed: Vec<_> = pairs.iter().copied().zip(singles).flat_map(|(pair, text)| [text, pair]).collect();
    for precision in Precision::ALL {
        let encoder = TextEncoder::load_with(dir.path(), &EncoderOptions::from(precision)).unwrap();
        let expected = embed(&encoder, &pairs);
        for (row, pair) in pairs.iter().enumerate() {
            assert!(embed(&encoder, &[*pair])[0] == expected[row], "{precision}: {pair:?} alone");
        }
        let company = embed(&encoder, &mixed);
        assert!(company.iter().skip(1).step_by(2).eq(&expected), "{precision}: among single texts");
        let mut reversed: Vec<_> = pairs.iter().rev().copied().collect();
        reversed.truncate(37);
        let found = embed(&encoder, &reversed);
        assert!(found.iter().eq(expected.iter().rev().take(37)), "{precision}: in another order");
    }
}

#[test]
fn distinct_pairs_are_encoded_once_and_are_not_their_texts_joined() {
    let (_dir, encoder) = tiny(2);
    let sequences = [
        Sequence::Pair("good coffee", "bad hotel"),
        Sequence::Pair("bad hotel", "good coffee"),
        Sequence::Pair("good", "coffee bad hotel"),
        Sequence::Text("good coffee bad hotel"),
        Sequence::Pair("good coffee", "bad hotel"),
        Sequence::Pair("good coffee bad hotel", ""),
        Sequence::Text("good coffee bad hotel"),
    ];
    let job = encoder.prepare_sequences(&sequences);
    assert_eq!((job.input_rows(), job.distinct()), (7, 5));
    let found = embed(&encoder, &sequences);
    for (i, one) in found.iter().enumerate() {
        for (j, other) in found.iter().enumerate().skip(i + 1) {
            assert_eq!(one == other, sequences[i] == sequences[j], "{:?} {:?}", sequences[i], sequences[j]);
        }
    }
}

/// Returns a trainer that has taken some steps over the rows, and the encoder's files that it saves.
fn trained(rows: &[TrainingRow], base: &std::path::Path) -> (Trainer, tempfile::TempDir) {
    let optimizer = OptimizerOptions { total_steps: 20, learning_rate: 1e-2, ..OptimizerOptions::default() };
    let objective = Objective::Classify { classes: 3, class_weights: vec![], label_smoothing: 0.0 };
    let options =
        TrainerOptions { objective, dropout: 0.1, freeze_layers: 0, lora: None, seed: 1, optimizer };
    let mut trainer = Trainer::load(base, options).unwrap();
    for _ in 0..3 {
        trainer.step(rows).unwrap();
    }
    let out = tempfile::tempdir().unwrap();
    trainer.save_encoder(base, out.path(), false).unwrap();
    (trainer, out)
}

#[test]
fn a_call_reads_a_pair_as_training_did() {
    let (base, encoder) = tiny(3);
    let texts = texts();
    let rows: Vec<TrainingRow> = texts
        .iter()
        .zip(0..)
        .map(|((first, second), row)| {
            let TokenizedPair { ids, first: first_tokens, .. } =
                encoder.tokenizer().encode_pair(first, second);
            let read = encoder.tokenizer().encode_sequence(Sequence::Pair(first, second));
            assert_eq!(read.ids, ids);
            TrainingRow { ids, first_tokens, target: Target::Class(row % 3) }
        })
        .collect();
    let (trainer, saved) = trained(&rows, base.path());
    let (head, expected) = (trainer.head(), trainer.outputs(&rows).unwrap());
    let pairs: Vec<_> = texts.iter().map(|(first, second)| Sequence::Pair(first, second)).collect();
    let reference =
        EncoderOptions { backend: Backend::Candle(candle_core::Device::Cpu), ..Default::default() };
    for (options, most) in [
        (EncoderOptions::from(Precision::F32), 1e-4),
        (reference, 1e-4),
        (EncoderOptions::from(Precision::Bf16), 0.2),
        (EncoderOptions::from(Precision::Int8), 0.8),
    ] {
        let encoder = TextEncoder::load_with(saved.path(), &options).unwrap();
        for (row, embedding) in embed(&encoder, &pairs).iter().enumerate() {
            for class in 0..3 {
                let weight = &head.weight[class * embedding.len()..][..embedding.len()];
                let found: f32 =
                    head.bias[class] + weight.iter().zip(embedding).map(|(w, x)| w * x).sum::<f32>();
                let expected = expected[3 * row + class];
                assert!(
                    (found - expected).abs() < most,
                    "{options:?}: {found} {expected} for {:?}",
                    pairs[row]
                );
            }
        }
    }
}
