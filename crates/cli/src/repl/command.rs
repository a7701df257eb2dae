//! The prompt's own commands.

use crate::console::say;
use crate::error::{CliError, Result};
use crate::output::Format;
use crate::runner::Runner;
use crate::script::Script;

const HELP: &str = "\
\\q               leave (also Ctrl-D)
\\?               this list
\\d               the tables and views
\\d NAME          the columns of a table, view or 'file'
\\m               the models
\\timing          show or hide the number of rows and the time
\\format [NAME]   show or set the format of results: table, csv, json, markdown

A statement ends with ; and may take several lines. Ctrl-C stops a statement that runs, and clears one that is being
typed. Tab completes keywords, tables, columns, models and functions, and files within quotes.";

const TABLES: &str = "\
SELECT table_schema AS schema, table_name AS name, replace(lower(table_type), 'base ', '') AS kind
FROM information_schema.tables
WHERE table_schema <> 'information_schema' ORDER BY table_schema = 'nightjar', table_schema, table_name";

/// What matters of the models on a narrow terminal; SHOW MODELS has the rest.
const MODELS: &str = "\
SELECT name, version, task, is_default, base, date_trunc('second', updated_at) AS updated_at
FROM nightjar.models ORDER BY name";

/// A command of the prompt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    Leave,
    Help,
    Tables,
    Columns(String),
    Models,
    Timing,
    ShowFormat,
    SetFormat(Format),
}

/// What the prompt does next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Stay,
    Leave,
}

impl Command {
    /// Returns whether the line is for the prompt and not for SQL.
    pub(super) fn is_one(line: &str) -> bool {
        let line = line.trim();
        line.starts_with('\\') || ["quit", "exit", "help"].contains(&line.trim_end_matches(';').trim_end())
    }

    /// Returns the command of a line; none for SQL.
    pub(super) fn parse(line: &str) -> Result<Option<Self>> {
        if !Self::is_one(line) {
            return Ok(None);
        }
        let line = line.trim().trim_end_matches(';').trim_end();
        let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let command = match (name, argument.trim()) {
            ("\\q" | "quit" | "exit", "") => Self::Leave,
            ("\\?" | "\\h" | "help", "") => Self::Help,
            ("\\d", "") => Self::Tables,
            ("\\d", name) => Self::Columns(name.to_owned()),
            ("\\m", "") => Self::Models,
            ("\\timing", "") => Self::Timing,
            ("\\format", "") => Self::ShowFormat,
            ("\\format", name) => {
                let format = Format::named(name);
                Self::SetFormat(format.ok_or_else(|| CliError::UnknownFormat { name: name.to_owned() })?)
            }
            _ => {
                return Err(CliError::UnknownCommand { name: line.to_owned() });
            }
        };
        Ok(Some(command))
    }

    /// Does what the command says.
    pub(super) async fn run(self, runner: &mut Runner) -> Result<Outcome> {
        match self {
            Self::Leave => return Ok(Outcome::Leave),
            Self::Help => say(HELP),
            Self::Tables => query(runner, TABLES).await?,
            Self::Columns(name) => query(runner, &format!("DESCRIBE {name}")).await?,
            Self::Models => query(runner, MODELS).await?,
            Self::Timing => {
                runner.timing = !runner.timing;
                say(if runner.timing { "timing is on" } else { "timing is off" });
            }
            Self::ShowFormat => say(&format!("results are printed as {}", runner.format.name())),
            Self::SetFormat(format) => runner.format = format,
        }
        Ok(Outcome::Stay)
    }
}

async fn query(runner: &mut Runner, sql: &str) -> Result<()> {
    runner.run_scripts(&[Script::typed(sql)]).await
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn commands_parse() {
        let parse = |line: &str| Command::parse(line).unwrap();
        assert_eq!(parse("\\q"), Some(Command::Leave));
        assert_eq!(parse(" exit; "), Some(Command::Leave));
        assert_eq!(parse("\\d nightjar.models;"), Some(Command::Columns("nightjar.models".to_owned())));
        assert_eq!(parse("\\format JSON"), Some(Command::SetFormat(Format::Json)));
        assert_eq!(parse("SELECT '\\q'"), None);
        assert!(matches!(Command::parse("\\format xml"), Err(CliError::UnknownFormat { .. })));
        assert!(matches!(Command::parse("\\x"), Err(CliError::UnknownCommand { .. })));
    }
}
