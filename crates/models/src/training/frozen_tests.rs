//! Training above stored states: the bits of training without them, and files that are not to be trusted.

use std::path::PathBuf;

use super::*;
use crate::testing::write_tiny_model;
use crate::training::{LoraOptions, Objective, OptimizerOptions, StepReport, Target, TrainerOptions};

const LORA: LoraOptions = LoraOptions { rank: 2, alpha: 4.0, attention_only: false };

struct Case {
    objective: Objective,
    freeze_layers: usize,
    lora: Option<LoraOptions>,
}

fn case(freeze_layers: usize) -> Case {
    let objective = Objective::Classify { classes: 3, class_weights: vec![], label_smoothing: 0.0 };
    Case { objective, freeze_layers, lora: None }
}

impl Case {
    fn trainer(&self, dir: &Path) -> Trainer {
        let optimizer = OptimizerOptions {
            total_steps: 20,
            warmup_ratio: 0.0,
            learning_rate: 5e-3,
            ..OptimizerOptions::default()
        };
        let (objective, freeze_layers, lora) = (self.objective.clone(), self.freeze_layers, self.lora);
        let options = TrainerOptions { objective, dropout: 0.2, freeze_layers, lora, seed: 3, optimizer };
        Trainer::load(dir, options).unwrap()
    }

    /// Texts of one to 41 tokens, more than a chunk holds; each with a second one.
    fn rows(&self) -> Vec<TrainingRow> {
        let row = |i: u32| {
            let ids: Vec<u32> = (0..1 + i * 13 % 41).map(|token| 2 + (i * 31 + token * 7) % 90).collect();
            let target = match self.objective {
                Objective::Classify { .. } => Target::Class(i % 3),
                Objective::Contrast { .. } => Target::Pair,
                _ => Target::Number(i as f32 / 100.0),
            };
            let first_tokens = ids.len().div_ceil(2);
            TrainingRow { first_tokens, ids: [ids, vec![3, 5 + i]].concat(), target }
        };
        (0..70).map(row).collect()
    }
}

fn model(seed: u64) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write_tiny_model(dir.path(), seed).unwrap();
    dir
}

fn stored(trainer: &Trainer, rows: &[TrainingRow], path: &Path) -> FrozenStates {
    trainer.save_frozen(rows, path, || true).unwrap();
    trainer.open_frozen(rows, path).unwrap()
}

/// Takes three epochs of steps over batches of 32 rows, in another order each.
fn train(trainer: &mut Trainer, rows: &[TrainingRow], states: Option<&FrozenStates>) -> Vec<StepReport> {
    let epoch = |epoch: u64| {
        let mut order: Vec<usize> = (0..rows.len()).collect();
        crate::shuffle(&mut order, epoch);
        order
    };
    let orders: Vec<_> = (0..3).map(epoch).collect();
    let batches = orders.iter().flat_map(|order| order.chunks(32));
    let step = |batch: &[usize]| {
        let batch_rows: Vec<TrainingRow> = batch.iter().map(|row| rows[*row].clone()).collect();
        let stored = states.map(|states| FrozenBatch { states, rows: batch });
        trainer.step_above(stored, &batch_rows).unwrap()
    };
    batches.map(step).collect()
}

fn in_threads<T: Send>(threads: usize, run: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run)
}

#[test]
fn steps_above_stored_states_have_the_bits_of_steps_that_compute_them() {
    let dir = model(21);
    let of = |objective, freeze_layers, lora| Case { objective, freeze_layers, lora };
    let cases = [
        case(1),
        // The head alone.
        case(2),
        of(Objective::Regress, 1, Some(LORA)),
        of(Objective::Similarity, 1, None),
        of(Objective::Contrast { scale: 20.0 }, 1, Some(LORA)),
    ];
    for case in cases {
        let (mut plain, mut above, rows) = (case.trainer(dir.path()), case.trainer(dir.path()), case.rows());
        let states = in_threads(3, || stored(&above, &rows, &dir.path().join("states")));
        let computed = train(&mut plain, &rows, None);
        let read = in_threads(3, || train(&mut above, &rows, Some(&states)));
        let name = format!("{:?} above {}", case.objective, case.freeze_layers);
        for (computed, read) in computed.iter().zip(&read) {
            assert_eq!((computed.stored_tokens, read.stored_tokens), (0, read.tokens), "{name}");
            assert_eq!((computed.loss, computed.gradient_norm), (read.loss, read.gradient_norm), "{name}");
        }
        assert!(plain.weights == above.weights, "{name}");
        let before = case.trainer(dir.path()).weights;
        assert!(before[..plain.trained] == plain.weights[..plain.trained] || case.lora.is_some());
        assert!(before != plain.weights, "{name}");
    }
}

#[test]
fn states_do_not_depend_on_threads_or_on_what_was_trained() {
    let dir = model(22);
    let (mut trainer, rows) = (case(1).trainer(dir.path()), case(1).rows());
    let [one, three] = ["one", "three"].map(|name| dir.path().join(name));
    in_threads(1, || stored(&trainer, &rows, &one));
    train(&mut trainer, &rows, None);
    in_threads(3, || stored(&trainer, &rows, &three));
    assert!(std::fs::read(one).unwrap() == std::fs::read(three).unwrap());
    let none = stored(&trainer, &[], &dir.path().join("none"));
    assert_eq!(none.starts, [0]);
}

#[test]
fn a_file_that_is_not_whole_is_not_opened() {
    let dir = model(23);
    let (trainer, rows, path) = (case(1).trainer(dir.path()), case(1).rows(), dir.path().join("states"));
    assert!(trainer.open_frozen(&rows, &path).is_none());
    stored(&trainer, &rows, &path);
    let whole = std::fs::read(&path).unwrap();
    for torn in [&[][..], &whole[..8], &whole[..whole.len() - 1], &[&whole[..], &[0]].concat()] {
        std::fs::write(&path, torn).unwrap();
        assert!(trainer.open_frozen(&rows, &path).is_none(), "{} bytes", torn.len());
    }
    std::fs::write(&path, &whole).unwrap();
    assert!(trainer.open_frozen(&rows[1..], &path).is_none());
    assert!(trainer.open_frozen(&rows, dir.path()).is_none());
}

/// Whatever the file holds, a step does what it does without; returns how many tokens it has read.
fn read_of_damaged(
    dir: &Path,
    damage: impl FnOnce(&mut Vec<u8>),
    choose: impl Fn(usize) -> usize,
) -> (usize, usize) {
    let (case, path) = (case(1), dir.join("damaged"));
    let (mut plain, mut above, rows) = (case.trainer(dir), case.trainer(dir), case.rows());
    stored(&above, &rows, &path);
    let mut bytes = std::fs::read(&path).unwrap();
    damage(&mut bytes);
    std::fs::write(&path, &bytes).unwrap();
    let states = above.open_frozen(&rows, &path).unwrap();
    let numbers: Vec<usize> = (0..rows.len()).map(choose).collect();
    let computed = plain.step(&rows).unwrap();
    let found = above.step_above(Some(FrozenBatch { states: &states, rows: &numbers }), &rows).unwrap();
    assert_eq!((computed.loss, computed.gradient_norm), (found.loss, found.gradient_norm));
    assert!(plain.weights == above.weights);
    (found.stored_tokens, found.tokens)
}

#[test]
fn damaged_states_are_computed_again() {
    let dir = model(24);
    let same = |row| row;
    let (read, tokens) = read_of_damaged(dir.path(), |_| {}, same);
    assert_eq!(read, tokens);
    // One bit of one text costs a part.
    let (read, tokens) = read_of_damaged(dir.path(), |bytes| bytes[40_000] ^= 1, same);
    assert!(read < tokens && 2 * read > tokens, "{read} of {tokens}");
    let (read, tokens) = read_of_damaged(dir.path(), |bytes| *bytes.last_mut().unwrap() ^= 0x80, same);
    assert!(read < tokens && 2 * read > tokens, "{read} of {tokens}");
    // As a file system may leave a file after a power cut.
    assert_eq!(read_of_damaged(dir.path(), |bytes| bytes.fill(0), same).0, 0);
    assert_eq!(read_of_damaged(dir.path(), |bytes| bytes.fill(0xff), same).0, 0);
}

#[test]
fn states_of_other_texts_are_not_taken() {
    let dir = model(25);
    // Every 41st text has as many tokens.
    let others = |row| if row < 41 { row + 41 } else { row - 41 };
    assert_eq!(read_of_damaged(dir.path(), |_| {}, others).0, 0);
    assert_eq!(read_of_damaged(dir.path(), |_| {}, |row| row + 70).0, 0);
    assert_eq!(read_of_damaged(dir.path(), |_| {}, |row| usize::MAX - row).0, 0);
    // A file of as many numbers, below one layer and not below two.
    let (rows, path) = (case(1).rows(), dir.path().join("states"));
    stored(&case(1).trainer(dir.path()), &rows, &path);
    let mut two = case(2).trainer(dir.path());
    let states = two.open_frozen(&rows, &path).unwrap();
    let numbers: Vec<usize> = (0..rows.len()).collect();
    let report = two.step_above(Some(FrozenBatch { states: &states, rows: &numbers }), &rows).unwrap();
    assert_eq!(report.stored_tokens, 0);
}

#[test]
fn storing_stops_when_asked_to_and_says_what_went_wrong() {
    let dir = model(26);
    let (trainer, mut rows, path) = (case(1).trainer(dir.path()), case(1).rows(), dir.path().join("states"));
    let mut asked = 0;
    let stops = || {
        asked += 1;
        asked < 2
    };
    assert!(matches!(trainer.save_frozen(&rows, &path, stops).unwrap_err(), ModelError::Cancelled));
    assert_eq!(asked, 2);
    assert!(trainer.open_frozen(&rows, &path).is_none());
    let nowhere: PathBuf = dir.path().join("missing/states");
    assert!(matches!(
        trainer.save_frozen(&rows, &nowhere, || true).unwrap_err(),
        ModelError::FileMissing { .. }
    ));
    rows[0].ids[0] = 1_000_000;
    assert!(matches!(
        trainer.save_frozen(&rows, &path, || true).unwrap_err(),
        ModelError::SizeMismatch { .. }
    ));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told() {
    let dir = model(27);
    let (trainer, rows) = (case(1).trainer(dir.path()), case(1).rows());
    let error = trainer.save_frozen(&rows, Path::new("/dev/full"), || true).unwrap_err();
    let ModelError::FileAccess { action: "written", source, .. } = error else { panic!("{error}") };
    assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
}
