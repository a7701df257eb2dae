//! What the command can fail at.

use std::io;
use std::path::PathBuf;

use datafusion::arrow::error::ArrowError;
use nightjar_catalog::CatalogError;
use nightjar_cluster::ClusterError;
use nightjar_engine::EngineError;
use nightjar_errors::Failure;
use nightjar_functions::FunctionError;
use nightjar_server::{DaemonError, HttpError};
use nightjar_sql::SqlError;

/// The result of this crate's operations.
pub(crate) type Result<T, E = CliError> = std::result::Result<T, E>;

/// Why the command stops.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// A script can't be read.
    #[error("can't read {origin}: {source}")]
    ScriptUnreadable {
        /// The script, in words.
        origin: String,
        /// Why.
        source: io::Error,
    },
    /// A script is no text.
    #[error("{origin} is not UTF-8: byte 0x{byte:02x} at line {line}, column {column}")]
    ScriptNotUtf8 {
        /// The script, in words.
        origin: String,
        /// The first byte that is none of UTF-8's.
        byte: u8,
        /// Its line, from 1.
        line: usize,
        /// Its column in bytes, from 1.
        column: usize,
    },
    /// A script does not parse.
    #[error("{source}")]
    Syntax {
        /// What is wrong, and where.
        source: Box<SqlError>,
        /// The script, where there is more than one thing it could be.
        origin: Option<String>,
        /// The text of the line.
        text: String,
    },
    /// A statement failed.
    #[error("{source}")]
    Statement {
        /// Why.
        source: Box<EngineError>,
        /// Which one: the script with its line, where there are several.
        place: Option<String>,
    },
    /// The store failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A cluster can't be joined, reached or served.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The daemon can't go on.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// The daemon can't listen.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The file with the token can't be read.
    #[error("can't read the token in '{path}': {source}")]
    TokenUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Runs of jobs did not succeed.
    #[error("{failed} of {all} runs did not succeed")]
    RunsFailed {
        /// How many.
        failed: usize,
        /// Of how many.
        all: usize,
    },
    /// A model can't be measured.
    #[error(transparent)]
    Function(#[from] FunctionError),
    /// A file of the demo or of the prompt can't be written.
    #[error("can't write '{path}': {source}")]
    FileUnwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A name in the catalog is taken by another model.
    #[error("a model named '{name}' exists already, made from other files (digest {found})")]
    NameTaken {
        /// The name.
        name: String,
        /// The digest of the model that has it.
        found: String,
    },
    /// No name for the catalog follows from the source.
    #[error("no model name follows from '{source_text}'")]
    NoName {
        /// The source as written.
        source_text: String,
    },
    /// A result can't be written in the format.
    #[error("can't write the result as {format}: {source}")]
    Format {
        /// The format.
        format: &'static str,
        /// Why.
        source: ArrowError,
    },
    /// stdout can't be written.
    #[error("can't write the result: {0}")]
    Output(#[source] io::Error),
    /// Nobody reads stdout any more.
    #[error("nobody reads the result any more")]
    OutputClosed,
    /// `nightjar sql` got nothing to run.
    #[error("nothing to run")]
    NoInput,
    /// A command of the prompt that there is not.
    #[error("there is no command {name}")]
    UnknownCommand {
        /// The command as typed.
        name: String,
    },
    /// A format that there is not.
    #[error("there is no format '{name}'")]
    UnknownFormat {
        /// The format as typed.
        name: String,
    },
    /// The prompt can't be shown.
    #[error("the prompt failed: {0}")]
    Prompt(String),
    /// Ctrl-C.
    #[error("stopped")]
    Interrupted,
    /// The runtime can't be started.
    #[error("can't start: {0}")]
    Launch(#[source] io::Error),
    /// A bug of ours, or of what we build on.
    #[error("internal error: {0}")]
    Internal(String),
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Output(error),
        }
    }
}

impl From<EngineError> for CliError {
    fn from(error: EngineError) -> Self {
        Self::Statement { source: Box::new(error), place: None }
    }
}

impl CliError {
    /// Returns the error of a writer for `format`.
    pub(crate) fn format(format: &'static str, error: ArrowError) -> Self {
        match error {
            ArrowError::IoError(_, error) => error.into(),
            source => Self::Format { format, source },
        }
    }

    /// Returns the process's exit status.
    pub(crate) fn exit_status(&self) -> u8 {
        match self {
            Self::OutputClosed => 0,
            Self::NoInput => 2,
            Self::Interrupted => 130,
            _ => 1,
        }
    }

    /// Returns where it happened, where that says more than the message.
    pub(crate) fn place(&self) -> Option<&str> {
        match self {
            Self::Statement { place, .. } => place.as_deref(),
            Self::Syntax { origin, .. } => origin.as_deref(),
            _ => None,
        }
    }

    /// Returns the same error, told to have happened at a place.
    pub(crate) fn at(self, at: Option<String>) -> Self {
        match self {
            Self::Statement { source, place: None } => Self::Statement { source, place: at },
            other => other,
        }
    }
}

impl Failure for CliError {
    fn code(&self) -> &'static str {
        match self {
            Self::ScriptUnreadable { .. } => "cli_script_unreadable",
            Self::ScriptNotUtf8 { .. } => "cli_script_not_utf8",
            Self::Syntax { source, .. } => source.code(),
            Self::Statement { source, .. } => source.code(),
            Self::Catalog(error) => error.code(),
            Self::Cluster(error) => error.code(),
            Self::Daemon(error) => error.code(),
            Self::Http(error) => error.code(),
            Self::TokenUnreadable { .. } => "cli_token_unreadable",
            Self::RunsFailed { .. } => "cli_runs_failed",
            Self::Function(error) => error.code(),
            Self::FileUnwritable { .. } => "cli_file_unwritable",
            Self::NameTaken { .. } => "cli_name_taken",
            Self::NoName { .. } => "cli_no_name",
            Self::Format { .. } => "cli_format",
            Self::Output(_) => "cli_output",
            Self::OutputClosed => "cli_output_closed",
            Self::NoInput => "cli_no_input",
            Self::UnknownCommand { .. } => "cli_unknown_command",
            Self::UnknownFormat { .. } => "cli_unknown_format",
            Self::Prompt(_) => "cli_prompt",
            Self::Interrupted => "cli_interrupted",
            Self::Launch(_) => "cli_launch",
            Self::Internal(_) => "internal",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::ScriptNotUtf8 { .. } => {
                Some("save the script as UTF-8, for example with iconv -f latin1 -t utf-8".to_owned())
            }
            Self::Syntax { source, .. } => source.hint(),
            Self::Statement { source, .. } => source.hint(),
            Self::Catalog(error) => error.hint(),
            Self::Cluster(error) => error.hint(),
            Self::Daemon(error) => error.hint(),
            Self::Http(error) => error.hint(),
            Self::RunsFailed { .. } => {
                Some("SHOW RUNS tells why; SHOW LOG OF RUN number has the whole story".to_owned())
            }
            Self::Function(error) => error.hint(),
            Self::FileUnwritable { .. } => Some("choose another store with --store".to_owned()),
            Self::NameTaken { name, .. } => {
                Some(format!("choose another name with --as, or DROP MODEL \"{name}\" first"))
            }
            Self::NoName { .. } => Some("choose one with --as NAME".to_owned()),
            Self::Format { format, .. } if *format != "table" => {
                Some("cast the column to text, or print it with --format table".to_owned())
            }
            Self::NoInput => Some(
                "nightjar sql -c 'SELECT 1', nightjar sql -f script.sql, or nightjar for a prompt".to_owned(),
            ),
            Self::UnknownCommand { .. } => Some("\\? lists the commands".to_owned()),
            Self::UnknownFormat { .. } => Some("the formats are table, csv, json, markdown".to_owned()),
            Self::Internal(_) => Some("this is a bug; RUST_BACKTRACE=1 shows where it happened".to_owned()),
            _ => None,
        }
    }
}
