//! The first layer's input: three rows of tables, added up for each token.

use crate::architecture::PackedTexts;
use crate::{ModelError, Result};

/// Checks that an id is a row of a table with `rows` rows.
pub(super) fn check_id(id: usize, rows: usize, what: &'static str) -> Result<usize> {
    if id >= rows {
        return Err(ModelError::SizeMismatch { what, expected: rows, found: id });
    }
    Ok(id)
}

/// Returns a token's row of a word table, `[words, hidden]`.
pub(super) fn row(words: &[f32], id: u32, hidden: usize) -> Result<&[f32]> {
    let id = check_id(id as usize, words.len() / hidden, "token id")?;
    Ok(&words[id * hidden..][..hidden])
}

/// Writes the sum of word, segment and position of each token to `out`, `[tokens, hidden]`; the tables are `[rows, hidden]`.
///
/// # Errors
/// `SizeMismatch` for an id that a table does not have.
pub(super) fn add_embeddings<'w>(
    texts: &PackedTexts,
    hidden: usize,
    positions: &[f32],
    segments: &[f32],
    word: impl Fn(u32) -> Result<&'w [f32]>,
    out: &mut [f32],
) -> Result<()> {
    let row = |table: &'_ [f32], id: usize, what: &'static str| -> Result<std::ops::Range<usize>> {
        let id = check_id(id, table.len() / hidden, what)?;
        Ok(id * hidden..(id + 1) * hidden)
    };
    let place = texts.lengths.iter().flat_map(|&length| 0..length);
    let tokens = texts.ids.iter().zip(&texts.type_ids).zip(place);
    for (((&id, &segment), place), out) in tokens.zip(out.chunks_exact_mut(hidden)) {
        let word = word(id)?;
        let segment = &segments[row(segments, segment as usize, "segment id")?];
        let position = &positions[row(positions, place, "token position")?];
        for (((out, word), segment), position) in out.iter_mut().zip(word).zip(segment).zip(position) {
            *out = (word + segment) + position;
        }
    }
    Ok(())
}
