//! What can't be in the statements of jobs.

use nightjar_errors::Failure;
use nightjar_jobs::ScheduleError;

use crate::job::options::{JOB_OPTIONS, PARAMETERS};
use crate::parse::names::quote_identifier;

/// Why a statement of a job can't be.
#[derive(Debug, thiserror::Error)]
pub enum JobClauseError {
    /// The schedule can't be.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// A name that no page could have.
    #[error("a job can't be called '{}': {reason}", .name.escape_debug())]
    Name {
        /// The name.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// No option of jobs has this name.
    #[error("unknown job option {option}")]
    UnknownOption {
        /// The name as given.
        option: String,
        /// The option whose name comes nearest.
        nearest: Option<&'static str>,
    },
    /// One statement gives an option twice.
    #[error("option {option} is given twice")]
    RepeatedOption {
        /// The option.
        option: &'static str,
    },
    /// An option's value is none that it takes.
    #[error("option {option} cannot be {value}: it takes {takes}")]
    OptionValue {
        /// The option.
        option: &'static str,
        /// The value as SQL.
        value: String,
        /// What it takes, in words.
        takes: &'static str,
    },
    /// A parameter that jobs don't have.
    #[error("there is no parameter {name}")]
    UnknownParameter {
        /// Its name, with the sign before it.
        name: String,
    },
    /// ALTER JOB without a clause.
    #[error("ALTER JOB {name} changes nothing")]
    NothingToChange {
        /// The job.
        name: String,
    },
}

impl Failure for JobClauseError {
    fn code(&self) -> &'static str {
        match self {
            Self::Schedule(_) => "job_schedule",
            Self::Name { .. } => "job_name",
            Self::UnknownOption { .. } => "job_option_unknown",
            Self::RepeatedOption { .. } => "job_option_repeated",
            Self::OptionValue { .. } => "job_option_value",
            Self::UnknownParameter { .. } => "job_parameter_unknown",
            Self::NothingToChange { .. } => "job_nothing_to_change",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Schedule(error) => error.hint(),
            Self::UnknownOption { nearest: Some(nearest), .. } => format!("did you mean {nearest}?"),
            Self::UnknownOption { .. } => {
                let names: Vec<_> = JOB_OPTIONS.iter().map(|option| option.name).collect();
                format!("the options are {}", names.join(", "))
            }
            Self::Name { .. } => "a name is a line of 1 to 200 bytes, and neither . nor ..".to_owned(),
            Self::RepeatedOption { option } => format!("keep one of the two values of {option}"),
            Self::UnknownParameter { .. } => {
                let names: Vec<_> = PARAMETERS.iter().map(|name| format!(":{name}")).collect();
                format!("the parameters of a run are {}", names.join(", "))
            }
            Self::NothingToChange { name } => {
                format!("ALTER JOB {} [SCHEDULE …] [WITH (…)] [AS …]", quote_identifier(name))
            }
            Self::OptionValue { .. } => return None,
        })
    }
}
