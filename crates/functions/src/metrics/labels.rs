//! Labels of two classes: which of them is the positive one.

use crate::{FunctionError, Result};

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
