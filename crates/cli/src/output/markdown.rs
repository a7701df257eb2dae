//! Markdown tables.

use std::io::Write;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;

use super::cells::Cells;
use super::{Printer, ValueFormats};
use crate::error::Result;

/// Prints a Markdown table, row by row: its columns are not aligned in the text.
pub(crate) struct MarkdownPrinter {
    schema: SchemaRef,
    formats: ValueFormats,
    begun: bool,
}

impl MarkdownPrinter {
    pub(super) fn new(schema: &SchemaRef, formats: ValueFormats) -> Self {
        Self { schema: SchemaRef::clone(schema), formats, begun: false }
    }

    fn begin(&mut self, out: &mut dyn Write) -> Result<()> {
        if self.begun {
            return Ok(());
        }
        self.begun = true;
        let fields = self.schema.fields();
        row(fields.iter().map(|field| escaped(field.name())), out)?;
        let align = |numeric: bool| if numeric { "---:" } else { "---" }.to_owned();
        row(fields.iter().map(|field| align(field.data_type().is_numeric())), out)
    }
}

impl Printer for MarkdownPrinter {
    fn write(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> Result<()> {
        self.begin(out)?;
        let columns = batch.columns().iter().map(|column| Cells::new(column, &self.formats));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        for index in 0..batch.num_rows() {
            row(columns.iter().map(|cells| escaped(&cells.text(index))), out)?;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn Write) -> Result<()> {
        self.begin(out)
    }
}

fn row(cells: impl Iterator<Item = String>, out: &mut dyn Write) -> Result<()> {
    for cell in cells {
        write!(out, "| {cell} ")?;
    }
    writeln!(out, "|")?;
    Ok(())
}

fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{batch, print};
    use super::*;

    #[test]
    fn a_row_per_line() {
        let batch = batch();
        insta::assert_snapshot!(print(MarkdownPrinter::new(&batch.schema(), ValueFormats::default()), &[batch]), @r#"
        | id | text | score | vector | list | entry |
        | ---: | --- | ---: | --- | --- | --- |
        | 1 | a "b", \| c\nd\té | 0.5 | [0.0000, 0.0100, … 12] | [1, NULL] | {label: good} |
        | NULL | NULL | NULL | NULL | NULL | {label: NULL} |
        "#);
    }

    #[test]
    fn a_result_without_rows_has_a_header() {
        assert_eq!(
            print(MarkdownPrinter::new(&batch().schema(), ValueFormats::default()), &[]).lines().count(),
            2
        );
    }
}
