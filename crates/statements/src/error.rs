//! What can go wrong in a statement.

use datafusion::common::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Location, TokenizerError};
use nightjar_catalog::CatalogError;
use nightjar_errors::Failure;
use nightjar_functions::{FunctionError, plain_words};
use nightjar_models::ModelError;

use crate::contradiction::Contradiction;
use crate::job_error::JobError;
use crate::method::{DEFAULT_METHOD, Method, method_words};
use crate::training_error::TrainingError;

/// The result of this crate's functions.
pub type Result<T, E = StatementError> = std::result::Result<T, E>;

/// An error in a statement.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// The text is not a statement.
    #[error("syntax error at line {line}, column {column}: {message}")]
    Syntax {
        /// What was expected, and what was found.
        message: String,
        /// The line, from 1, of the text given to the parser.
        line: u64,
        /// The column, from 1, in characters.
        column: u64,
        /// The text at that place; empty at the end of the input.
        near: String,
        /// The statement of ours that was being read, such as `CREATE MODEL`.
        statement: Option<&'static str>,
        /// What to type instead.
        hint: Option<String>,
    },

    /// No option has this name.
    #[error("unknown training option {option}")]
    UnknownOption {
        /// The name as given.
        option: String,
        /// The option whose name comes nearest.
        nearest: Option<&'static str>,
    },

    /// One statement gives an option twice.
    #[error("option {option} is given twice")]
    RepeatedOption {
        /// The option's name.
        option: &'static str,
    },

    /// An option's value is of the wrong type, or out of range.
    #[error("option {option} cannot be {value}: it takes {allowed}")]
    OptionValue {
        /// The option's name.
        option: &'static str,
        /// The value as SQL.
        value: String,
        /// What the option takes, in words.
        allowed: String,
    },

    /// The option exists in the dialect, but not for this method of training.
    #[error("option {option} is for method {}, and the method is '{method}'", method_words(methods))]
    OptionOfOtherMethod {
        /// The option's name.
        option: &'static str,
        /// The methods that have the option.
        methods: &'static [Method],
        /// The method of this statement.
        method: Method,
    },

    /// Options that can't be meant together.
    #[error(transparent)]
    Contradiction(#[from] Contradiction),

    /// Options of training in a statement that trains nothing.
    #[error("option {option} is for training, and the statement has no FINE_TUNE ON")]
    OptionWithoutTraining {
        /// The first option.
        option: String,
    },

    /// A clause of SQL that is parsed and would be ignored.
    #[error("{clause} is not supported")]
    Clause {
        /// The clause.
        clause: String,
        /// What to write instead.
        instead: String,
    },

    /// A call for one statement got none or several.
    #[error("one statement was expected, got '{found}'")]
    NotOne {
        /// The text.
        found: String,
    },

    /// The rows or the base of a training can't be used.
    #[error(transparent)]
    Training(#[from] TrainingError),

    /// A job can't be, or can't be changed.
    #[error(transparent)]
    Job(#[from] JobError),

    /// The catalog or the artifact store failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),

    /// A model call failed.
    #[error(transparent)]
    Function(#[from] FunctionError),

    /// The model failed.
    #[error(transparent)]
    Model(#[from] ModelError),

    /// DataFusion failed, or carries a failure of ours.
    #[error("{}", nightjar_functions::readable(.0))]
    DataFusion(#[source] Box<DataFusionError>),

    /// A name is in a catalog that is not there.
    #[error("there is no catalog '{name}'")]
    CatalogUnknown {
        /// The catalog.
        name: String,
    },

    /// A name is in a schema that is not there.
    #[error("there is no schema '{name}'")]
    SchemaUnknown {
        /// The schema.
        name: String,
        /// The schema whose name comes nearest.
        nearest: Option<String>,
        /// A file of the working folder that the whole name may mean.
        file: Option<String>,
    },

    /// A table that is not there, where one has a similar name.
    #[error("table '{name}' not found")]
    TableUnknown {
        /// The name as written.
        name: String,
        /// The table whose name comes nearest.
        nearest: String,
    },

    /// Something that is to be dropped is in use.
    #[error("{what} is used by {}", by.join(", "))]
    InUse {
        /// What.
        what: String,
        /// The views, materialized views and jobs that use it.
        by: Vec<String>,
    },

    /// A bug of ours.
    #[error("internal error: {0}")]
    Internal(String),
}

impl From<DataFusionError> for StatementError {
    fn from(error: DataFusionError) -> Self {
        StatementError::DataFusion(Box::new(error))
    }
}

impl Failure for StatementError {
    fn code(&self) -> &'static str {
        match self {
            StatementError::Syntax { .. } => "statement_syntax",
            StatementError::UnknownOption { .. } => "training_option_unknown",
            StatementError::RepeatedOption { .. } => "training_option_repeated",
            StatementError::OptionValue { .. } => "training_option_value",
            StatementError::OptionOfOtherMethod { .. } => "training_option_of_other_method",
            StatementError::Contradiction(error) => error.code(),
            StatementError::OptionWithoutTraining { .. } => "training_option_without_training",
            StatementError::Clause { .. } => "statement_clause",
            StatementError::NotOne { .. } => "statement_not_one",
            StatementError::Training(error) => error.code(),
            StatementError::Job(error) => error.code(),
            StatementError::Catalog(error) => error.code(),
            StatementError::Function(error) => error.code(),
            StatementError::Model(error) => error.code(),
            StatementError::DataFusion(_) => "datafusion",
            StatementError::CatalogUnknown { .. } => "catalog_unknown",
            StatementError::SchemaUnknown { .. } => "schema_unknown",
            StatementError::TableUnknown { .. } => "table_unknown",
            StatementError::InUse { .. } => "in_use",
            StatementError::Internal(_) => "internal",
        }
    }

    fn retryable(&self) -> bool {
        match self {
            StatementError::Job(error) => error.retryable(),
            StatementError::Catalog(error) => error.retryable(),
            StatementError::Function(error) => error.retryable(),
            StatementError::Model(error) => error.retryable(),
            _ => false,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            StatementError::Syntax { hint, .. } => hint.clone(),
            StatementError::UnknownOption { nearest: Some(nearest), .. } => {
                Some(format!("did you mean {nearest}?"))
            }
            StatementError::UnknownOption { nearest: None, .. } => {
                let names: Vec<_> = crate::TRAINING_OPTIONS.iter().map(|option| option.name).collect();
                Some(format!("the options are {}", names.join(", ")))
            }
            StatementError::RepeatedOption { option } => {
                Some(format!("keep one of the two values of {option}"))
            }
            StatementError::OptionValue { .. } => None,
            StatementError::OptionOfOtherMethod { option, methods, .. } => {
                let other = methods.first().copied().unwrap_or(DEFAULT_METHOD);
                Some(format!("leave {option} out, or say method = '{other}'"))
            }
            StatementError::Contradiction(error) => error.hint(),
            StatementError::OptionWithoutTraining { .. } => {
                Some("add FINE_TUNE ON (SELECT text, label FROM …), or leave WITH out".to_string())
            }
            StatementError::Clause { instead, .. } => Some(instead.clone()),
            StatementError::NotOne { .. } => Some("run a script with nightjar sql -f file".to_string()),
            StatementError::Training(error) => error.hint(),
            StatementError::Job(error) => error.hint(),
            StatementError::Catalog(error) => error.hint(),
            StatementError::Function(error) => error.hint(),
            StatementError::Model(error) => error.hint(),
            StatementError::CatalogUnknown { .. } => {
                Some("a table is named schema.table, without a catalog before it".to_owned())
            }
            StatementError::SchemaUnknown { file: Some(file), .. } => {
                Some(format!("a file is named in quotes: '{file}'"))
            }
            StatementError::SchemaUnknown { nearest: Some(nearest), .. } => {
                Some(format!("did you mean '{nearest}'?"))
            }
            StatementError::SchemaUnknown { name, .. } => Some(format!(
                "SHOW SCHEMAS lists the schemas, CREATE SCHEMA {} makes it",
                crate::quote_identifier(name)
            )),
            StatementError::TableUnknown { nearest, .. } => Some(format!(
                "did you mean {}? SHOW TABLES lists the tables",
                crate::quote_identifier(nearest)
            )),
            StatementError::InUse { .. } => {
                Some("change or drop those first, or add CASCADE: it drops the views too".to_owned())
            }
            StatementError::DataFusion(error) => nightjar_functions::instead(error),
            StatementError::Internal(_) => None,
        }
    }
}

impl StatementError {
    /// Whether a training is refused for what the statement or its rows are, before anything was trained.
    pub(crate) fn refuses_training(&self) -> bool {
        match self {
            Self::Training(TrainingError::Folder { .. } | TrainingError::RowsChanged { .. }) => false,
            Self::Training(_) | Self::Contradiction(_) => true,
            _ => false,
        }
    }

    /// A syntax error at a place of the text.
    pub(crate) fn syntax(location: Location, near: impl Into<String>, message: impl Into<String>) -> Self {
        StatementError::Syntax {
            message: message.into(),
            line: location.line,
            column: location.column,
            near: near.into(),
            statement: None,
            hint: None,
        }
    }

    /// The same error with a place: the tokenizer gives none, line 0, to the end of the text.
    pub(crate) fn at_end_of(mut self, sql: &str) -> Self {
        if let StatementError::Syntax { line: line @ 0, column, .. } = &mut self {
            let last = sql.trim_end().rsplit('\n').next().unwrap_or_default();
            *line = sql.trim_end().matches('\n').count() as u64 + 1;
            *column = last.chars().count() as u64 + 1;
        }
        self
    }

    /// The same error with a hint, unless it has one.
    pub(crate) fn or_hint(mut self, suggestion: impl FnOnce() -> Option<String>) -> Self {
        if let StatementError::Syntax { hint: hint @ None, .. } = &mut self {
            *hint = suggestion();
        }
        self
    }

    /// The same error, told to have happened while `name` was being read.
    pub(crate) fn within(mut self, name: &'static str) -> Self {
        if let StatementError::Syntax { statement: statement @ None, .. } = &mut self {
            *statement = Some(name);
        }
        self
    }

    /// The error of a text that cannot be cut into tokens.
    pub(crate) fn from_tokenizer(error: TokenizerError) -> Self {
        Self::syntax(
            error.location,
            "",
            lower_first(&error.message.replace(" before EOF.", " before the end")),
        )
    }

    /// The error of sqlparser, which puts the place at the end of its message; `fallback` is the place of
    /// those messages that have none.
    pub(crate) fn from_parser(error: &ParserError, fallback: Location) -> Self {
        let message = match error {
            ParserError::ParserError(message) | ParserError::TokenizerError(message) => message.as_str(),
            ParserError::RecursionLimitExceeded => "the statement is nested too deeply",
        };
        let (message, location) = split_location(message, fallback);
        let message = message.replacen("Expected: ", "expected ", 1).replace("found: EOF", "found: the end");
        // The parser tells no place of the end: it is set by the script's text.
        let location = if message.ends_with("found: the end") { Location::new(0, 0) } else { location };
        let near = message.rsplit_once("found: ").map_or("", |(_, near)| near).to_string();
        Self::syntax(location, near, lower_first(&message.replace("found: ", "found ")))
    }

    /// The error of DataFusion's parser.
    pub(crate) fn from_datafusion(error: &DataFusionError, fallback: Location) -> Self {
        match error.find_root() {
            DataFusionError::SQL(parser, _) => Self::from_parser(parser, fallback),
            other => Self::syntax(fallback, "", lower_first(&plain_words(&other.strip_backtrace()))),
        }
    }
}

/// Cuts ` at Line: 1, Column: 8` off a message.
fn split_location(message: &str, fallback: Location) -> (&str, Location) {
    let located = || {
        let (text, place) = message.rsplit_once(" at Line: ")?;
        let (line, column) = place.split_once(", Column: ")?;
        Some((text, Location { line: line.parse().ok()?, column: column.parse().ok()? }))
    };
    located().unwrap_or((message, fallback))
}

/// The message with a small first letter, unless its first word is an acronym or a keyword.
fn lower_first(message: &str) -> String {
    let mut chars = message.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if first.is_uppercase() && !second.is_uppercase() => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => message.to_string(),
    }
}
