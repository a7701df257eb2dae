//! What can go wrong with jobs.

use nightjar_errors::Failure;

use crate::error::StatementError;
use nightjar_sql::quote_identifier;

/// Why a job can't be, or can't be changed.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// A statement of the body can't be planned.
    #[error("statement {position} of the body can't run: {source}")]
    Body {
        /// Its place, from 1.
        position: usize,
        /// Why not.
        #[source]
        source: Box<StatementError>,
    },
    /// A table that nobody would find after the run.
    #[error("the table {name} would end with the run that makes it")]
    SessionTable {
        /// The table.
        name: String,
    },
    /// A statement that no body may have.
    #[error("statement {position} of the body is {statement}, which a job can't run")]
    BodyStatement {
        /// Its place, from 1.
        position: usize,
        /// Its name.
        statement: &'static str,
    },
    /// Jobs that would wait for each other.
    #[error("job '{name}' would come after itself: {path}")]
    Cycle {
        /// The job.
        name: String,
        /// The chain that leads back.
        path: String,
    },
    /// A job that others come after is to go.
    #[error("job '{name}' can't be dropped: {downstream} comes after it")]
    HasDownstream {
        /// The job.
        name: String,
        /// The first that comes after it.
        downstream: String,
    },
    /// A run that has ended can't be cancelled.
    #[error("run {run} of job '{job}' has ended: it {status}")]
    RunEnded {
        /// The run.
        run: i64,
        /// The job.
        job: String,
        /// How.
        status: String,
    },
    /// A file that is to be a clock and is none.
    #[error("{variable} names {}, which is no clock: {reason}", path.display())]
    Clock {
        /// The variable that names it.
        variable: &'static str,
        /// The file.
        path: std::path::PathBuf,
        /// Why it is none.
        reason: String,
    },
    /// What the catalog holds of a job can't be read back.
    #[error("the catalog holds an unreadable {what} for job '{name}': {reason}")]
    Unreadable {
        /// The part.
        what: &'static str,
        /// The job.
        name: String,
        /// Why.
        reason: String,
    },
}

impl Failure for JobError {
    fn code(&self) -> &'static str {
        match self {
            Self::Body { .. } | Self::BodyStatement { .. } => "job_body",
            Self::SessionTable { .. } => "job_session_table",
            Self::Cycle { .. } => "job_cycle",
            Self::HasDownstream { .. } => "job_has_downstream",
            Self::RunEnded { .. } => "job_run_ended",
            Self::Clock { .. } => "job_clock",
            Self::Unreadable { .. } => "job_unreadable",
        }
    }

    fn retryable(&self) -> bool {
        match self {
            Self::Body { source, .. } => source.retryable(),
            _ => false,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Body { source, .. } => return source.hint(),
            Self::SessionTable { name } => format!(
                "CREATE TEMPORARY TABLE {name} says that this is meant; COPY … TO 'folder/', INSERT INTO and CREATE MATERIALIZED VIEW \
                 keep rows"
            ),
            Self::BodyStatement { .. } => {
                "AFTER JOB other runs a job when another one has succeeded".to_owned()
            }
            Self::Cycle { .. } => "give one of them a CRON or EVERY schedule".to_owned(),
            Self::HasDownstream { downstream, .. } => {
                format!("DROP JOB {} first, or give it another schedule", quote_identifier(downstream))
            }
            Self::RunEnded { job, .. } => format!("RUN JOB {} starts another one", quote_identifier(job)),
            Self::Clock { variable, .. } => format!(
                "write {{\"at\": \"2026-11-29T13:00:00Z\", \"shows\": \"2026-03-28T00:00:00Z\", \"speed\": 60}}, or unset {variable}"
            ),
            Self::Unreadable { name, .. } => format!("CREATE OR REPLACE JOB {} …", quote_identifier(name)),
        })
    }
}
