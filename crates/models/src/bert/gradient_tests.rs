//! The hand-written gradients against candle's autograd over the reference, and against finite differences.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::backprop::GradStore;
use candle_core::{D, Device, Tensor, Var};

use super::reference::{Layer, Linear, Norm, ReferenceBert};
use super::weights::BertWeights;
use super::{Architecture, Bert};
use crate::architecture::with_weights;
use crate::testing::write_tiny_model;
use crate::training::{Objective, OptimizerOptions, Target, Trainer, TrainerOptions, TrainingRow};

const CLASSES: usize = 3;

/// Texts of some lengths, one of them a pair, with their classes.
fn rows() -> Vec<TrainingRow> {
    let text = |ids: Vec<u32>, first_tokens: usize, class: u32| TrainingRow {
        ids,
        first_tokens,
        target: Target::Class(class),
    };
    let long: Vec<u32> = (0..40).map(|i| 2 + (i * 7) % 90).collect();
    vec![
        text(vec![2, 70, 80, 71, 3], 5, 0),
        text(vec![2, 90, 3, 70, 75, 3], 3, 1),
        text(long, 40, 2),
        text(vec![2], 1, 1),
    ]
}

fn trainer(dir: &Path, dropout: f32, freeze_layers: usize) -> Trainer {
    let objective =
        Objective::Classify { classes: CLASSES, class_weights: vec![1.0, 2.0, 0.5], label_smoothing: 0.1 };
    let optimizer = OptimizerOptions {
        total_steps: 10,
        warmup_ratio: 0.0,
        learning_rate: 1e-3,
        ..OptimizerOptions::default()
    };
    Trainer::load(dir, TrainerOptions { objective, dropout, freeze_layers, lora: None, seed: 5, optimizer })
        .unwrap()
}

/// A model whose tensors are variables.
fn reference(dir: &Path) -> (ReferenceBert, BTreeMap<String, Var>) {
    let mut model = with_weights(dir, |_, config, weights| {
        let weights = BertWeights::new(Bert.sizes(config)?, config, weights)?;
        ReferenceBert::load(&weights, &Device::Cpu)
    })
    .unwrap();
    let mut variables = BTreeMap::new();
    let mut vary = |name: String, tensor: &mut Tensor| {
        let variable = Var::from_tensor(tensor).unwrap();
        *tensor = variable.as_tensor().clone();
        variables.insert(name, variable);
    };
    vary("embeddings.word_embeddings.weight".into(), &mut model.words);
    vary("embeddings.position_embeddings.weight".into(), &mut model.positions);
    vary("embeddings.token_type_embeddings.weight".into(), &mut model.segments);
    let norm = |name: &str, norm: &mut Norm, vary: &mut dyn FnMut(String, &mut Tensor)| {
        vary(format!("{name}.weight"), &mut norm.weight);
        vary(format!("{name}.bias"), &mut norm.bias);
    };
    norm("embeddings.LayerNorm", &mut model.embedding_norm, &mut vary);
    for (i, layer) in model.layers.iter_mut().enumerate() {
        let Layer { query, key, value, attention_output, attention_norm, up, down, output_norm } = layer;
        let linears: [(&str, &mut Linear); 6] = [
            ("attention.self.query", query),
            ("attention.self.key", key),
            ("attention.self.value", value),
            ("attention.output.dense", attention_output),
            ("intermediate.dense", up),
            ("output.dense", down),
        ];
        for (name, linear) in linears {
            vary(format!("encoder.layer.{i}.{name}.weight"), &mut linear.weight);
            vary(format!("encoder.layer.{i}.{name}.bias"), &mut linear.bias);
        }
        norm(&format!("encoder.layer.{i}.attention.output.LayerNorm"), attention_norm, &mut vary);
        norm(&format!("encoder.layer.{i}.output.LayerNorm"), output_norm, &mut vary);
    }
    (model, variables)
}

/// Returns the loss of the rows by candle, and its gradients.
fn candle_loss(
    model: &ReferenceBert,
    head: (&Tensor, &Tensor),
    rows: &[TrainingRow],
    weights: &[f64],
) -> (f64, GradStore) {
    let mut sum = Tensor::zeros((), candle_core::DType::F32, &Device::Cpu).unwrap();
    let total: f64 = rows.iter().map(|row| weights[class(row)]).sum();
    for row in rows {
        let segments: Vec<u32> =
            (0..row.ids.len()).map(|token| u32::from(token >= row.first_tokens)).collect();
        let states = model.text(&row.ids, &segments).unwrap();
        let pooled = states.mean_keepdim(0).unwrap();
        let logits = (pooled.matmul(&head.0.t().unwrap()).unwrap().broadcast_add(head.1)).unwrap();
        let log_total = logits.exp().unwrap().sum_keepdim(D::Minus1).unwrap().log().unwrap();
        let mut target = vec![0.1 / CLASSES as f32; CLASSES];
        target[class(row)] += 0.9;
        let target = Tensor::from_vec(target, (1, CLASSES), &Device::Cpu).unwrap();
        let loss = (logits.broadcast_sub(&log_total).unwrap() * target).unwrap().sum_all().unwrap();
        sum = (sum - (loss * (weights[class(row)] / total)).unwrap()).unwrap();
    }
    let gradients = sum.backward().unwrap();
    (f64::from(sum.to_scalar::<f32>().unwrap()), gradients)
}

fn class(row: &TrainingRow) -> usize {
    match row.target {
        Target::Class(class) => class as usize,
        _ => unreachable!(),
    }
}

fn check(name: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let scale = expected.iter().fold(1e-3f32, |max, x| max.max(x.abs()));
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= 2e-4 * scale, "{name}[{i}]: {found}, expected {expected}");
    }
}

#[test]
fn every_gradient_is_that_of_candles_autograd() {
    let dir = tempfile::tempdir().unwrap();
    write_tiny_model(dir.path(), 3).unwrap();
    let mut trainer = trainer(dir.path(), 0.0, 0);
    let (model, variables) = reference(dir.path());
    let head = trainer.head();
    let weight = Var::from_vec(head.weight.clone(), (CLASSES, 32), &Device::Cpu).unwrap();
    let bias = Var::from_vec(head.bias.clone(), (1, CLASSES), &Device::Cpu).unwrap();
    let (expected, gradients) =
        candle_loss(&model, (weight.as_tensor(), bias.as_tensor()), &rows(), &[1.0, 2.0, 0.5]);
    let (loss, tokens) = trainer.add_gradients(&rows()).unwrap();
    assert!((loss - expected).abs() < 1e-5, "{loss} {expected}");
    assert_eq!(tokens, 52);

    let of =
        |variable: &Var| gradients.get(variable).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let found = trainer.gradient_tensors();
    assert_eq!(found.len() + 1, variables.len());
    for tensor in &found {
        check(&tensor.name, &tensor.values, &of(&variables[&tensor.name]));
        let bound = if tensor.name.ends_with("key.bias") { 0.0 } else { 1e-7 };
        // The keys' bias shifts all scores of a query alike, so softmax hides it.
        assert!(tensor.values.iter().any(|x| x.abs() >= bound), "{} has no gradient", tensor.name);
    }
    let words = of(&variables["embeddings.word_embeddings.weight"]);
    for (word, expected) in words.chunks_exact(32).enumerate() {
        match trainer.words.gradient(word as u32) {
            Some(found) => check(&format!("word {word}"), found, expected),
            None => assert!(expected.iter().all(|x| *x == 0.0), "word {word}"),
        }
    }
    let head = trainer.head_gradient();
    check("head", &head.weight, &of(&weight));
    check("head", &head.bias, &of(&bias));
}

#[test]
fn gradients_with_dropout_are_the_slopes_of_the_loss() {
    let dir = tempfile::tempdir().unwrap();
    write_tiny_model(dir.path(), 4).unwrap();
    let rows = rows();
    for frozen in [0, 1, 2] {
        let mut trainer = trainer(dir.path(), 0.2, frozen);
        trainer.add_gradients(&rows).unwrap();
        let (gradients, start) = (trainer.gradients().to_vec(), trainer.trained);
        // Some numbers of every tensor: those with the greatest gradients, where a difference is no noise.
        for region in trainer.region_ranges() {
            let mut at: Vec<usize> = region.clone().collect();
            at.sort_by(|a, b| gradients[*b].abs().total_cmp(&gradients[*a].abs()));
            for &i in at.iter().take(3) {
                let before = trainer.weights[start + i];
                let mut loss = |step: f32| {
                    trainer.weights[start + i] = before + step;
                    trainer.add_gradients(&rows).unwrap().0
                };
                let slope = (loss(2e-3) - loss(-2e-3)) / 4e-3;
                trainer.weights[start + i] = before;
                let found = f64::from(gradients[i]);
                assert!(
                    (slope - found).abs() <= 0.02 * found.abs() + 2e-4,
                    "number {i} of {region:?} above {frozen}: {found}, slope {slope}"
                );
            }
        }
    }
}

#[test]
fn frozen_layers_stay_and_the_others_move() {
    let dir = tempfile::tempdir().unwrap();
    write_tiny_model(dir.path(), 5).unwrap();
    for frozen in [0, 1, 2] {
        let mut trainer = trainer(dir.path(), 0.1, frozen);
        let before = trainer.places.tensors(&trainer.weights);
        let word = trainer.words.row(70).to_vec();
        trainer.step(&rows()).unwrap();
        for (before, after) in before.iter().zip(trainer.places.tensors(&trainer.weights)) {
            let layer =
                before.name.strip_prefix("encoder.layer.").and_then(|rest| rest[..1].parse::<usize>().ok());
            let stays = layer.map_or(frozen > 0, |layer| layer < frozen);
            assert_eq!(before.values == after.values, stays, "{} with {frozen} frozen", after.name);
        }
        assert_eq!(word == trainer.words.row(70), frozen > 0);
    }
    let objective = Objective::Regress;
    let options = TrainerOptions {
        objective,
        dropout: 0.0,
        freeze_layers: 3,
        lora: None,
        seed: 1,
        optimizer: OptimizerOptions::default(),
    };
    let error = Trainer::load(dir.path(), options).unwrap_err().to_string();
    assert!(error.contains("freeze_layers"), "{error}");
}

#[test]
fn any_number_of_threads_gives_the_same_bits_and_the_loss_falls() {
    let dir = tempfile::tempdir().unwrap();
    write_tiny_model(dir.path(), 6).unwrap();
    let rows: Vec<TrainingRow> = (0..60).flat_map(|_| rows()).collect();
    let trained = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut trainer = trainer(dir.path(), 0.1, 0);
            let losses: Vec<f64> = (0..6).map(|_| trainer.step(&rows).unwrap().loss).collect();
            (
                losses,
                trainer.weights.clone(),
                trainer.words.touched.clone(),
                trainer.outputs(&rows[..4]).unwrap(),
            )
        })
    };
    let one = trained(1);
    assert!(one.0[5] < one.0[0] - 0.05, "{:?}", one.0);
    for threads in [2, 5] {
        assert!(one == trained(threads), "{threads} threads");
    }
}
