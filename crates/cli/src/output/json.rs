//! NDJSON: one object per row, on a line of its own.

use std::io::Write;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::json::writer::LineDelimited;

use super::{Printer, ValueFormats};
use crate::error::{CliError, Result};

/// Prints one JSON object per row and line. A NULL is `null`, so that each object has every column.
pub(crate) struct JsonPrinter {
    formats: ValueFormats,
}

impl JsonPrinter {
    pub(super) fn new(formats: ValueFormats) -> Self {
        Self { formats }
    }
}

impl Printer for JsonPrinter {
    fn write(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> Result<()> {
        write_lines(batch, &self.formats, out).map_err(|error| CliError::format("json", error))
    }

    fn finish(&mut self, _: &mut dyn Write) -> Result<()> {
        Ok(())
    }
}

/// Returns each value of a column as JSON, None for NULL.
pub(super) fn values(column: &ArrayRef, formats: &ValueFormats) -> Result<Vec<Option<String>>> {
    const NAME: &str = "v";
    let failed = |error| CliError::format("csv", error);
    let batch =
        RecordBatch::try_from_iter_with_nullable([(NAME, ArrayRef::clone(column), true)]).map_err(failed)?;
    let mut lines = Vec::new();
    write_lines(&batch, formats, &mut lines).map_err(failed)?;
    // JSON writes newlines in texts as \n, so a line is a row: {"v":…}
    let lines = String::from_utf8_lossy(&lines);
    let value =
        |line: &str| line.strip_prefix("{\"v\":").and_then(|line| line.strip_suffix('}')).map(str::to_owned);
    Ok(lines.lines().map(|line| value(line).filter(|value| value != "null")).collect())
}

fn write_lines(
    batch: &RecordBatch,
    formats: &ValueFormats,
    out: &mut dyn Write,
) -> std::result::Result<(), datafusion::arrow::error::ArrowError> {
    let mut writer = formats.json().build::<_, LineDelimited>(out);
    writer.write(batch)?;
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{batch, print};
    use super::{JsonPrinter, ValueFormats};

    #[test]
    fn an_object_per_line() {
        insta::assert_snapshot!(print(JsonPrinter::new(ValueFormats::default()), &[batch(), batch().slice(0, 0)]), @r#"
        {"id":1,"text":"a \"b\", | c\nd\té","score":0.5,"vector":[0.0,0.01,0.02,0.03,0.04,0.05,0.06,0.07,0.08,0.09,0.1,0.11],"list":[1,null],"entry":{"label":"good"}}
        {"id":null,"text":null,"score":null,"vector":null,"list":null,"entry":{"label":null}}
        "#);
    }
}
