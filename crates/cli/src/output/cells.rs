//! Values as the text of a table's cells.

use std::fmt::Write;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Float16Type, Float32Type, Float64Type};
use datafusion::arrow::util::display::ArrayFormatter;

use super::ValueFormats;
use crate::error::{CliError, Result};

/// Vectors longer than this are shortened.
const SHOWN_WHOLE: usize = 8;

/// How many numbers a shortened vector begins with.
const SHOWN: usize = 2;

/// The cells of a column.
pub(crate) enum Cells<'a> {
    /// Vectors: all rows that are longer than [`SHOWN_WHOLE`] are shortened.
    Vectors(&'a ArrayRef, ArrayFormatter<'a>, &'a str),
    /// Anything else.
    Values(ArrayFormatter<'a>),
}

impl<'a> Cells<'a> {
    /// Returns the cells of a column.
    pub(crate) fn new(column: &'a ArrayRef, formats: &'a ValueFormats) -> Result<Self> {
        let values = ArrayFormatter::try_new(column.as_ref(), &formats.cells())
            .map_err(|error| CliError::format("table", error))?;
        Ok(match column.data_type() {
            DataType::FixedSizeList(item, _) | DataType::List(item) | DataType::LargeList(item)
                if item.data_type().is_floating() =>
            {
                Self::Vectors(column, values, formats.null())
            }
            _ => Self::Values(values),
        })
    }

    /// Returns the text of a row, on one line and without anything that moves a terminal's cursor.
    pub(crate) fn text(&self, row: usize) -> String {
        let (Self::Values(values) | Self::Vectors(_, values, _)) = self;
        let short = match self {
            Self::Vectors(column, _, null) if column.is_valid(row) => shortened(column, row, null),
            _ => None,
        };
        short.unwrap_or_else(|| on_one_line(values.value(row).to_string()))
    }
}

/// Returns a long vector as `[0.01, 0.02, … 384]`: the first numbers and how many there are.
fn shortened(column: &ArrayRef, row: usize, null: &str) -> Option<String> {
    let vector = match column.data_type() {
        DataType::FixedSizeList(..) => column.as_fixed_size_list().value(row),
        DataType::LargeList(_) => column.as_list::<i64>().value(row),
        _ => column.as_list::<i32>().value(row),
    };
    if vector.len() <= SHOWN_WHOLE {
        return None;
    }
    let number = |n: usize| match vector.data_type() {
        _ if vector.is_null(n) => null.to_owned(),
        DataType::Float16 => format!("{:.4}", vector.as_primitive::<Float16Type>().value(n)),
        DataType::Float32 => format!("{:.4}", vector.as_primitive::<Float32Type>().value(n)),
        _ => format!("{:.4}", vector.as_primitive::<Float64Type>().value(n)),
    };
    let first: Vec<String> = (0..SHOWN).map(number).collect();
    Some(format!("[{}, … {}]", first.join(", "), vector.len()))
}

/// Returns the text with its control characters written out.
fn on_one_line(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    let mut line = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => line.push_str("\\n"),
            '\t' => line.push_str("\\t"),
            '\r' => line.push_str("\\r"),
            c if c.is_control() => {
                // Writing to a String cannot fail.
                let _ = write!(line, "\\x{:02x}", u32::from(c));
            }
            c => line.push(c),
        }
    }
    line
}
