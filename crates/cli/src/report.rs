//! Errors as people read them.

use nightjar_errors::Failure;
use nightjar_sql::SqlError;

use crate::console::{Style, say, stderr_is_coloured, styled};
use crate::error::CliError;
use crate::output::width;

/// The longest part of a line that is shown above a caret, in characters.
const SHOWN_CHARS: usize = 100;

/// Writes an error to stderr: message, place and hint.
pub(crate) fn write_error(error: &CliError) {
    if let CliError::OutputClosed = error {
        return;
    }
    for line in error_lines(error, stderr_is_coloured()) {
        say(&line);
    }
}

/// Returns the lines of an error.
fn error_lines(error: &CliError, coloured: bool) -> Vec<String> {
    let mut lines = vec![format!("{} {error}", styled("error:", Style::Red, coloured))];
    if let Some(place) = error.place() {
        lines.push(format!("   in: {place}"));
    }
    if let CliError::Syntax { source, text, .. } = error
        && let SqlError::Syntax { line, column, .. } = source.as_ref()
    {
        lines.extend(caret(*line, *column, text));
    }
    if let Some(hint) = error.hint() {
        lines.push(format!("{} {hint}", styled("hint:", Style::Cyan, coloured)));
    }
    lines
}

/// Returns a line of a script with a mark under one of its columns.
fn caret(line: u64, column: u64, text: &str) -> [String; 3] {
    let column = usize::try_from(column.saturating_sub(1)).unwrap_or(0);
    // A script on one long line is shown from shortly before the place.
    let skipped = if column > SHOWN_CHARS * 3 / 4 { column - SHOWN_CHARS / 2 } else { 0 };
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let shown: String = text.chars().skip(skipped).take(SHOWN_CHARS).map(clean).collect();
    let before: String = shown.chars().take(column - skipped).collect();
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    [
        format!("{margin} |"),
        format!("{number} | {shown}").trim_end().to_owned(),
        format!(
            "{margin} | {}^",
            " ".repeat(width::of(&before).max(column - skipped - before.chars().count()))
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::caret;

    #[test]
    fn a_caret_stands_under_its_column() {
        assert_eq!(caret(1, 8, "SELECT x y z"), ["  |", "1 | SELECT x y z", "  |        ^"]);
        assert_eq!(caret(12, 3, "\tSELECT"), ["   |", "12 |  SELECT", "   |   ^"]);
        // Wide characters take two columns.
        assert_eq!(caret(1, 3, "漢字x"), ["  |", "1 | 漢字x", "  |     ^"]);
        let long = caret(1, 2000, &"x".repeat(3000));
        assert_eq!(long[2].trim_end_matches('^').len(), 4 + 50);
        assert_eq!(caret(3, 1, ""), ["  |", "3 |", "  | ^"]);
    }
}
