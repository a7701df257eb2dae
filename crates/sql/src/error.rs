//! What can't be in a text.

use datafusion_common::DataFusionError;
use datafusion_sql::sqlparser::parser::ParserError;
use datafusion_sql::sqlparser::tokenizer::{Location, TokenizerError};
use nightjar_errors::{Failure, plain_words};

use crate::job::error::JobClauseError;
use crate::training::method::{DEFAULT_METHOD, Method, method_words};
use crate::training::options::TRAINING_OPTIONS;

/// The result of this crate's functions.
pub type Result<T, E = SqlError> = std::result::Result<T, E>;

/// Why a text is no statement, or which clause or option of it can't be.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
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

    /// A clause of SQL that is parsed and would be ignored.
    #[error("{clause} is not supported")]
    Clause {
        /// The clause.
        clause: String,
        /// What to write instead.
        instead: String,
    },

    /// No metric has this name.
    #[error("no model is measured by '{name}'")]
    MeasureUnknown {
        /// The metric as written.
        name: String,
        /// The one with the nearest name.
        nearest: Option<String>,
    },

    /// A statement of a job can't be.
    #[error(transparent)]
    Job(#[from] JobClauseError),
}

/// What DataFusion's parser says of a text of one line.
impl From<DataFusionError> for SqlError {
    fn from(error: DataFusionError) -> Self {
        Self::from_datafusion(&error, Location::new(1, 1))
    }
}

impl Failure for SqlError {
    fn code(&self) -> &'static str {
        match self {
            SqlError::Syntax { .. } => "statement_syntax",
            SqlError::UnknownOption { .. } => "training_option_unknown",
            SqlError::RepeatedOption { .. } => "training_option_repeated",
            SqlError::OptionValue { .. } => "training_option_value",
            SqlError::OptionOfOtherMethod { .. } => "training_option_of_other_method",
            SqlError::Clause { .. } => "statement_clause",
            SqlError::MeasureUnknown { .. } => "training.measure_unknown",
            SqlError::Job(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            SqlError::Syntax { hint, .. } => hint.clone(),
            SqlError::UnknownOption { nearest: Some(nearest), .. } => {
                Some(format!("did you mean {nearest}?"))
            }
            SqlError::UnknownOption { nearest: None, .. } => {
                let names: Vec<_> = TRAINING_OPTIONS.iter().map(|option| option.name).collect();
                Some(format!("the options are {}", names.join(", ")))
            }
            SqlError::RepeatedOption { option } => Some(format!("keep one of the two values of {option}")),
            SqlError::OptionValue { .. } => None,
            SqlError::OptionOfOtherMethod { option, methods, .. } => {
                let other = methods.first().copied().unwrap_or(DEFAULT_METHOD);
                Some(format!("leave {option} out, or say method = '{other}'"))
            }
            SqlError::Clause { instead, .. } => Some(instead.clone()),
            SqlError::MeasureUnknown { nearest: Some(name), .. } => Some(format!("did you mean {name}?")),
            SqlError::MeasureUnknown { .. } => Some("EVALUATE MODEL shows those that there are".to_owned()),
            SqlError::Job(error) => error.hint(),
        }
    }
}

impl SqlError {
    /// A syntax error at a place of the text.
    pub(crate) fn syntax(location: Location, near: impl Into<String>, message: impl Into<String>) -> Self {
        SqlError::Syntax {
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
        if let SqlError::Syntax { line: line @ 0, column, .. } = &mut self {
            let last = sql.trim_end().rsplit('\n').next().unwrap_or_default();
            *line = sql.trim_end().matches('\n').count() as u64 + 1;
            *column = last.chars().count() as u64 + 1;
        }
        self
    }

    /// The same error with a hint, unless it has one.
    pub(crate) fn or_hint(mut self, suggestion: impl FnOnce() -> Option<String>) -> Self {
        if let SqlError::Syntax { hint: hint @ None, .. } = &mut self {
            *hint = suggestion();
        }
        self
    }

    /// The same error, told to have happened while `name` was being read.
    pub(crate) fn within(mut self, name: &'static str) -> Self {
        if let SqlError::Syntax { statement: statement @ None, .. } = &mut self {
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
