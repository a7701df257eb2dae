//! Training on pairs: gradients against the slopes of the loss, and what training does to embeddings.

use std::path::Path;

use super::*;
use crate::testing::write_tiny_model;
use crate::training::{OptimizerOptions, TrainerOptions};

const CONTRAST: Objective = Objective::Contrast { scale: 20.0 };

fn trainer(dir: &Path, objective: Objective, dropout: f32) -> Trainer {
    let optimizer = OptimizerOptions {
        total_steps: 40,
        warmup_ratio: 0.0,
        learning_rate: 2e-3,
        ..OptimizerOptions::default()
    };
    let options = TrainerOptions { objective, dropout, freeze_layers: 0, seed: 5, optimizer, lora: None };
    Trainer::load(dir, options).unwrap()
}

fn pair(first: &[u32], second: &[u32], target: Target) -> TrainingRow {
    TrainingRow { ids: [first, second].concat(), first_tokens: first.len(), target }
}

fn text(begin: u32, words: u32) -> Vec<u32> {
    let words = (0..words).map(|i| 5 + (begin + 7 * i) % 85);
    std::iter::once(2).chain(words).chain([3]).collect()
}

/// Pairs of texts that differ; long ones fill more than one chunk.
fn pairs(count: u32, words: u32, target: impl Fn(u32) -> Target) -> Vec<TrainingRow> {
    (0..count).map(|i| pair(&text(3 * i, words + i % 3), &text(3 * i + 40, words), target(i))).collect()
}

fn score(i: u32) -> Target {
    Target::Number(i as f32 * 0.4 - 0.9)
}

/// Compares the gradients of all weights, and of the words that occur, with slopes.
fn check_slopes(objective: Objective, rows: &[TrainingRow], dropout: f32) {
    let dir = tempfile::tempdir().unwrap();
    write_tiny_model(dir.path(), 4).unwrap();
    let mut trainer = trainer(dir.path(), objective, dropout);
    trainer.add_gradients(rows).unwrap();
    let gradients = trainer.gradients().to_vec();
    let mut checked = 0;
    for region in trainer.region_ranges() {
        let mut at: Vec<usize> = region.clone().collect();
        at.sort_by(|a, b| gradients[*b].abs().total_cmp(&gradients[*a].abs()));
        for &i in at.iter().take(2) {
            let before = trainer.weights[i];
            let mut loss = |step: f32| {
                trainer.weights[i] = before + step;
                trainer.add_gradients(rows).unwrap().0
            };
            let slope = (loss(1e-3) - loss(-1e-3)) / 2e-3;
            trainer.weights[i] = before;
            let found = f64::from(gradients[i]);
            assert!(
                (slope - found).abs() <= 0.03 * found.abs() + 5e-4,
                "number {i} of {region:?}: {found}, slope {slope}"
            );
            checked += usize::from(found.abs() > 1e-2);
        }
    }
    assert!(checked > 10, "only {checked} gradients are large enough to say anything");
}

#[test]
fn gradients_of_scores_are_the_slopes_of_the_loss() {
    check_slopes(Objective::Similarity, &pairs(4, 4, score), 0.1);
}

#[test]
fn gradients_of_contrast_are_the_slopes_of_the_loss() {
    let mut rows = pairs(4, 4, |_| Target::Pair);
    // Twice the same first text, the same second one, and one as the first of one pair and the second of another.
    rows.push(pair(&text(0, 4), &text(77, 5), Target::Pair));
    rows.push(pair(&text(61, 4), &text(40, 4), Target::Pair));
    rows.push(pair(&text(40, 4), &text(12, 3), Target::Pair));
    check_slopes(CONTRAST, &rows, 0.1);
}

#[test]
fn gradients_over_several_chunks_are_the_slopes_of_the_loss() {
    let rows = pairs(24, 30, |_| Target::Pair);
    let lengths: Vec<usize> = texts(&CONTRAST, &rows).iter().map(|text| text.ids.len()).collect();
    assert!(chunks(&lengths).len() > 1);
    check_slopes(CONTRAST, &rows, 0.2);
}

#[test]
fn losses_are_those_of_their_formulas() {
    let embeddings = vec![3.0, 0.0, 1.0, 0.0, 0.0, 2.0, 1.0, 1.0];
    let number = |score| pair(&[2, 3], &[2, 9, 3], Target::Number(score));
    let rows = [number(0.5), number(0.0)];
    let batch = PairBatch::new(&Objective::Similarity, &rows, embeddings.clone());
    // Cosines 1 and 1/√2.
    assert!((batch.gradients().0 - (0.25 + 0.5) / 2.0).abs() < 1e-6);
    let rows = [pair(&[2], &[3], Target::Pair), pair(&[4], &[5], Target::Pair)];
    let contrast = Objective::Contrast { scale: 2.0 };
    let batch = PairBatch::new(&contrast, &rows, embeddings.clone());
    // Logits: [2, √2] with the first right, [0, √2] with the second right.
    let expected = ((2f64.sqrt() - 2.0).exp().ln_1p() + (-(2f64.sqrt())).exp().ln_1p()) / 2.0;
    assert!((batch.gradients().0 - expected).abs() < 1e-6);
    assert_eq!(batch.outcomes().iter().map(|outcome| outcome.rank).collect::<Vec<_>>(), [1, 1]);
    // A duplicate is no negative: each pair is alone then, and alone there's nothing to learn.
    for other in [pair(&[2], &[5], Target::Pair), pair(&[4], &[3], Target::Pair)] {
        let rows = [pair(&[2], &[3], Target::Pair), other];
        let (loss, gradients) = PairBatch::new(&contrast, &rows, embeddings.clone()).gradients();
        assert!(loss.abs() < 1e-9 && gradients.iter().all(|x| x.abs() < 1e-9), "{loss} {gradients:?}");
    }
    // Equal embeddings rank last; a zero one has no gradient.
    let rows = [pair(&[2], &[3], Target::Pair), pair(&[4], &[5], Target::Pair)];
    let batch = PairBatch::new(&contrast, &rows, vec![1.0; 8]);
    assert_eq!(batch.outcomes().iter().map(|outcome| outcome.rank).collect::<Vec<_>>(), [2, 2]);
    let (loss, gradients) = PairBatch::new(&contrast, &rows, vec![0.0; 8]).gradients();
    assert!(loss.is_finite() && gradients.iter().all(|x| *x == 0.0));
    let wrong = [pair(&[2], &[3], Target::Class(1))];
    assert!(PairBatch::new(&contrast, &wrong, vec![1.0; 4]).gradients().0.is_nan());
    assert_eq!(PairBatch::new(&contrast, &[], Vec::new()).outcomes(), []);
}

#[test]
fn training_moves_pairs_together_and_apart_from_others() {
    let dir = tempfile::tempdir().unwrap();
    write_tiny_model(dir.path(), 6).unwrap();
    let rows = pairs(12, 3, |_| Target::Pair);
    let mut trainer = trainer(dir.path(), CONTRAST, 0.0);
    let before = trainer.pair_outcomes(&rows, 64).unwrap();
    for _ in 0..30 {
        trainer.step(&rows).unwrap();
    }
    let after = trainer.pair_outcomes(&rows, 64).unwrap();
    let first = |outcomes: &[PairOutcome]| outcomes.iter().filter(|outcome| outcome.rank == 1).count();
    assert!(first(&before) < 6 && first(&after) > 9, "{before:?} {after:?}");
    let mean = |outcomes: &[PairOutcome]| outcomes.iter().map(|outcome| outcome.loss).sum::<f64>() / 12.0;
    assert!(mean(&after) < mean(&before) - 1.0, "{} {}", mean(&before), mean(&after));
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    write_tiny_model(dir.path(), 6).unwrap();
    // More than one chunk, each of several parts.
    let rows = pairs(40, 16, |_| Target::Pair);
    let trained = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut trainer = trainer(dir.path(), CONTRAST, 0.1);
            let losses: Vec<f64> = (0..3).map(|_| trainer.step(&rows).unwrap().loss).collect();
            let outcomes = trainer.pair_outcomes(&rows, 16).unwrap();
            (losses, outcomes, trainer.weights.clone(), trainer.words.touched.clone())
        })
    };
    let one = trained(1);
    assert!(one == trained(3));
}

#[test]
fn training_moves_cosines_towards_scores() {
    let dir = tempfile::tempdir().unwrap();
    write_tiny_model(dir.path(), 7).unwrap();
    let rows = pairs(6, 5, score);
    let mut trainer = trainer(dir.path(), Objective::Similarity, 0.0);
    let loss = |trainer: &Trainer| {
        trainer.pair_outcomes(&rows, 64).unwrap().iter().map(|outcome| outcome.loss).sum::<f64>()
    };
    let before = loss(&trainer);
    for _ in 0..30 {
        trainer.step(&rows).unwrap();
    }
    assert!(loss(&trainer) < before / 2.0, "{before} {}", loss(&trainer));
}

#[test]
fn a_pair_that_is_not_finite_is_named_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    write_tiny_model(dir.path(), 8).unwrap();
    let mut trainer = trainer(dir.path(), CONTRAST, 0.0);
    let mut rows = pairs(3, 4, |_| Target::Pair);
    rows[1].ids[1] = 4;
    let mut row = trainer.words.row(4).to_vec();
    row[0] = f32::NAN;
    trainer.words.restore(crate::training::words::Touched {
        words: vec![4],
        rows: row.clone(),
        first: vec![0.0; row.len()],
        second: vec![0.0; row.len()],
        last_steps: vec![0],
    });
    let weights = trainer.weights.clone();
    let error = trainer.step(&rows).unwrap_err();
    assert!(matches!(&error, crate::ModelError::Diverged { rows, .. } if *rows == [1]), "{error:?}");
    assert!(trainer.weights == weights);
}
