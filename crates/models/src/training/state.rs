//! The state of a training between two rounds, as a file, and the mean of several.

use std::path::{Path, PathBuf};

use candle_core::safetensors::SliceSafetensors;
use memmap2::Mmap;

use super::lora::LoraOptions;
use super::trainer::Trainer;
use super::words::Touched;
use crate::tensor_file::{Kind, TensorWriter};
use crate::weights::Weights;
use crate::{ModelError, Result};

/// Numbers that are averaged at a time.
const CHUNK: usize = 1 << 16;

/// The tensors of a state file: all but the last two are f32, these are u32.
const WEIGHTS: [&str; 3] = ["weights", "first", "second"];
const WORDS: [&str; 3] = ["word_rows", "word_first", "word_second"];
const WORD_IDS: &str = "words";
const LAST_STEPS: &str = "word_last_steps";

impl Trainer {
    /// Writes all that a training needs to go on: the trained weights (with additions their factors and the head), their moments, the
    /// touched words and the number of steps, as safetensors.
    ///
    /// Equal states give equal bytes. The file is not synced.
    ///
    /// # Errors
    /// `FileAccess`.
    pub fn save_state(&self, path: &Path) -> Result<()> {
        let Touched { words, rows, first, second, last_steps } = &self.words.touched;
        let trained = &self.weights[self.trained..];
        let dense = [trained, &self.moments.first, &self.moments.second];
        let about = (self.kind(), self.steps);
        let mut file = create_state(path, about, trained.len(), words.len(), rows.len())?;
        dense.into_iter().chain([&rows[..], first, second]).try_for_each(|numbers| file.write(numbers))?;
        file.write_ids(words)?;
        file.write_ids(last_steps)?;
        file.finish()
    }

    /// Returns what a state is of: states of other kinds do not fit.
    fn kind(&self) -> String {
        let frozen = self.options.freeze_layers;
        match &self.options.lora {
            None => format!("all weights above {frozen} frozen layers"),
            Some(LoraOptions { rank, alpha, attention_only }) => {
                let products = if *attention_only { "attention" } else { "all" };
                format!(
                    "additions of rank {rank} and alpha {alpha} to {products} products above {frozen} frozen layers"
                )
            }
        }
    }

    /// Goes on from a state that a trainer of the same model and options has saved.
    ///
    /// # Errors
    /// `FileMissing`, `FileAccess`, `WeightsInvalid` for a file that is no state of such a training; nothing has changed then, unless
    /// the file is too short.
    pub fn restore_state(&mut self, path: &Path) -> Result<()> {
        let mapped = Weights::map(path)?;
        let state = StateFile::parse(path, &mapped)?;
        self.check(&state)?;
        let words = state.ids(WORD_IDS)?;
        if words.iter().any(|word| *word as usize >= self.words.words()) {
            return Err(state.invalid("it has words that the model does not have"));
        }
        let trained = &mut self.weights[self.trained..];
        for (name, to) in
            WEIGHTS.into_iter().zip([trained, &mut self.moments.first, &mut self.moments.second])
        {
            state.read(name, 0, to)?;
        }
        let [mut rows, mut first, mut second] = [(); 3].map(|()| vec![0.0; state.word_numbers]);
        for (name, to) in WORDS.into_iter().zip([&mut rows, &mut first, &mut second]) {
            state.read(name, 0, to)?;
        }
        let last_steps = state.ids(LAST_STEPS)?;
        self.words.restore(Touched { words, rows, first, second, last_steps });
        self.steps = state.steps;
        self.merge();
        Ok(())
    }

    /// Refuses a state of another training.
    fn check(&self, state: &StateFile<'_>) -> Result<()> {
        let kind = self.kind();
        if state.kind != kind {
            return Err(state.invalid(&format!("it is a state of {}, not of {kind}", state.kind)));
        }
        if state.len != self.moments.first.len()
            || state.word_numbers != state.words * self.places.sizes.hidden
        {
            return Err(state.invalid("it belongs to another model"));
        }
        Ok(())
    }

    /// Writes the mean of states, each weighted, to `out`: sums run in f64 and in the order of `states`. Words that a state has not touched
    /// count there as the base's. The number of steps is the greatest. Of additions the factors are averaged: the product of two means is
    /// not quite the mean of the products, but it has their rank.
    ///
    /// # Errors
    /// `FileMissing`, `FileAccess`, `WeightsInvalid` where the states are not of one training.
    ///
    /// Cost: reads each state once; memory of a few chunks and of the touched words.
    pub fn average_states(&self, states: &[(PathBuf, f64)], out: &Path) -> Result<()> {
        let mapped = states.iter().map(|(path, _)| Weights::map(path)).collect::<Result<Vec<Mmap>>>()?;
        let files = states.iter().zip(&mapped).map(|((path, _), bytes)| StateFile::parse(path, bytes));
        let files = files.collect::<Result<Vec<_>>>()?;
        let total: f64 = states.iter().map(|(_, weight)| weight).sum();
        let shares: Vec<f64> = states.iter().map(|(_, weight)| weight / total).collect();
        let (len, width) = (self.moments.first.len(), self.places.sizes.hidden);
        files.iter().try_for_each(|file| self.check(file))?;
        let union = WordUnion::of(&files)?;
        let steps = files.iter().map(|file| file.steps).max().unwrap_or(0);
        let (about, words) = ((self.kind(), steps), union.words.len());
        let mut writer = create_state(out, about, len, words, words * width)?;
        let (mut sums, mut numbers) = (Vec::new(), vec![0.0; CHUNK]);
        for name in WEIGHTS {
            for start in (0..len).step_by(CHUNK) {
                let numbers = &mut numbers[..(len - start).min(CHUNK)];
                sums.clear();
                sums.resize(numbers.len(), 0.0f64);
                for (file, share) in files.iter().zip(&shares) {
                    file.read(name, start, numbers)?;
                    sums.iter_mut().zip(&*numbers).for_each(|(sum, x)| *sum += share * f64::from(*x));
                }
                numbers.iter_mut().zip(&sums).for_each(|(x, sum)| *x = *sum as f32);
                writer.write(numbers)?;
            }
        }
        let mut numbers = vec![0.0; width];
        for name in WORDS {
            for (word, rows) in union.words.iter().zip(&union.rows) {
                let mut sums = vec![0.0f64; width];
                for ((file, share), row) in files.iter().zip(&shares).zip(rows) {
                    match row {
                        Some(row) => file.read(name, *row as usize * width, &mut numbers)?,
                        None if name == WORDS[0] => numbers.copy_from_slice(self.words.base_row(*word)),
                        None => numbers.fill(0.0),
                    }
                    sums.iter_mut().zip(&numbers).for_each(|(sum, x)| *sum += share * f64::from(*x));
                }
                numbers.iter_mut().zip(&sums).for_each(|(x, sum)| *x = *sum as f32);
                writer.write(&numbers)?;
            }
        }
        writer.write_ids(&union.words)?;
        writer.write_ids(&union.last_steps)?;
        writer.finish()
    }
}

/// The words that any of some states has touched, in the order of first appearance.
struct WordUnion {
    words: Vec<u32>,
    /// Of each word its row in each state.
    rows: Vec<Vec<Option<u32>>>,
    last_steps: Vec<u32>,
}

impl WordUnion {
    fn of(files: &[StateFile<'_>]) -> Result<Self> {
        let mut union = WordUnion { words: Vec::new(), rows: Vec::new(), last_steps: Vec::new() };
        let mut place_of = std::collections::HashMap::new();
        for (i, file) in files.iter().enumerate() {
            let last_steps = file.ids(LAST_STEPS)?;
            for (row, (word, last_step)) in file.ids(WORD_IDS)?.into_iter().zip(last_steps).enumerate() {
                let place = *place_of.entry(word).or_insert_with(|| {
                    union.words.push(word);
                    union.rows.push(vec![None; files.len()]);
                    union.last_steps.push(0);
                    union.words.len() - 1
                });
                union.rows[place][i] = Some(row as u32);
                union.last_steps[place] = union.last_steps[place].max(last_step);
            }
        }
        Ok(union)
    }
}

/// Makes the file of a state: of what kind and after how many steps, with so many trained numbers, words and numbers of words.
fn create_state(
    path: &Path,
    (kind, steps): (String, u32),
    len: usize,
    words: usize,
    word_numbers: usize,
) -> Result<TensorWriter<'_>> {
    let metadata = [("format", FORMAT.to_owned()), ("of", kind), ("steps", steps.to_string())];
    let metadata = metadata.map(|(name, value)| (name.to_owned(), value)).into();
    let tensors = WEIGHTS.map(|name| (name, Kind::F32, len)).into_iter();
    let tensors = tensors.chain(WORDS.map(|name| (name, Kind::F32, word_numbers)));
    let tensors = tensors.chain([WORD_IDS, LAST_STEPS].map(|name| (name, Kind::U32, words)));
    TensorWriter::create(path, &metadata, tensors.map(|(name, kind, len)| (name.to_owned(), kind, vec![len])))
}

/// The value of `format` in the metadata.
const FORMAT: &str = "nightjar-training-state-2";

/// A state's file, mapped.
struct StateFile<'a> {
    path: &'a Path,
    tensors: SliceSafetensors<'a>,
    len: usize,
    words: usize,
    word_numbers: usize,
    /// What it is a state of.
    kind: String,
    steps: u32,
}

impl<'a> StateFile<'a> {
    fn parse(path: &'a Path, bytes: &'a [u8]) -> Result<Self> {
        let invalid =
            |reason: &str| ModelError::WeightsInvalid { path: path.to_owned(), reason: reason.to_owned() };
        let tensors = SliceSafetensors::new(bytes).map_err(|error| invalid(&error.to_string()))?;
        // The reader drops the metadata, so the header is read again.
        let header =
            bytes.first_chunk::<8>().and_then(|len| bytes.get(8..8 + u64::from_le_bytes(*len) as usize));
        let header: serde_json::Value = serde_json::from_slice(header.unwrap_or_default())
            .map_err(|_| invalid("its header is no JSON"))?;
        let metadata = &header["__metadata__"];
        let steps = metadata["steps"].as_str().and_then(|steps| steps.parse().ok());
        let (Some(FORMAT), Some(kind), Some(steps)) =
            (metadata["format"].as_str(), metadata["of"].as_str().map(str::to_owned), steps)
        else {
            return Err(invalid("it is no state of a training by this version"));
        };
        let mut file = StateFile { path, tensors, len: 0, words: 0, word_numbers: 0, kind, steps };
        (file.len, file.words, file.word_numbers) = (
            file.data(WEIGHTS[0])?.len() / 4,
            file.data(WORD_IDS)?.len() / 4,
            file.data(WORDS[0])?.len() / 4,
        );
        Ok(file)
    }

    fn invalid(&self, reason: &str) -> ModelError {
        ModelError::WeightsInvalid { path: self.path.to_owned(), reason: reason.to_owned() }
    }

    fn data(&self, name: &str) -> Result<&[u8]> {
        let missing = |_| ModelError::TensorMissing { path: self.path.to_owned(), tensor: name.to_owned() };
        Ok(self.tensors.get(name).map_err(missing)?.data())
    }

    /// Reads the numbers of a tensor from `start` on.
    fn read(&self, name: &str, start: usize, to: &mut [f32]) -> Result<()> {
        let bytes = self.data(name)?.get(4 * start..4 * (start + to.len()));
        let bytes = bytes.ok_or_else(|| self.invalid("it is too short"))?;
        to.iter_mut().zip(bytes.as_chunks::<4>().0).for_each(|(to, bytes)| *to = f32::from_le_bytes(*bytes));
        Ok(())
    }

    fn ids(&self, name: &str) -> Result<Vec<u32>> {
        Ok(self.data(name)?.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::write_tiny_model;
    use crate::training::{Objective, OptimizerOptions, Target, TrainerOptions, TrainingRow};

    fn trainer(dir: &Path) -> Trainer {
        let optimizer =
            OptimizerOptions { total_steps: 9, learning_rate: 1e-3, ..OptimizerOptions::default() };
        let objective = Objective::Regress;
        Trainer::load(
            dir,
            TrainerOptions { objective, dropout: 0.1, freeze_layers: 0, lora: None, seed: 1, optimizer },
        )
        .unwrap()
    }

    fn rows(word: u32) -> Vec<TrainingRow> {
        vec![
            TrainingRow { ids: vec![2, word, 3], first_tokens: 3, target: Target::Number(word as f32 / 50.0) };
            5
        ]
    }

    #[test]
    fn a_restored_training_goes_on_with_the_same_bits() {
        let dir = tempfile::tempdir().unwrap();
        write_tiny_model(dir.path(), 1).unwrap();
        let path = dir.path().join("state.safetensors");
        let (mut one, mut two) = (trainer(dir.path()), trainer(dir.path()));
        one.step(&rows(50)).unwrap();
        one.step(&rows(60)).unwrap();
        one.save_state(&path).unwrap();
        two.step(&rows(70)).unwrap();
        two.restore_state(&path).unwrap();
        assert_eq!(two.steps(), 2);
        for word in [60, 80] {
            assert_eq!(one.step(&rows(word)).unwrap(), two.step(&rows(word)).unwrap());
        }
        assert_eq!((&one.weights, &one.moments), (&two.weights, &two.moments));
        assert_eq!(one.words.touched, two.words.touched);
        std::fs::write(&path, &std::fs::read(&path).unwrap()[..1000]).unwrap();
        assert!(matches!(two.restore_state(&path).unwrap_err(), ModelError::WeightsInvalid { .. }));
    }

    #[test]
    fn the_mean_of_states_is_weighted_and_of_one_is_itself() {
        let dir = tempfile::tempdir().unwrap();
        write_tiny_model(dir.path(), 1).unwrap();
        let [a, b, mean] = ["a", "b", "mean"].map(|name| dir.path().join(name));
        let (mut one, mut two) = (trainer(dir.path()), trainer(dir.path()));
        one.step(&rows(50)).unwrap();
        one.save_state(&a).unwrap();
        two.step(&rows(60)).unwrap();
        two.step(&rows(60)).unwrap();
        two.save_state(&b).unwrap();
        one.average_states(&[(a.clone(), 7.0)], &mean).unwrap();
        assert_eq!(std::fs::read(&a).unwrap(), std::fs::read(&mean).unwrap());
        one.average_states(&[(a, 3.0), (b, 1.0)], &mean).unwrap();
        let mut found = trainer(dir.path());
        found.restore_state(&mean).unwrap();
        assert_eq!(found.steps(), 2);
        let near = |found: f32, one: f32, two: f32| {
            let expected = 0.75 * f64::from(one) + 0.25 * f64::from(two);
            assert!((f64::from(found) - expected).abs() < 1e-7, "{found} {expected}");
        };
        for i in 0..found.weights.len() {
            near(found.weights[i], one.weights[i], two.weights[i]);
            near(found.moments.first[i], one.moments.first[i], two.moments.first[i]);
        }
        for word in [2, 50, 60, 70] {
            for i in 0..32 {
                near(found.words.row(word)[i], one.words.row(word)[i], two.words.row(word)[i]);
            }
        }
    }
}
