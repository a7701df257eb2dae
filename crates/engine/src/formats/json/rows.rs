//! The rows of a file, as a scan wants them.

use std::sync::Arc;

use datafusion::arrow::array::{Array, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::ReaderBuilder;
use datafusion::error::{DataFusionError, Result};
use futures::{StreamExt, stream};

use super::super::source::Wanted;
use super::super::text::{Batches, Place, typed};
use super::objects::Objects;
use super::reader::Reader;
use super::shape::{At, Shape};
use super::types::as_text;
use super::value::{Fault, take};

/// A file under way.
struct Rows {
    reader: Reader,
    schema: SchemaRef,
    /// The same columns with text for values.
    text: SchemaRef,
    exact: bool,
    batch_size: usize,
}

/// Returns the rows of a place: columns by key, values of the table's types.
///
/// Errors, as rows are read: what is no object; a list or an object in place of a value; a value that its column doesn't
/// hold. Each with its line.
pub(in super::super) async fn rows(place: Place, wanted: Wanted) -> Result<Batches> {
    let schema = wanted.schema()?;
    let rows = Rows {
        reader: Reader::open(place).await?,
        text: as_text(&schema),
        schema,
        exact: wanted.exact,
        batch_size: wanted.batch_size.max(1),
    };
    let batches =
        stream::try_unfold(rows, |mut rows| async move { Ok(rows.next().await?.map(|batch| (batch, rows))) });
    Ok(batches.boxed())
}

impl Rows {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let Some(objects) = self.reader.objects(self.batch_size).await? else { return Ok(None) };
        let lines = &objects.lines;
        let text = match self.decode(&objects) {
            Ok(text) => text,
            Err(error) => return Err(fault(&self.reader.place, &self.schema, &objects, error).await),
        };
        let mut columns = Vec::with_capacity(text.num_columns());
        for (text, field) in text.columns().iter().zip(self.schema.fields()) {
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
        Ok(Some(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?))
    }

    fn decode(&self, objects: &Objects) -> Result<RecordBatch, ArrowError> {
        let decoder = ReaderBuilder::new(Arc::clone(&self.text))
            .with_batch_size(objects.lines.len())
            .with_coerce_primitive(true);
        let mut decoder = decoder.build_decoder()?;
        decoder.decode(&objects.bytes)?;
        let rows = decoder.flush()?.unwrap_or_else(|| RecordBatch::new_empty(Arc::clone(&self.text)));
        if rows.num_rows() != objects.lines.len() {
            return Err(ArrowError::JsonError("an object is not whole".to_owned()));
        }
        Ok(rows)
    }
}

/// Returns what is wrong with the first of the objects that the decoder refuses.
async fn fault(place: &Place, schema: &SchemaRef, objects: &Objects, error: ArrowError) -> DataFusionError {
    for (row, line) in objects.lines.iter().enumerate() {
        let (text, mut shape) = (objects.get(row), Shape::default());
        let at = At { file: Arc::from(place.file.as_str()), line: *line };
        match take(text, &mut shape, &at) {
            Err(Fault::Syntax(bytes, reason)) => {
                let lines = text.iter().take(bytes).filter(|byte| **byte == b'\n').count() as u64;
                return place.broken(line + lines, reason).await;
            }
            Err(Fault::Clash(clash)) => {
                let (found, first) = (clash.then.0.name(), clash.first.0.name());
                let reason = format!("'{}' is {found} after {first}", clash.column);
                return place.broken(*line, reason).await;
            }
            Ok(()) => {}
        }
        for (name, value) in shape.fields() {
            let Ok(field) = schema.field_with_name(name) else { continue };
            if let Some((inside, kind)) = value.unlike(field.data_type()) {
                let dot = if inside.is_empty() || inside.starts_with('[') { "" } else { "." };
                let (found, wanted) = (kind.name(), field.data_type());
                let reason = format!("'{name}{dot}{inside}' is {found}, and the column '{name}' is {wanted}");
                return place.broken(*line, reason).await;
            }
        }
    }
    let line = objects.lines.first().copied().unwrap_or_default();
    place.broken(line, format!("the decoder refuses what begins here: {error}")).await
}
