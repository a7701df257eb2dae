//! Rows as CSV, an empty text apart from NULL.

use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::csv::{QuoteStyle, WriterBuilder, writer::Terminator};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

/// Appends a batch to `out`, as the options of Arrow's writer say, but with an empty text as `""` and NULL as nothing. Arrow's own
/// writer leaves the same nothing for both.
///
/// Errors: columns of lists, structs and maps.
pub fn write_csv(
    batch: &RecordBatch,
    options: &WriterBuilder,
    header: bool,
    out: &mut Vec<u8>,
) -> Result<(), ArrowError> {
    let is_plain = matches!(options.quote_style(), QuoteStyle::Necessary)
        && !options.ignore_leading_whitespace()
        && !options.ignore_trailing_whitespace();
    if !is_plain || batch.num_columns() == 0 {
        return options.clone().with_header(header).build(out).write(batch);
    }
    let dialect = Dialect::of(options);
    if header {
        let schema = batch.schema();
        let names: Vec<_> = schema.fields().iter().map(|field| Some(field.name().as_str())).collect();
        dialect.line(names.into_iter(), out);
    }
    let shown = shown(options);
    let cells = batch.columns().iter().map(|column| match column.data_type() {
        kind if kind.is_nested() && !matches!(kind, DataType::Dictionary(..)) => {
            Err(ArrowError::CsvError(format!("CSV has no form for {kind}")))
        }
        _ => ArrayFormatter::try_new(column.as_ref(), &shown),
    });
    let cells = cells.collect::<Result<Vec<_>, _>>()?;
    let nulls: Vec<_> = batch.columns().iter().map(|column| column.logical_nulls()).collect();
    let mut texts = vec![String::new(); cells.len()];
    for row in 0..batch.num_rows() {
        for ((text, cell), nulls) in texts.iter_mut().zip(&cells).zip(&nulls) {
            text.clear();
            if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) {
                cell.value(row).write(text).map_err(|error| ArrowError::CsvError(error.to_string()))?;
            }
        }
        let values = texts.iter().zip(&nulls).map(|(text, nulls)| {
            nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)).then_some(text.as_str())
        });
        match &nulls[0] {
            // A line without anything would be no row.
            Some(nulls) if cells.len() == 1 && dialect.null.is_empty() && nulls.is_null(row) => {
                dialect.line([Some("")].into_iter(), out);
            }
            _ => dialect.line(values, out),
        }
    }
    Ok(())
}

/// Whether a row of the batch would read as an empty text although it is NULL: the line of a lone NULL is `""`.
pub(super) fn has_lone_null(batch: &RecordBatch, options: &WriterBuilder) -> bool {
    options.null().is_empty()
        && batch.num_columns() == 1
        && is_text(batch.column(0).data_type())
        && batch.column(0).logical_nulls().is_some_and(|nulls| nulls.null_count() > 0)
}

fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, values) => is_text(values),
        kind => kind.is_string(),
    }
}

fn shown(options: &WriterBuilder) -> FormatOptions<'_> {
    FormatOptions::default()
        .with_date_format(told(options.date_format()))
        .with_datetime_format(told(options.datetime_format()))
        .with_timestamp_format(told(options.timestamp_format()))
        .with_timestamp_tz_format(told(options.timestamp_tz_format()))
        .with_time_format(told(options.time_format()))
}

/// How fields are told apart.
struct Dialect {
    delimiter: u8,
    quote: u8,
    /// What stands before a quote inside a field.
    escape: u8,
    null: String,
    end: Vec<u8>,
}

impl Dialect {
    fn of(options: &WriterBuilder) -> Self {
        let quote = options.quote();
        Self {
            delimiter: options.delimiter(),
            quote,
            escape: if options.double_quote() { quote } else { options.escape() },
            null: options.null().to_owned(),
            end: match options.line_terminator() {
                Terminator::CRLF => b"\r\n".to_vec(),
                Terminator::Any(byte) => vec![*byte],
            },
        }
    }

    /// Appends a line. None is NULL.
    fn line<'a>(&self, fields: impl Iterator<Item = Option<&'a str>>, out: &mut Vec<u8>) {
        for (index, field) in fields.enumerate() {
            if index > 0 {
                out.push(self.delimiter);
            }
            match field {
                None => out.extend_from_slice(self.null.as_bytes()),
                Some(text) if self.needs_quotes(text) => self.quoted(text, out),
                Some(text) => out.extend_from_slice(text.as_bytes()),
            }
        }
        out.extend_from_slice(&self.end);
    }

    /// Also of what would read as NULL.
    fn needs_quotes(&self, text: &str) -> bool {
        let special = |byte: &u8| {
            matches!(byte, b'\r' | b'\n')
                || [self.delimiter, self.quote, self.escape].contains(byte)
                || self.end.contains(byte)
        };
        text.is_empty() || text == self.null || text.as_bytes().iter().any(special)
    }

    fn quoted(&self, text: &str, out: &mut Vec<u8>) {
        out.push(self.quote);
        for byte in text.bytes() {
            if byte == self.quote || byte == self.escape {
                out.push(self.escape);
            }
            out.push(byte);
        }
        out.push(self.quote);
    }
}

/// Returns a format that was told. DataFusion's form of these options on the wire has an empty one for none, which would write nothing.
fn told(format: Option<&str>) -> Option<&str> {
    format.filter(|format| !format.is_empty())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    fn written(columns: Vec<(&str, ArrayRef)>, options: &WriterBuilder) -> Result<String, ArrowError> {
        let columns = columns.into_iter().map(|(name, values)| (name, values, true));
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let mut out = Vec::new();
        write_csv(&batch, options, true, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    fn texts(values: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    #[test]
    fn an_empty_text_is_quoted_and_null_is_nothing() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
        let columns = vec![("t", texts(&[Some(""), None, Some("a\"b,\nc")])), ("n", numbers)];
        let plain = written(columns.clone(), &WriterBuilder::new()).unwrap();
        assert_eq!(plain, "t,n\n\"\",1\n,\n\"a\"\"b,\nc\",3\n");
        let options = WriterBuilder::new()
            .with_null("nil".to_owned())
            .with_delimiter(b'\t')
            .with_double_quote(false)
            .with_line_terminator(Terminator::CRLF);
        let said = written(columns, &options).unwrap();
        assert_eq!(said, "t\tn\r\n\"\"\t1\r\nnil\tnil\r\n\"a\\\"b,\nc\"\t3\r\n");
        assert_eq!(written(vec![("t", texts(&[Some("nil")]))], &options).unwrap(), "t\r\n\"nil\"\r\n");
    }

    #[test]
    fn a_lone_null_keeps_its_line() {
        let options = WriterBuilder::new();
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(3)]));
        assert_eq!(written(vec![("n", numbers)], &options).unwrap(), "n\n\"\"\n3\n");
        let lone = |values| has_lone_null(&RecordBatch::try_from_iter([("t", values)]).unwrap(), &options);
        assert!(lone(texts(&[Some("a"), None])));
        assert!(!lone(texts(&[Some("a"), Some("")])));
    }
}
