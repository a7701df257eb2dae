//! Labels as the metrics compare them: as text.

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;

use crate::{FunctionError, Result, TextColumn};

/// Returns a column of labels as text: `true` and `false` for booleans, digits for integers.
pub(super) fn read_labels(function: &str, array: &ArrayRef) -> Result<TextColumn> {
    match array.data_type() {
        found if found.is_integer() || matches!(found, DataType::Boolean) => {
            let internal = |error| FunctionError::Internal(format!("reading labels: {error}"));
            TextColumn::read(function, &cast(array, &DataType::Utf8).map_err(internal)?, false)
        }
        _ => TextColumn::read(function, array, false),
    }
}

/// Returns whether a label of two classes is the positive one: `true` or 1, against `false` or 0.
///
/// # Errors
/// `NotBinary` for any other label.
pub(super) fn is_positive(function: &str, label: &str) -> Result<bool> {
    match label {
        "1" => Ok(true),
        "0" => Ok(false),
        _ if label.eq_ignore_ascii_case("true") => Ok(true),
        _ if label.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(FunctionError::NotBinary {
            function: function.to_owned(),
            // A whole text may stand where a label was meant.
            label: label.chars().take(60).collect(),
        }),
    }
}
