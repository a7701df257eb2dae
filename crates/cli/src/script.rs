//! Scripts: their text, their statements, and where each stands.

use std::io::Read;
use std::path::{Path, PathBuf};

use datafusion::config::Dialect;
use nightjar_sql::{ParsedStatement, SqlError, parse_in};

use crate::error::{CliError, Result};
use crate::output::width;

/// How much of a statement an error repeats, in columns of a terminal.
const STATEMENT_COLUMNS: usize = 72;

/// Where a script came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The command line or the prompt.
    Typed,
    /// stdin.
    Stdin,
    /// A file.
    File(PathBuf),
}

/// SQL text that may hold several statements.
#[derive(Debug)]
pub(crate) struct Script {
    origin: Origin,
    text: String,
}

/// A statement of a script.
#[derive(Debug)]
pub(crate) struct Placed {
    /// The statement.
    pub(crate) statement: ParsedStatement,
    /// Where it stands and how it begins, where the script is more than this statement.
    pub(crate) place: Option<String>,
}

impl Script {
    /// Returns text that was typed.
    pub(crate) fn typed(text: impl Into<String>) -> Self {
        Self { origin: Origin::Typed, text: text.into() }
    }

    /// Returns the script on stdin.
    pub(crate) fn from_stdin() -> Result<Self> {
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes);
        Self::decode(Origin::Stdin, read)
    }

    /// Returns the script in a file; `-` is stdin.
    pub(crate) fn from_file(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Self::from_stdin();
        }
        Self::decode(Origin::File(path.to_owned()), std::fs::read(path))
    }

    fn decode(origin: Origin, bytes: std::io::Result<Vec<u8>>) -> Result<Self> {
        let named = origin.words();
        let bytes = bytes.map_err(|source| CliError::ScriptUnreadable { origin: named.clone(), source })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let (before, rest) = error.as_bytes().split_at(at);
            let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
            CliError::ScriptNotUtf8 {
                origin: named,
                byte: rest.first().copied().unwrap_or_default(),
                line: before.iter().filter(|byte| **byte == b'\n').count() + 1,
                column: at - line_start + 1,
            }
        })?;
        // Some editors begin UTF-8 files with a byte order mark.
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        Ok(Self { origin, text })
    }

    /// Returns the statements, or the first place that does not parse.
    pub(crate) fn statements(&self) -> Result<Vec<Placed>> {
        self.statements_in(&mut Dialect::default())
    }

    /// As [`Script::statements`], in a dialect; it is then the one that the script ends in.
    pub(crate) fn statements_in(&self, dialect: &mut Dialect) -> Result<Vec<Placed>> {
        let parsed = parse_in(&self.text, dialect).map_err(|error| self.syntax_error(error))?;
        let several = parsed.len() > 1 || self.origin != Origin::Typed;
        let mut from = 0;
        let placed = parsed.into_iter().map(|statement| {
            // The text is the script's own, so it is found, and in order.
            let start = self.text[from..].find(&statement.sql).map_or(from, |at| from + at);
            from = start + statement.sql.len();
            let line = self.text[..start].matches('\n').count() + 1;
            let place = several.then(|| self.origin.place(line, &statement.sql));
            Placed { statement, place }
        });
        Ok(placed.collect())
    }

    fn syntax_error(&self, error: SqlError) -> CliError {
        let text = match &error {
            SqlError::Syntax { line, .. } => {
                let index = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
                self.text.lines().nth(index).unwrap_or_default().to_owned()
            }
            _ => String::new(),
        };
        let origin = (self.origin != Origin::Typed).then(|| self.origin.words());
        CliError::Syntax { source: Box::new(error), origin, text }
    }
}

impl Origin {
    fn words(&self) -> String {
        match self {
            Self::Typed => "the text given".to_owned(),
            Self::Stdin => "stdin".to_owned(),
            Self::File(path) => format!("'{}'", path.display()),
        }
    }

    /// Returns where a statement stands, for an error.
    fn place(&self, line: usize, sql: &str) -> String {
        let first = sql.lines().next().unwrap_or_default();
        let first = width::cut(first, STATEMENT_COLUMNS);
        match self {
            Self::Typed => first.into_owned(),
            Self::Stdin | Self::File(_) => format!("{}, line {line}: {first}", self.words()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> Result<Script> {
        Script::decode(Origin::File("a.sql".into()), Ok(bytes.to_vec()))
    }

    #[test]
    fn statements_know_their_lines() {
        let script = decode(b"\xef\xbb\xbfSELECT 1;\n-- two\nSELECT 1;\n\n  SELECT\n 2").unwrap();
        let places: Vec<_> =
            script.statements().unwrap().into_iter().filter_map(|placed| placed.place).collect();
        assert_eq!(
            places,
            ["'a.sql', line 1: SELECT 1", "'a.sql', line 3: SELECT 1", "'a.sql', line 5: SELECT"]
        );
        assert_eq!(Script::typed("SELECT 1").statements().unwrap()[0].place, None);
    }

    #[test]
    fn bytes_that_are_no_text_are_located() {
        let error = decode(b"SELECT 1;\nSELECT '\xe9'").unwrap_err();
        assert_eq!(error.to_string(), "'a.sql' is not UTF-8: byte 0xe9 at line 2, column 9");
    }
}
