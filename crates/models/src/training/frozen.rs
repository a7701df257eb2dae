//! What lies below the trained layers: computed once for a text, and stored.
//!
//! Layers that stay as they are run without dropout, the embeddings with them, so what they make of a text is always the same:
//! `[tokens, hidden]` numbers, 1.5 kB a token for a MiniLM and too many to be held. They lie in a file, one text after the
//! other, and behind them a checksum of each text: of its tokens and of its states. A text whose checksum does not fit is computed again, so a
//! torn file costs time and changes nothing.

use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use parking_lot::Mutex;
use rayon::prelude::*;

use super::batch::chunks;
use super::pairs;
use super::part::{Part, deal, each_text, sized};
use super::trainer::{Trainer, TrainingRow};
use super::words::WordTable;
use crate::bert::PassContext;
use crate::{ModelError, Result};

/// Rows whose texts are cut into chunks at a time.
const ROWS_AT_A_TIME: usize = 256;

/// Bytes of a checksum.
const CHECKSUM: usize = 8;

/// The stored states of some rows' texts below the trained layers, read a text at a time.
#[derive(Debug)]
pub struct FrozenStates {
    file: Mutex<File>,
    layers: usize,
    width: usize,
    texts_per_row: usize,
    /// Of each text the tokens before it, and at the end all of them.
    starts: Vec<u64>,
    checksums: Vec<u64>,
}

/// The stored states of a batch.
#[derive(Debug, Clone, Copy)]
pub struct FrozenBatch<'a> {
    /// The states of these rows and others.
    pub states: &'a FrozenStates,
    /// The number of each row of the batch among the rows that were stored.
    pub rows: &'a [usize],
}

/// What a pass starts from.
#[derive(Clone, Copy)]
pub(crate) struct Below<'a> {
    pub(crate) words: &'a WordTable,
    /// Layers that stay as they are; with 0 the embeddings do not either.
    pub(crate) frozen: usize,
    pub(crate) stored: Option<FrozenBatch<'a>>,
}

impl Trainer {
    /// Writes what the frozen layers make of rows to a file, which is not synced, on the rayon pool of the calling thread, and returns the
    /// tokens; `go_on` is asked every thousand of them.
    ///
    /// # Errors
    /// `Cancelled` where `go_on` says no; `FileAccess`; `SizeMismatch` for a token that the model does not have. What was written
    /// until then stays.
    ///
    /// Cost: a forward pass of the frozen layers; a file of four bytes per token and hidden dimension, of which one chunk is in memory.
    pub fn save_frozen(
        &self,
        rows: &[TrainingRow],
        path: &Path,
        mut go_on: impl FnMut() -> bool,
    ) -> Result<u64> {
        let failed = |source| ModelError::access(path, "written", source);
        let mut file = BufWriter::new(File::create(path).map_err(failed)?);
        let (layers, width) = (self.options.freeze_layers, self.places.sizes.hidden);
        let pass = PassContext { cpu: self.cpu, places: &self.places, weights: &self.weights, noise: None };
        let below = self.below(None);
        let (mut parts, mut bytes, mut checksums, mut tokens) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for rows in rows.chunks(ROWS_AT_A_TIME) {
            let texts = pairs::texts(&self.options.objective, rows);
            let lengths: Vec<usize> = texts.iter().map(|text| text.ids.len()).collect();
            tokens += lengths.iter().sum::<usize>() as u64;
            for chunk in chunks(&lengths) {
                if !go_on() {
                    return Err(ModelError::Cancelled);
                }
                deal(&texts, &chunk, &mut parts);
                parts.par_iter_mut().with_max_len(1).try_for_each(|part| pass.below(below, part))?;
                bytes.clear();
                for part in &mut parts {
                    each_tokens(part, width, |ids, type_ids, states| {
                        checksums.push(checksum(layers, (ids, type_ids), states));
                        bytes.extend(states.iter().flat_map(|number| number.to_le_bytes()));
                        true
                    });
                }
                file.write_all(&bytes).map_err(failed)?;
            }
        }
        checksums.iter().try_for_each(|sum| file.write_all(&sum.to_le_bytes())).map_err(failed)?;
        file.flush().map_err(failed)?;
        Ok(tokens)
    }

    /// Returns the states of rows that [`save_frozen`](Trainer::save_frozen) has stored; none where there is no such file, or one of
    /// another size.
    pub fn open_frozen(&self, rows: &[TrainingRow], path: &Path) -> Option<FrozenStates> {
        let (layers, width) = (self.options.freeze_layers, self.places.sizes.hidden);
        let is_of_pairs = self.options.objective.is_of_pairs();
        let mut starts = vec![0];
        let mut end = 0;
        let mut add = |tokens: usize| {
            end += tokens as u64;
            starts.push(end);
        };
        for row in rows {
            match is_of_pairs {
                true => pairs::split(row).into_iter().for_each(|text| add(text.len())),
                false => add(row.ids.len()),
            }
        }
        let mut file = File::open(path).ok()?;
        let (texts, of_states) = (starts.len() - 1, end * 4 * width as u64);
        if file.metadata().ok()?.len() != of_states + (CHECKSUM * texts) as u64 {
            return None;
        }
        let mut bytes = vec![0; CHECKSUM * texts];
        file.seek(SeekFrom::Start(of_states)).ok()?;
        file.read_exact(&mut bytes).ok()?;
        let checksums = bytes.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
        let texts_per_row = if is_of_pairs { 2 } else { 1 };
        Some(FrozenStates { file: Mutex::new(file), layers, width, texts_per_row, starts, checksums })
    }
}

impl FrozenBatch<'_> {
    /// Fills the part's states with those of its texts; false where one can't be read or is not what was stored: then they are all
    /// to be computed.
    pub(crate) fn read(&self, part: &mut Part) -> bool {
        let mut text = part.first;
        let mut bytes = std::mem::take(&mut part.scratch.bytes);
        let (per_row, width) = (self.states.texts_per_row, self.states.width);
        let is_read = each_tokens(part, width, |ids, type_ids, states| {
            let first = self.rows.get(text / per_row).and_then(|row| row.checked_mul(per_row));
            let number = first.map(|first| first + text % per_row);
            text += 1;
            number.is_some_and(|number| self.states.read(number, (ids, type_ids), states, &mut bytes))
        });
        part.scratch.bytes = bytes;
        is_read
    }
}

impl FrozenStates {
    /// Reads a text's states; false unless they are those that were stored for these tokens.
    fn read(&self, text: usize, tokens: (&[u32], &[u32]), states: &mut [f32], bytes: &mut Vec<u8>) -> bool {
        let (Some(&[start, end]), Some(&stored)) =
            (self.starts.get(text..).and_then(<[u64]>::first_chunk), self.checksums.get(text))
        else {
            return false;
        };
        if end - start != tokens.0.len() as u64 {
            return false;
        }
        let bytes = sized(bytes, 4 * states.len());
        let mut file = self.file.lock();
        let place = SeekFrom::Start(4 * start * self.width as u64);
        let is_read = file.seek(place).and_then(|_| file.read_exact(bytes)).is_ok();
        drop(file);
        for (number, bytes) in states.iter_mut().zip(bytes.as_chunks().0) {
            *number = f32::from_le_bytes(*bytes);
        }
        is_read && checksum(self.layers, tokens, states) == stored
    }
}

/// Calls `run` with ids, segments and states of each text of a part, until it returns false; returns whether it never has.
fn each_tokens(
    part: &mut Part,
    width: usize,
    mut run: impl FnMut(&[u32], &[u32], &mut [f32]) -> bool,
) -> bool {
    let numbers = part.tokens() * width;
    let Part { texts, first, states, .. } = part;
    let (mut start, mut goes_on) = (0, true);
    each_text(&texts.lengths, *first, width, sized(states, numbers), |_, states| {
        let tokens = start..start + states.len() / width;
        start = tokens.end;
        goes_on = goes_on && run(&texts.ids[tokens.clone()], &texts.type_ids[tokens], states);
    });
    goes_on
}

/// Returns a number that tells texts and their states apart. Each word of the sum is taken in by a bijection, so one that is changed
/// always shows.
fn checksum(layers: usize, (ids, type_ids): (&[u32], &[u32]), states: &[f32]) -> u64 {
    let join = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
    let tokens = ids.iter().zip(type_ids).map(|(id, segment)| join(*id, *segment));
    let (pairs, last) = states.as_chunks::<2>();
    let numbers = pairs.iter().map(|[a, b]| join(a.to_bits(), b.to_bits()));
    let numbers = numbers.chain(last.iter().map(|last| join(0, last.to_bits())));
    // A file of zeros must not pass: the sum begins with something else.
    let start = join(1 + layers as u32, ids.len() as u32);
    let add = |sum: u64, word: u64| (sum.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    numbers.fold(tokens.fold(start, add), add)
}

#[cfg(test)]
#[path = "frozen_tests.rs"]
mod tests;
