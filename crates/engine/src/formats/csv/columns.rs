//! Records into columns of text.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StringArray};
use datafusion::arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use datafusion::arrow::compute::kernels::regexp::regexp_is_match_scalar;
use datafusion::arrow::compute::nullif;
use datafusion::error::Result;

use super::records::Sink;

/// So many bytes of text end a batch before its rows do.
const BATCH_BYTES: usize = 32 << 20;

/// Gathers the columns that are asked for.
#[derive(Debug)]
pub(super) struct Columns {
    /// Which column a field belongs to.
    places: Vec<Option<usize>>,
    columns: Vec<Column>,
    /// How many fields a record has, and whether it may have fewer.
    width: usize,
    truncated: bool,
    batch_size: usize,
    bytes: usize,
    /// The line that each row began in.
    lines: Vec<u64>,
    /// The first record with another number of fields: its line, and how many.
    pub(super) ragged: Option<(u64, usize)>,
}

#[derive(Debug)]
struct Column {
    data: Vec<u8>,
    offsets: Vec<i32>,
    valid: Vec<bool>,
}

impl Column {
    fn new() -> Self {
        Self { data: Vec::new(), offsets: vec![0], valid: Vec::new() }
    }

    fn end(&mut self, quoted: bool) {
        let end = i32::try_from(self.data.len()).unwrap_or(i32::MAX);
        self.valid.push(quoted || self.offsets.last() != Some(&end));
        self.offsets.push(end);
    }
}

/// A row whose text is not UTF-8, and the column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotText {
    pub(super) column: usize,
    pub(super) line: u64,
}

/// Columns of text, and the lines that their rows began in.
pub(super) type Batch = (Vec<ArrayRef>, Vec<u64>);

impl Columns {
    /// Returns columns of the fields at `places`, of records of `width` fields.
    pub(super) fn new(places: &[Option<usize>], width: usize, truncated: bool, batch_size: usize) -> Self {
        let mut of_fields = vec![None; width];
        for (column, place) in places.iter().enumerate() {
            if let Some(field) = place.and_then(|place| of_fields.get_mut(place)) {
                *field = Some(column);
            }
        }
        Self {
            places: of_fields,
            columns: places.iter().map(|_| Column::new()).collect(),
            width,
            truncated,
            batch_size: batch_size.max(1),
            bytes: 0,
            lines: Vec::new(),
            ragged: None,
        }
    }

    /// Whether there are rows enough for a batch.
    fn is_full(&self) -> bool {
        self.lines.len() >= self.batch_size || self.bytes >= BATCH_BYTES
    }

    /// How many fields a record has.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Returns the rows so far. A column that files lack is NULL, and so is what matches `null`.
    pub(super) fn take(&mut self, null: Option<&str>) -> Result<std::result::Result<Batch, NotText>> {
        self.bytes = 0;
        let lines = std::mem::take(&mut self.lines);
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for (at, column) in self.columns.iter_mut().enumerate() {
            let Column { data, offsets, valid } = std::mem::replace(column, Column::new());
            if valid.len() < lines.len() {
                arrays.push(Arc::new(StringArray::new_null(lines.len())));
                continue;
            }
            if let Some(row) = not_text(&data, &offsets) {
                let line = lines.get(row).copied().unwrap_or_default();
                return Ok(Err(NotText { column: at, line }));
            }
            let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
            let text = StringArray::try_new(offsets, Buffer::from(data), Some(NullBuffer::from(valid)))?;
            arrays.push(match null {
                Some(pattern) => nullif(&text, &regexp_is_match_scalar(&text, pattern, None)?)?,
                None => Arc::new(text),
            });
        }
        Ok(Ok((arrays, lines)))
    }
}

/// Returns the first row whose bytes are not UTF-8.
fn not_text(data: &[u8], offsets: &[i32]) -> Option<usize> {
    let rows =
        || offsets.windows(2).map(|pair| (pair[0].unsigned_abs() as usize, pair[1].unsigned_abs() as usize));
    match std::str::from_utf8(data) {
        // Bytes of two rows may make a character together.
        Ok(text) if rows().all(|(start, _)| text.is_char_boundary(start)) => None,
        _ => rows().position(|(start, end)| std::str::from_utf8(&data[start..end]).is_err()),
    }
}

impl Sink for Columns {
    fn part(&mut self, field: usize, bytes: &[u8]) {
        if let Some(Some(column)) = self.places.get(field)
            && let Some(column) = self.columns.get_mut(*column)
        {
            self.bytes += bytes.len();
            column.data.extend_from_slice(bytes);
        }
    }

    fn end_field(&mut self, field: usize, quoted: bool) {
        if let Some(Some(column)) = self.places.get(field)
            && let Some(column) = self.columns.get_mut(*column)
        {
            column.end(quoted);
        }
    }

    fn end_record(&mut self, fields: usize, line: u64) -> bool {
        if fields != self.width && !(self.truncated && fields < self.width) {
            self.ragged = Some((line, fields));
            return false;
        }
        (fields..self.width).for_each(|field| self.end_field(field, false));
        self.lines.push(line);
        !self.is_full()
    }

    /// A line with nothing in it is no record, but of one column: then its value is NULL.
    fn blank(&mut self, line: u64) -> bool {
        if self.width != 1 {
            return true;
        }
        self.end_field(0, false);
        self.end_record(1, line)
    }

    fn has_enough(&self) -> bool {
        self.is_full() || self.ragged.is_some()
    }
}
