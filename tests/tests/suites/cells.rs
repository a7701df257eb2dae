//! Values as the suites' files state them: floats without an exponent, rounded to 12 decimals (15 in Spark's files).

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Float16Type, Float32Type, Float64Type};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

/// Returns the lines of a result: a cell each column, and the lines of a plan numbered below their row.
pub(crate) fn lines(
    batches: &[RecordBatch],
    spark: bool,
    root: &str,
) -> Result<Vec<Vec<String>>, ArrowError> {
    let mut lines = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter().map(|column| cell(column, row, spark));
            let cells = cells.collect::<Result<Vec<_>, _>>()?;
            let cells = cells.into_iter().map(|cell| cell.replace(root, "WORKSPACE_ROOT")).collect();
            expand(cells, &mut lines);
        }
    }
    Ok(lines)
}

fn expand(mut row: Vec<String>, lines: &mut Vec<Vec<String>>) {
    let Some(last) = row.pop_if(|last| last.contains('\n')) else {
        lines.push(row);
        return;
    };
    lines.push(row);
    for (index, line) in last.split('\n').enumerate() {
        let text = line.trim_start();
        lines.push(vec![format!("{:02}){}{text}", index + 1, "-".repeat(line.len() - text.len()))]);
    }
}

fn cell(column: &ArrayRef, row: usize, spark: bool) -> Result<String, ArrowError> {
    if column.is_null(row) || column.data_type() == &DataType::Null {
        return Ok("NULL".to_owned());
    }
    let decimals = if spark { 15 } else { 12 };
    Ok(match column.data_type() {
        DataType::Float16 => float(&column.as_primitive::<Float16Type>().value(row).to_string(), 12),
        DataType::Float32 => float(&column.as_primitive::<Float32Type>().value(row).to_string(), 12),
        DataType::Float64 => float(&column.as_primitive::<Float64Type>().value(row).to_string(), decimals),
        DataType::Dictionary(_, _) => {
            let dictionary = column.as_any_dictionary();
            return cell(dictionary.values(), dictionary.normalized_keys()[row], spark);
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            match ArrayFormatter::try_new(column, &FormatOptions::new())?.value(row).to_string() {
                text if text.is_empty() => "(empty)".to_owned(),
                text => text.trim_end_matches('\n').replace('\0', "\\0"),
            }
        }
        kind => {
            let options = FormatOptions::new().with_null("NULL");
            let text = ArrayFormatter::try_new(column, &options)?.value(row).to_string();
            if kind.is_decimal() { shortest(&text) } else { text }
        }
    })
}

fn float(text: &str, decimals: usize) -> String {
    match text {
        "NaN" => "NaN".to_owned(),
        "inf" => "Infinity".to_owned(),
        "-inf" => "-Infinity".to_owned(),
        text => shortest(&round(text, decimals)),
    }
}

/// A decimal number with so many decimals, half to even.
fn round(text: &str, decimals: usize) -> String {
    let Some((whole, fraction)) = text.split_once('.') else { return text.to_owned() };
    if fraction.len() <= decimals {
        return text.to_owned();
    }
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let (kept, cut) = fraction.split_at(decimals);
    let mut digits: Vec<u8> = [whole, kept].concat().into_bytes();
    let half = format!("5{}", "0".repeat(cut.len() - 1));
    let odd = digits.last().is_some_and(|digit| digit % 2 == 1);
    if cut > half.as_str() || cut == half && odd {
        let nines = digits.iter().rev().take_while(|digit| **digit == b'9').count();
        let place = digits.len() - nines;
        digits[place..].fill(b'0');
        match place.checked_sub(1) {
            Some(last) => digits[last] += 1,
            None => digits.insert(0, b'1'),
        }
    }
    let digits = String::from_utf8(digits).expect("digits");
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    format!("{sign}{whole}.{fraction}")
}

/// A decimal number without zeros at its end, and no negative zero.
fn shortest(text: &str) -> String {
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text,
    };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[test]
fn numbers_are_rounded_half_to_even() {
    for (text, rounded) in [
        ("0.0000000000005", "0"),
        ("0.0000000000015", "0.000000000002"),
        ("-0.0000000000001", "0"),
        ("9.9999999999999", "10"),
        ("-1.25", "-1.25"),
        ("12", "12"),
        ("inf", "Infinity"),
    ] {
        assert_eq!(float(text, 12), rounded);
    }
}
