//! The terminal: what is one, how wide it is, and lines to stderr.

use std::io::{IsTerminal, Write, stderr, stdin, stdout};

/// Returns whether somebody types.
pub(crate) fn stdin_is_terminal() -> bool {
    stdin().is_terminal()
}

/// Returns whether somebody reads the results as they come.
pub(crate) fn stdout_is_terminal() -> bool {
    stdout().is_terminal()
}

/// Returns whether somebody reads progress.
pub(crate) fn stderr_is_terminal() -> bool {
    stderr().is_terminal()
}

/// Returns the width of the terminal that stdout is, in columns.
pub(crate) fn stdout_width() -> Option<usize> {
    if !stdout_is_terminal() {
        return None;
    }
    let mut editor = rustyline::DefaultEditor::new().ok()?;
    let (columns, _) = editor.dimensions()?;
    Some(usize::from(columns)).filter(|columns| *columns > 0)
}

/// Writes a line to stderr. When nobody can read it any more, nobody is told.
pub(crate) fn say(line: &str) {
    let _ = writeln!(stderr().lock(), "{line}");
}

/// A style of text.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Style {
    /// What is being run.
    Dim,
    /// The word `error`.
    Red,
    /// The word `warning`.
    Yellow,
    /// The word `hint`.
    Cyan,
}

/// Returns the text in a style, or as it is where `coloured` is false.
pub(crate) fn styled(text: &str, style: Style, coloured: bool) -> String {
    if !coloured {
        return text.to_owned();
    }
    let code = match style {
        Style::Dim => 2,
        Style::Red => 31,
        Style::Yellow => 33,
        Style::Cyan => 36,
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// Returns whether stderr takes colours.
pub(crate) fn stderr_is_coloured() -> bool {
    stderr_is_terminal() && colours_allowed()
}

/// Returns whether stdout takes colours.
pub(crate) fn stdout_is_coloured() -> bool {
    stdout_is_terminal() && colours_allowed()
}

fn colours_allowed() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
