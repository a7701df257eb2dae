use std::path::Path;

use crate::testing::write_tiny_model;
use crate::training::{
    LoraOptions, Objective, OptimizerOptions, Target, Trainer, TrainerOptions, TrainingRow,
};
use crate::weights::Weights;
use crate::{ModelError, Result};

const ALL: LoraOptions = LoraOptions { rank: 3, alpha: 6.0, attention_only: false };

fn options(dropout: f32, freeze_layers: usize, lora: Option<LoraOptions>) -> TrainerOptions {
    let optimizer = OptimizerOptions {
        total_steps: 60,
        warmup_ratio: 0.0,
        learning_rate: 1e-2,
        ..OptimizerOptions::default()
    };
    let objective = Objective::Classify { classes: 3, class_weights: vec![], label_smoothing: 0.0 };
    TrainerOptions { objective, dropout, freeze_layers, lora, seed: 7, optimizer }
}

fn load(dir: &Path, dropout: f32, freeze_layers: usize, lora: LoraOptions) -> Trainer {
    Trainer::load(dir, options(dropout, freeze_layers, Some(lora))).unwrap()
}

fn model(seed: u64) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write_tiny_model(dir.path(), seed).unwrap();
    dir
}

fn rows() -> Vec<TrainingRow> {
    let text = |ids: Vec<u32>, class| TrainingRow { first_tokens: 3, ids, target: Target::Class(class) };
    let long = (0..40).map(|i| 2 + (i * 7) % 90).collect();
    vec![text(vec![2, 70, 80, 71, 3], 0), text(vec![2, 90, 3, 70, 3], 1), text(long, 2), text(vec![2], 1)]
}

fn many_rows() -> Vec<TrainingRow> {
    (0..60).flat_map(|_| rows()).collect()
}

/// Takes some steps, so that B is not zero and A has gradients.
fn stir(trainer: &mut Trainer) {
    for step in 0..3 {
        trainer.step(&rows()).unwrap();
        assert_eq!(trainer.steps(), step + 1);
    }
}

#[test]
fn additions_of_nothing_leave_the_outputs_as_they_are() {
    let dir = model(1);
    let plain = Trainer::load(dir.path(), options(0.0, 0, None)).unwrap();
    let mut added = load(dir.path(), 0.0, 0, ALL);
    assert_eq!(plain.outputs(&rows()).unwrap(), added.outputs(&rows()).unwrap());
    added.merge();
    assert_eq!(plain.outputs(&rows()).unwrap(), added.outputs(&rows()).unwrap());
    assert_eq!(plain.weights, added.weights[..plain.weights.len()]);
}

#[test]
fn gradients_of_both_factors_are_the_slopes_of_the_loss() {
    let dir = model(2);
    for attention_only in [false, true] {
        let mut trainer = load(dir.path(), 0.2, 0, LoraOptions { attention_only, ..ALL });
        stir(&mut trainer);
        trainer.add_gradients(&rows()).unwrap();
        let (gradients, start) = (trainer.gradients().to_vec(), trainer.trained);
        let factors: Vec<_> = trainer.lora.iter().flat_map(|lora| lora.layers.iter().flatten()).collect();
        assert_eq!(factors.len(), if attention_only { 4 } else { 8 });
        let ranges: Vec<_> =
            factors.iter().flat_map(|factors| [factors.a.clone(), factors.b.clone()]).collect();
        assert_eq!(ranges.last().map(|last| last.end), Some(trainer.weights.len()));
        for range in ranges {
            let mut at: Vec<usize> = range.clone().collect();
            at.sort_by(|a, b| gradients[*b - start].abs().total_cmp(&gradients[*a - start].abs()));
            assert!(gradients[at[0] - start].abs() > 1e-4, "{range:?} has no gradient");
            for &i in at.iter().take(4).chain(at.iter().skip(range.len() / 8).take(2)) {
                let before = trainer.weights[i];
                let mut loss = |step: f32| {
                    trainer.weights[i] = before + step;
                    trainer.merge();
                    trainer.add_gradients(&rows()).unwrap().0
                };
                let slope = (loss(1e-3) - loss(-1e-3)) / 2e-3;
                trainer.weights[i] = before;
                let found = f64::from(gradients[i - start]);
                let near = (slope - found).abs() <= 0.02 * found.abs() + 5e-4;
                assert!(near, "number {i} of {range:?}: {found}, slope {slope}");
            }
        }
    }
}

/// The gradients of the factors follow from that of the whole weight: `scale · dW · Aᵀ` and `scale · Bᵀ · dW`.
#[test]
fn gradients_follow_from_those_of_the_whole_weights() {
    let dir = model(3);
    [1, 3, 20].into_iter().for_each(|rank| check_against_the_whole(dir.path(), rank));
}

fn check_against_the_whole(dir: &Path, rank: usize) {
    use nightjar_kernels::gradient::unpack_weight;
    let mut trainer = load(dir, 0.0, 0, LoraOptions { rank, alpha: 2.0 * rank as f32, ..ALL });
    stir(&mut trainer);
    trainer.add_gradients(&rows()).unwrap();
    let mut whole = Trainer::load(dir, options(0.0, 0, None)).unwrap();
    let shared = whole.weights.len();
    whole.weights.copy_from_slice(&trainer.weights[..shared]);
    whole.add_gradients(&rows()).unwrap();
    let unpacked = |packed: &[f32], inputs: usize, outputs: usize| {
        let mut to = vec![0.0; inputs * outputs];
        unpack_weight(packed, inputs, &mut to);
        to
    };
    let gradients = |range: &std::ops::Range<usize>| {
        &trainer.gradients()[range.start - trainer.trained..range.end - trainer.trained]
    };
    for factors in trainer.lora.as_ref().unwrap().layers.iter().flatten() {
        let (rank, inputs, outputs) = (factors.rank, factors.place.inputs, factors.place.outputs);
        let of_weight = unpacked(&whole.gradients()[factors.place.weight.clone()], inputs, outputs);
        let (a, b) = (&trainer.weights[factors.a.clone()], &trainer.weights[factors.b.clone()]);
        let (a, b) = (unpacked(a, rank, inputs), unpacked(b, rank, outputs));
        let of_a = unpacked(gradients(&factors.a), rank, inputs);
        let of_b = unpacked(gradients(&factors.b), rank, outputs);
        let near = |found: f32, expected: f32, what: &str| {
            assert!(
                (found - 2.0 * expected).abs() <= 1e-5 + 1e-3 * found.abs(),
                "{what}: {found} {expected}"
            );
        };
        for r in 0..rank {
            for input in 0..inputs {
                let sum: f32 = (0..outputs).map(|o| b[o * rank + r] * of_weight[o * inputs + input]).sum();
                near(of_a[input * rank + r], sum, "A");
            }
            for output in 0..outputs {
                let sum: f32 = (0..inputs).map(|i| a[i * rank + r] * of_weight[output * inputs + i]).sum();
                let own = output * factors.blocks / outputs == r * factors.blocks / rank;
                near(of_b[output * rank + r], if own { sum } else { 0.0 }, "B");
                assert!(own || b[output * rank + r] == 0.0);
            }
        }
    }
}

#[test]
fn only_the_products_with_an_addition_move() {
    let dir = model(4);
    for (frozen, attention_only) in [(0, false), (0, true), (1, false)] {
        let mut trainer = load(dir.path(), 0.1, frozen, LoraOptions { attention_only, ..ALL });
        let (before, head) = (trainer.places.tensors(&trainer.weights), trainer.head());
        stir(&mut trainer);
        for (before, after) in before.iter().zip(trainer.places.tensors(&trainer.weights)) {
            let name = &after.name;
            let product = name.ends_with(".weight") && !name.contains("LayerNorm") && name.contains("layer.");
            let feed_forward = !name.contains(".attention.");
            let layer_moves = frozen == 0 || name.contains("layer.1.");
            let moves = product && layer_moves && !(feed_forward && attention_only);
            assert_eq!(before.values != after.values, moves, "{name} with {frozen} frozen");
        }
        assert!(trainer.words.touched.words.is_empty());
        let moved = trainer.head();
        assert!(head.weight != moved.weight && head.bias != moved.bias);
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits_and_the_loss_falls() {
    let (dir, rows) = (model(5), many_rows());
    let trained = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut trainer = load(dir.path(), 0.1, 0, ALL);
            let losses: Vec<f64> = (0..6).map(|_| trainer.step(&rows).unwrap().loss).collect();
            (losses, trainer.weights)
        })
    };
    let one = trained(1);
    assert!(one.0[5] < one.0[0] - 0.1, "{:?}", one.0);
    for threads in [2, 5] {
        assert!(one == trained(threads), "{threads} threads");
    }
}

/// The norm that clips is that of the head and the factors.
#[test]
fn the_norm_counts_what_is_trained() {
    let dir = model(6);
    let mut trainer = load(dir.path(), 0.0, 0, ALL);
    trainer.add_gradients(&rows()).unwrap();
    let squares: f64 = trainer.gradients().iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
    let mut stepping = load(dir.path(), 0.0, 0, ALL);
    let norm = stepping.step(&rows()).unwrap().gradient_norm;
    assert!((norm - squares.sqrt()).abs() < 1e-9 * norm, "{norm} {squares}");
    assert_eq!(stepping.gradients().len(), stepping.weights.len() - stepping.trained);
}

#[test]
fn a_restored_training_goes_on_with_the_same_bits_from_a_small_state() {
    let dir = model(7);
    let [path, whole] = ["state", "whole"].map(|name| dir.path().join(name));
    let (mut one, mut two) = (load(dir.path(), 0.1, 1, ALL), load(dir.path(), 0.1, 1, ALL));
    stir(&mut one);
    one.save_state(&path).unwrap();
    two.step(&many_rows()).unwrap();
    two.restore_state(&path).unwrap();
    assert_eq!(one.weights, two.weights);
    for _ in 0..2 {
        assert_eq!(one.step(&many_rows()).unwrap(), two.step(&many_rows()).unwrap());
    }
    assert_eq!((&one.weights, one.steps()), (&two.weights, two.steps()));
    let plain = Trainer::load(dir.path(), options(0.1, 1, None)).unwrap();
    plain.save_state(&whole).unwrap();
    let size = |path: &Path| std::fs::metadata(path).unwrap().len();
    assert!(3 * size(&path) < 2 * size(&whole), "{} of {}", size(&path), size(&whole));
}

#[test]
fn the_mean_of_states_is_that_of_the_factors() {
    let dir = model(8);
    let [a, b, mean] = ["a", "b", "mean"].map(|name| dir.path().join(name));
    let (mut one, mut two) = (load(dir.path(), 0.1, 0, ALL), load(dir.path(), 0.2, 0, ALL));
    stir(&mut one);
    stir(&mut two);
    one.save_state(&a).unwrap();
    two.save_state(&b).unwrap();
    one.average_states(&[(a, 1.0), (b, 3.0)], &mean).unwrap();
    let mut found = load(dir.path(), 0.1, 0, ALL);
    found.restore_state(&mean).unwrap();
    for i in found.trained..found.weights.len() {
        let expected = 0.25 * f64::from(one.weights[i]) + 0.75 * f64::from(two.weights[i]);
        assert!((f64::from(found.weights[i]) - expected).abs() < 1e-7);
    }
    let merged = found.weights.clone();
    found.merge();
    assert_eq!(merged, found.weights);
}

#[test]
fn states_of_other_trainings_are_refused() {
    let dir = model(9);
    let path = dir.path().join("state");
    load(dir.path(), 0.1, 0, ALL).save_state(&path).unwrap();
    let refused = |freeze_layers: usize, lora: Option<LoraOptions>| {
        let mut trainer = Trainer::load(dir.path(), options(0.1, freeze_layers, lora)).unwrap();
        let before = trainer.weights.clone();
        let error = trainer.restore_state(&path).unwrap_err();
        assert_eq!(before, trainer.weights);
        let mean = trainer.average_states(&[(path.clone(), 1.0)], &dir.path().join("mean")).unwrap_err();
        assert_eq!(error.to_string(), mean.to_string());
        assert!(matches!(error, ModelError::WeightsInvalid { .. }));
        error.to_string()
    };
    let error = refused(0, None);
    assert!(error.contains("additions of rank 3") && error.contains("not of all weights"), "{error}");
    let error = refused(0, Some(LoraOptions { rank: 4, ..ALL }));
    assert!(error.contains("of rank 3") && error.contains("not of additions of rank 4"), "{error}");
    refused(0, Some(LoraOptions { alpha: 7.0, ..ALL }));
    refused(0, Some(LoraOptions { attention_only: true, ..ALL }));
    refused(1, Some(ALL));
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let dir = model(10);
    let error = |freeze_layers: usize, lora: LoraOptions| -> String {
        let loaded: Result<Trainer> = Trainer::load(dir.path(), options(0.1, freeze_layers, Some(lora)));
        loaded.unwrap_err().to_string()
    };
    assert!(error(0, LoraOptions { rank: 0, ..ALL }).contains("lora_rank"));
    for alpha in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        assert!(error(0, LoraOptions { alpha, ..ALL }).contains("lora_alpha"));
    }
    assert!(error(2, ALL).contains("freeze_layers"));
}

#[test]
fn the_adapter_has_pefts_names_and_makes_the_merged_weights() {
    let dir = model(11);
    let base = load(dir.path(), 0.1, 0, ALL).places.tensors(&load(dir.path(), 0.1, 0, ALL).weights);
    let mut trainer = load(dir.path(), 0.1, 1, ALL);
    stir(&mut trainer);
    assert!(Trainer::load(dir.path(), options(0.1, 0, None)).unwrap().adapter().is_none());
    trainer.adapter().unwrap().save(dir.path(), "tiny@1").unwrap();
    let config = std::fs::read_to_string(dir.path().join("adapter_config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    assert_eq!((&config["r"], &config["lora_alpha"]), (&3.into(), &6.0.into()));
    assert_eq!(config["layers_to_transform"], serde_json::json!([1]));
    assert_eq!(config["target_modules"].as_array().unwrap().len(), 6);
    let path = dir.path().join("adapter_model.safetensors");
    let mapped = Weights::map(&path).unwrap();
    let adapter = Weights::parse(&path, &mapped).unwrap();
    assert_eq!(adapter.names().len(), 2 * 6);
    let merged = trainer.places.tensors(&trainer.weights);
    let mut seen = 0;
    for (base, merged) in base.iter().zip(&merged).filter(|(_, merged)| merged.name.contains("layer.1.")) {
        let name = format!("base_model.model.{}", merged.name.trim_end_matches(".weight"));
        let (a, b) = (format!("{name}.lora_A.weight"), format!("{name}.lora_B.weight"));
        if !adapter.names().contains(&a) {
            continue;
        }
        seen += 1;
        let (outputs, inputs) = (merged.shape[0], merged.shape[1]);
        let (a, b) = (adapter.values(&a, &[3, inputs]).unwrap(), adapter.values(&b, &[outputs, 3]).unwrap());
        for (i, (base, merged)) in base.values.iter().zip(&merged.values).enumerate() {
            let (output, input) = (i / inputs, i % inputs);
            let sum: f32 = (0..3).map(|r| b[output * 3 + r] * a[r * inputs + input]).sum();
            assert!((base + 2.0 * sum - merged).abs() < 1e-5, "{name}[{i}]");
        }
    }
    assert_eq!(seen, 6);
}
