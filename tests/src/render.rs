//! Values and failures as the lines of an slt file.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use nightjar_engine::EngineError;
use nightjar_errors::Failure;

/// Returns an error as people read it: `message; hint: …`.
pub fn render_error(error: &EngineError) -> String {
    match error.hint() {
        Some(hint) => format!("{error}; hint: {hint}"),
        None => error.to_string(),
    }
}

/// Returns one line of cells per row.
///
/// NULL is `NULL`, an empty text `(empty)`, floats have six significant digits. A text of several lines (a plan)
/// becomes as many rows, numbered, with its indentation as dashes: `02)--InferExec`.
pub fn render_rows(batches: &[RecordBatch]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<Vec<String>> = batch.columns().iter().map(render_column).collect();
        for row in 0..batch.num_rows() {
            expand(columns.iter().map(|column| column[row].clone()).collect(), &mut rows);
        }
    }
    rows
}

fn expand(row: Vec<String>, rows: &mut Vec<Vec<String>>) {
    let (Some(last), true) = (row.last(), row.iter().any(|cell| cell.contains('\n'))) else {
        rows.push(row);
        return;
    };
    let mut first = row.clone();
    first.pop();
    if !first.is_empty() {
        rows.push(first);
    }
    for (index, line) in last.trim_end().lines().enumerate() {
        let text = line.trim_start();
        let dashes = "-".repeat(line.len() - text.len());
        rows.push(vec![format!("{:02}){dashes}{text}", index + 1)]);
    }
}

fn render_column(column: &ArrayRef) -> Vec<String> {
    match column.data_type() {
        DataType::Float32 => {
            column.as_primitive::<Float32Type>().iter().map(|value| number(value.map(f64::from))).collect()
        }
        DataType::Float64 => column.as_primitive::<Float64Type>().iter().map(number).collect(),
        _ => {
            let options = FormatOptions::new().with_null("NULL");
            let formatter = ArrayFormatter::try_new(column.as_ref(), &options).expect("a printable column");
            (0..column.len())
                .map(|row| match formatter.value(row).to_string() {
                    text if text.is_empty() => "(empty)".to_owned(),
                    text => text,
                })
                .collect()
        }
    }
}

/// Six significant digits: what machines with different instruction sets agree on.
fn number(value: Option<f64>) -> String {
    let Some(value) = value else { return "NULL".to_owned() };
    if value == 0.0 || !value.is_finite() {
        return (value + 0.0).to_string();
    }
    let decimals = (5 - value.abs().log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_have_six_significant_digits() {
        for (value, text) in [
            (1.0 / 3.0, "0.333333"),
            (2.0, "2"),
            (-0.0, "0"),
            (123_456_789.4, "123456789"),
            (1.23e-5, "0.0000123"),
        ] {
            assert_eq!(number(Some(value)), text);
        }
        assert_eq!(number(None), "NULL");
        assert_eq!(number(Some(f64::NAN)), "NaN");
    }
}
