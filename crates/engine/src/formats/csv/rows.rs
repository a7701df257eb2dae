//! The rows of a file, as a scan wants them.

use std::sync::Arc;

use datafusion::arrow::array::{Array, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::config::CsvOptions;
use datafusion::error::Result;
use futures::{StreamExt, stream};

use super::super::source::Wanted;
use super::super::text::{Batches, Place, typed};
use super::columns::Columns;
use super::header::places;
use super::reader::Reader;
use crate::error::EngineError;

/// A file under way.
struct Rows {
    reader: Reader,
    columns: Columns,
    schema: SchemaRef,
    exact: bool,
    null: Option<String>,
}

/// Returns the rows of a place: columns by the file's header, values of the table's types.
///
/// Errors: a header that lacks what is declared; then, as rows are read, a record that isn't one, and a value that
/// its column doesn't hold, with its line.
pub(in super::super) async fn rows(place: Place, wanted: Wanted, options: &CsvOptions) -> Result<Batches> {
    let schema = wanted.schema()?;
    let has_header = options.has_header.unwrap_or(true);
    let later = place.is_later();
    let mut first = None;
    if later {
        // The header is in another piece.
        let mut whole = Reader::open(place.whole(), options).await?;
        first = whole.header().await?;
    }
    let width = if has_header { None } else { Reader::width(place.whole(), options).await? };
    let mut reader = Reader::open(place, options).await?;
    if has_header && !later {
        first = reader.header().await?;
    }
    let header = first.filter(|_| has_header);
    let Some(width) = header.as_ref().map(Vec::len).or(width) else {
        return Ok(stream::empty().boxed());
    };
    let places =
        places(&wanted, header.as_deref(), &reader.place.file).map_err(EngineError::into_datafusion)?;
    let places: Vec<_> = places.into_iter().map(|place| place.filter(|place| *place < width)).collect();
    let truncated = options.truncated_rows.unwrap_or(false);
    let columns = Columns::new(&places, width, truncated, wanted.batch_size);
    let rows = Rows { reader, columns, schema, exact: wanted.exact, null: options.null_regex.clone() };
    let batches =
        stream::try_unfold(rows, |mut rows| async move { Ok(rows.next().await?.map(|batch| (batch, rows))) });
    Ok(batches.boxed())
}

impl Rows {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let schema = Arc::clone(&self.schema);
        let name = |column: usize| schema.field(column).name().clone();
        let Some((text, lines)) = self.reader.batch(&mut self.columns, self.null.as_deref(), name).await?
        else {
            return Ok(None);
        };
        let mut columns = Vec::with_capacity(text.len());
        for (text, field) in text.iter().zip(schema.fields()) {
            let line = |row: usize| lines.get(row).copied().unwrap_or_default();
            let made = match typed(text, field.data_type(), self.exact) {
                Ok(made) => made,
                Err(error) => {
                    return Err(self.reader.place.unreadable(line(error.row), field.name(), error).await);
                }
            };
            if !field.is_nullable()
                && let Some(row) = (0..made.len()).find(|row| made.is_null(*row))
            {
                let reason = format!("'{}' has no value, and is NOT NULL in the table", field.name());
                return Err(self.reader.place.broken(line(row), reason).await);
            }
            columns.push(made);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(lines.len()));
        Ok(Some(RecordBatch::try_new_with_options(schema, columns, &options)?))
    }
}
