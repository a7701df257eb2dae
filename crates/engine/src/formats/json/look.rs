//! What the columns of files are.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::error::Result;

use super::super::text::{Chunks, Place, without_null};
use super::reader::Reader;
use super::shape::{At, Shape};
use super::value::{Fault, take};
use crate::error::EngineError;

/// So many objects are looked at together.
const BATCH: usize = 4096;

/// So many files are looked at before they may be read in pieces.
const FILES_IN_PIECES: usize = 64;

/// Returns what the values of a file's objects are: of its first `records` objects where so many are asked for, else of those
/// in its first `bytes` bytes.
pub(in super::super) async fn look(place: Place, records: Option<usize>, bytes: u64) -> Result<Look> {
    let mut reader = Reader::open(place).await?;
    let file: Arc<str> = Arc::from(reader.place.file.as_str());
    let mut shape = Shape::default();
    let mut left = records.unwrap_or(usize::MAX);
    while left > 0 && reader.bytes < bytes {
        let Some(objects) = reader.objects(left.min(BATCH)).await? else { break };
        left = left.saturating_sub(objects.lines.len());
        for (row, line) in objects.lines.iter().enumerate() {
            let (text, at) = (objects.get(row), At { file: Arc::clone(&file), line: *line });
            match take(text, &mut shape, &at) {
                Ok(()) => {}
                Err(Fault::Clash(clash)) => return Err(EngineError::from(*clash).into_datafusion()),
                Err(Fault::Syntax(place, reason)) => {
                    let lines = text.iter().take(place).filter(|byte| **byte == b'\n').count() as u64;
                    return Err(reader.place.broken(line + lines, reason).await);
                }
            }
        }
    }
    Ok(Look(shape))
}

/// What the values of one file are.
pub(in super::super) struct Look(Shape);

/// Returns the columns of a table of files, in the order of their first appearance. Types that differ become one that keeps
/// all values; where there were none it is text.
///
/// Errors: a list or an object in one file and a value in another.
pub(in super::super) fn fields(looks: Vec<Look>) -> Result<Vec<Field>, EngineError> {
    let mut all = Shape::default();
    for Look(shape) in &looks {
        all.merge(shape)?;
    }
    let field = |field: Field| {
        let data_type: DataType = without_null(field.data_type());
        field.with_data_type(data_type)
    };
    Ok(all.columns().into_iter().map(field).collect())
}

/// Whether files have an object in each line, as far as their beginnings tell, so that they may be read in pieces of lines.
pub(in super::super) async fn all_in_lines(places: Vec<Place>) -> Result<bool> {
    if places.is_empty() || places.len() > FILES_IN_PIECES {
        return Ok(false);
    }
    for place in places {
        let Some(chunk) = Chunks::open(&place).await?.next().await? else { continue };
        let chunk = chunk.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&chunk);
        let Some(end) = chunk.iter().rposition(|byte| *byte == b'\n') else { return Ok(false) };
        let lines = chunk[..end].split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        if !lines.filter(|line| !line.is_empty()).all(|line| line.starts_with(b"{") && line.ends_with(b"}")) {
            return Ok(false);
        }
    }
    Ok(true)
}
