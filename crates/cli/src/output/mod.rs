//! Results on stdout, in the format asked for.

mod cells;
pub(crate) mod chart;
mod csv;
mod floats;
mod json;
mod layout;
mod markdown;
mod table;
mod value_formats;
pub(crate) mod width;

pub(crate) use table::TERMINAL_ROWS;
pub(crate) use value_formats::ValueFormats;

use std::io::Write;
use std::sync::Arc;

use clap::ValueEnum;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use nightjar_engine::with_zones_as_text;

use crate::console;
use crate::error::Result;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns under each other; long vectors are shortened
    Table,
    /// With a header; lists and structs as JSON
    Csv,
    /// One object per row and line (NDJSON)
    Json,
    /// A Markdown table; long vectors are shortened
    Markdown,
}

impl Format {
    /// Returns the format's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Markdown => "markdown",
        }
    }

    /// Returns the format of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::from_str(name, true).ok()
    }

    /// Returns how wide a chart may be drawn under a result, where one may: under a table that somebody looks at.
    pub(crate) fn chart_width(self) -> Option<usize> {
        console::stdout_width().filter(|_| self == Self::Table)
    }

    /// Returns what prints one result, its values as `formats` say.
    pub(crate) fn printer(self, schema: &SchemaRef, formats: ValueFormats) -> Result<Box<dyn Printer>> {
        let schema = &with_zones_as_text(&RecordBatch::new_empty(Arc::clone(schema)))?.schema();
        let printer: Box<dyn Printer> = match self {
            Self::Table => Box::new(table::TablePrinter::new(schema, console::stdout_width(), formats)),
            Self::Csv => Box::new(csv::CsvPrinter::new(schema, formats)),
            Self::Json => Box::new(json::JsonPrinter::new(formats)),
            Self::Markdown => Box::new(markdown::MarkdownPrinter::new(schema, formats)),
        };
        Ok(Box::new(Zoned(printer)))
    }
}

/// A printer of timestamps by the rules of time zones that decide.
struct Zoned(Box<dyn Printer>);

impl Printer for Zoned {
    fn write(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> Result<()> {
        self.0.write(&with_zones_as_text(batch)?, out)
    }

    fn finish(&mut self, out: &mut dyn Write) -> Result<()> {
        self.0.finish(out)
    }

    fn is_full(&self) -> bool {
        self.0.is_full()
    }
}

/// Prints one result, batch by batch.
pub(crate) trait Printer: Send {
    /// Takes the next rows. It need not write them at once.
    fn write(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> Result<()>;

    /// Writes what is left, after the last rows. A result without rows is printed here.
    fn finish(&mut self, out: &mut dyn Write) -> Result<()>;

    /// Returns whether it takes no more rows: a table on a terminal ends somewhere.
    fn is_full(&self) -> bool {
        false
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod testing {
    use std::sync::Arc;

    use datafusion::arrow::array::{
        ArrayRef, FixedSizeListArray, Float64Array, Int64Array, ListArray, RecordBatch, StringArray,
        StructArray,
    };
    use datafusion::arrow::datatypes::{Float32Type, Int32Type};

    use super::Printer;

    /// Two rows: a number, a text with everything that needs quoting, a vector, a list, a struct; then NULLs.
    pub(crate) fn batch() -> RecordBatch {
        let vector = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(
            [Some((0..12).map(|n| Some(n as f32 / 100.0)).collect::<Vec<_>>()), None],
            12,
        );
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None]);
        let entry: ArrayRef = Arc::new(StringArray::from(vec![Some("good"), None]));
        RecordBatch::try_from_iter_with_nullable([
            ("id", Arc::new(Int64Array::from(vec![Some(1), None])) as ArrayRef, true),
            ("text", Arc::new(StringArray::from(vec![Some("a \"b\", | c\nd\té"), None])), true),
            ("score", Arc::new(Float64Array::from(vec![Some(0.5), None])), true),
            ("vector", Arc::new(vector), true),
            ("list", Arc::new(list), true),
            ("entry", Arc::new(StructArray::try_from(vec![("label", entry)]).unwrap()), true),
        ])
        .unwrap()
    }

    pub(crate) fn print(mut printer: impl Printer, batches: &[RecordBatch]) -> String {
        let mut out = Vec::new();
        for batch in batches {
            printer.write(batch, &mut out).unwrap();
        }
        printer.finish(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }
}
