//! How a task's failure travels: Ballista sends an error as the text of its `Debug` form, so that text holds the message
//! and the hint as JSON between two marks.

use std::{fmt, io};

use ballista_core::error::BallistaError;
use datafusion::error::DataFusionError;
use datafusion::object_store;
use nightjar_engine::{in_words, may_pass};
use nightjar_functions::{find_failure, plain_words};
use serde::{Deserialize, Serialize};

const BEGIN: &str = "⟦nightjar:";
const END: &str = "⟧";

/// A failure as it is told to somebody else.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TaskFailure {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// The file that was not there, where that is what failed.
    #[serde(default)]
    pub(crate) gone: Option<String>,
}

impl TaskFailure {
    /// Returns the error as a task should end with: readable where it arrives, and still what the scheduler acts on. IO errors
    /// remain IO errors, which it has tried again; Ballista's own, such as a fetch from an executor that is gone, remain as they are.
    pub(crate) fn tell(error: DataFusionError) -> DataFusionError {
        match Self::inside(&error) {
            Some((failure, Some(kind))) => DataFusionError::IoError(io::Error::new(kind, failure)),
            Some((failure, None)) => DataFusionError::External(Box::new(failure)),
            None => error,
        }
    }

    /// Returns what a person should read of an error, and what kind of IO error it is, if any; None for Ballista's own.
    fn inside(error: &DataFusionError) -> Option<(Self, Option<io::ErrorKind>)> {
        match find_failure::<BallistaError>(error) {
            // Shuffle writers wrap what their input says.
            Some(BallistaError::DataFusionError(inside)) => Self::inside(inside),
            Some(BallistaError::ArrowError(inside)) => {
                Some((Self { message: plain_words(&inside.to_string()), hint: None, gone: None }, None))
            }
            Some(_) => None,
            None => {
                let (message, hint) = in_words(error);
                let kind = find_failure::<io::Error>(error).map(io::Error::kind);
                // A store that does not answer is no IO error to its client, and may answer another attempt.
                let kind = kind.or_else(|| may_pass(error).then_some(io::ErrorKind::Other));
                let gone = gone(error);
                // No other attempt finds it: who planned the query plans it anew.
                let kind = kind.filter(|_| gone.is_none());
                Some((Self { message, hint, gone }, kind))
            }
        }
    }

    /// Finds the failure in what a scheduler reports; without one, the report itself is the message.
    pub(crate) fn read(report: &str) -> Self {
        let found = || {
            let (_, rest) = report.split_once(BEGIN)?;
            let (json, _) = rest.rsplit_once(END)?;
            // Of a task that was tried again the scheduler quotes what the last attempt said.
            serde_json::from_str(json).ok().or_else(|| serde_json::from_str(&unquoted(json)).ok())
        };
        found().unwrap_or_else(|| Self { message: readable(report), hint: None, gone: None })
    }
}

/// Returns the path of the object that was not there.
fn gone(error: &DataFusionError) -> Option<String> {
    match find_failure::<object_store::Error>(error)? {
        object_store::Error::NotFound { path, .. } => Some(path.clone()),
        _ => None,
    }
}

/// Returns what a text was before it was quoted, as far as JSON has it.
fn unquoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => out.extend(characters.next()),
            other => out.push(other),
        }
    }
    out
}

impl fmt::Debug for TaskFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{BEGIN}{}{END}", serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Display for TaskFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for TaskFailure {}

/// What scheduler and executors put before the message of a task that failed.
const WRAPPINGS: &[&str] = &[
    "Job failed due to ",
    "Task failed due to ",
    "runtime execution error: ",
    "DataFusion error: ",
    "Could not parse plan: ",
    "Execution error: ",
    "External error: ",
    "Error during planning: ",
    "Arrow error: ",
    "IO error: ",
];

/// Returns the message inside what a scheduler reports of its own failures.
fn readable(message: &str) -> String {
    let mut message = message.trim();
    loop {
        let stripped = WRAPPINGS.iter().find_map(|wrapping| message.strip_prefix(wrapping));
        // "stage 3 failed: "
        let stage = || {
            let (number, rest) = message.strip_prefix("stage ")?.split_once(" failed: ")?;
            number.bytes().all(|byte| byte.is_ascii_digit()).then_some(rest)
        };
        match stripped.or_else(stage) {
            Some(rest) => message = rest.trim_start(),
            None => return plain_words(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_found_in_what_is_put_around_it() {
        let told = TaskFailure {
            message: "no ⟧ \"text\"\nin row 2".to_owned(),
            hint: Some("try_embed(…)".to_owned()),
            gone: Some("t/a.parquet".to_owned()),
        };
        let error = DataFusionError::External(Box::new(told.clone()));
        let report = format!(
            "Job failed due to stage 1 failed: Task failed due to runtime execution error: {error:?}\n"
        );
        assert_eq!(TaskFailure::read(&report), told);
        let again = format!("Task 1 in Stage 2 failed 4 times, most recent failure reason: {report:?}");
        assert_eq!(TaskFailure::read(&again), told);
    }

    #[test]
    fn a_report_of_the_scheduler_is_its_own_message() {
        let read =
            TaskFailure::read("Job failed due to stage 12 failed: Task failed due to IO error: disk full");
        assert_eq!((read.message.as_str(), read.hint), ("disk full", None));
    }
}
