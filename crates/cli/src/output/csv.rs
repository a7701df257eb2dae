//! CSV with a header, as RFC 4180 has it.

use std::io::Write;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use nightjar_engine::write::write_csv;

use super::{Printer, ValueFormats, json};
use crate::error::{CliError, Result};

/// Prints CSV. Lists, structs and other values that CSV has no word for are written as JSON; NULL is empty, and an empty text is `""`.
pub(crate) struct CsvPrinter {
    schema: SchemaRef,
    formats: ValueFormats,
    begun: bool,
}

impl CsvPrinter {
    pub(super) fn new(schema: &SchemaRef, formats: ValueFormats) -> Self {
        Self { schema: SchemaRef::clone(schema), formats, begun: false }
    }

    fn write_flat(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> Result<()> {
        let mut lines = Vec::new();
        let written = write_csv(batch, &self.formats.csv(), !self.begun, &mut lines);
        written.map_err(|error| CliError::format("csv", error))?;
        self.begun = true;
        out.write_all(&lines)?;
        Ok(())
    }
}

impl Printer for CsvPrinter {
    fn write(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> Result<()> {
        let flat = flattened(batch, &self.formats)?;
        self.write_flat(&flat, out)
    }

    fn finish(&mut self, out: &mut dyn Write) -> Result<()> {
        if self.begun {
            return Ok(());
        }
        let empty = flattened(&RecordBatch::new_empty(SchemaRef::clone(&self.schema)), &self.formats)?;
        self.write_flat(&empty, out)
    }
}

/// Returns the batch with its nested columns as JSON text.
fn flattened(batch: &RecordBatch, formats: &ValueFormats) -> Result<RecordBatch> {
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let flat: ArrayRef = if as_json(field.data_type()) {
            Arc::new(json::values(column, formats)?.into_iter().collect::<StringArray>())
        } else {
            ArrayRef::clone(column)
        };
        fields.push(Field::new(field.name(), flat.data_type().clone(), true));
        columns.push(flat);
    }
    let schema = Arc::new(Schema::new(fields));
    RecordBatch::try_new(schema, columns).map_err(|error| CliError::format("csv", error))
}

/// Whether Arrow's CSV writer refuses values of the type. Its dictionaries hold texts or numbers.
fn as_json(kind: &DataType) -> bool {
    kind.is_nested() && !matches!(kind, DataType::Dictionary(..))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{batch, print};
    use super::*;

    #[test]
    fn nested_values_are_json() {
        let batch = batch();
        insta::assert_snapshot!(print(CsvPrinter::new(&batch.schema(), ValueFormats::default()), &[batch]), @r#"
        id,text,score,vector,list,entry
        1,"a ""b"", | c
        d	é",0.5,"[0.0,0.01,0.02,0.03,0.04,0.05,0.06,0.07,0.08,0.09,0.1,0.11]","[1,null]","{""label"":""good""}"
        ,,,,,"{""label"":null}"
        "#);
    }

    #[test]
    fn the_header_comes_once_and_also_without_rows() {
        let batch = batch();
        let twice =
            print(CsvPrinter::new(&batch.schema(), ValueFormats::default()), &[batch.clone(), batch.clone()]);
        assert_eq!(twice.matches("id,text,score").count(), 1);
        assert_eq!(
            print(CsvPrinter::new(&batch.schema(), ValueFormats::default()), &[]),
            "id,text,score,vector,list,entry\n"
        );
    }
}
