//! `CREATE JOB`.

use std::fmt;

use datafusion::prelude::DataFrame;
use datafusion::sql::parser::DFParser;
use datafusion::sql::sqlparser::ast::Value;
use nightjar_catalog::{CatalogError, JobLedger, JobRecord};
use nightjar_jobs::{Job, Schedule, Status};

use crate::StatementContext;
use crate::clock::now;
use crate::context::done;
use crate::error::{Result, StatementError};
use crate::grammar::{accept, at, expect, expect_end};
use crate::job_body::{absolute_body, check_body, parse_body};
use crate::job_error::JobError;
use crate::job_ledger::{job_of, record_job};
use crate::job_options::{JobOptions, options_text};
use crate::job_schedule::{parse_schedule, schedule_text};
use crate::names::{parse_identifier, quote_identifier};
use crate::statement::{Execute, StatementKind};
use crate::with_clause::{accept_with, write_with};

/// In bytes. A page's address has three letters for some of them.
const LONGEST_NAME: usize = 200;

pub(crate) static KIND: StatementKind = StatementKind {
    name: "CREATE JOB",
    syntax: "CREATE [OR REPLACE] JOB [IF NOT EXISTS] name
    SCHEDULE { CRON 'expression' [AT TIME ZONE 'zone'] | EVERY INTERVAL 'length' | AFTER JOB other }
    [WITH (option = value, …)]
AS { statement | BEGIN statement; … END }",
    summary: "Makes a job, which `nightjar serve` runs at its times (or `nightjar jobs run-due`, where another clock calls it). The body is planned \
        now: a job that can't run is refused. `CRON` has five fields (minute, hour, day of month, month, weekday) with names (`MON`, `MONDAY`), lists, ranges that may wrap \
        (`22-2`, `FRI-MON`) and steps (`*/20`, `5/20`), or is `@hourly`, `@daily`, `@midnight`, `@weekly`, `@monthly` or `@yearly`. `L` is the month's last \
        day, `L-3` three days before it, `LW` its last weekday, `15W` the weekday nearest to the 15th, `5L` the last Friday, `5#2` the second one; `?` is `*`. Where \
        both day of month and weekday are restricted, a day matches if either does, also with steps: `0 0 */2 * MON` is each odd day and each Monday (Vixie's \
        cron asks for both there); `+MON` asks for both. The times are those of the zone's wall clock, UTC without one, by the release of the IANA's \
        rules that SHOW JOBS names: a fixed time in the hour that is left out in spring runs at the first moment after it, one \
        in the hour that comes twice in autumn runs once. `EVERY` is anchored to the wall clock: '15 minutes' are the quarters of each hour. `AFTER JOB` \
        runs it for each success of the other job, for the same time. In the body `:scheduled_at` is the time that the run is for, `:previous_success` that of \
        the last run with success (1970 before the first), both timestamps in UTC, and `:run_id` the run's number. A statement of a body sees \
        what the earlier ones made; relative files are those of the folder where the job was made. `OR REPLACE` keeps the runs.",
    example: "CREATE JOB nightly SCHEDULE CRON '0 2 * * *' AT TIME ZONE 'Europe/Paris'
    WITH (timeout = '4 hours')
AS COPY (SELECT id, classify(review) AS label FROM reviews) TO 'labels/' STORED AS PARQUET",
    starts: |parser| at(parser, &["CREATE", "JOB"]) || at(parser, &["CREATE", "OR", "REPLACE", "JOB"]),
    parse: |parser| Ok(Box::new(CreateJob::parse(parser)?)),
};

/// Makes a job.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateJob {
    /// Whether a job of this name is replaced.
    pub or_replace: bool,
    /// Whether a job of this name makes the statement do nothing.
    pub if_not_exists: bool,
    /// The job.
    pub name: String,
    /// When it runs.
    pub schedule: Schedule,
    /// The options given.
    pub options: Vec<(String, Value)>,
    /// The statements, as written.
    pub body: Vec<String>,
}

impl CreateJob {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit; a schedule or an option that can't be.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        let head = &mut parser.parser;
        expect(head, &["CREATE"])?;
        let or_replace = accept(head, &["OR", "REPLACE"]);
        expect(head, &["JOB"])?;
        let if_not_exists = accept(head, &["IF", "NOT", "EXISTS"]);
        let name = parse_identifier(head, "a job's name")?;
        check_name(&name)?;
        expect(head, &["SCHEDULE"])?;
        let schedule = parse_schedule(head)?;
        let options = accept_with(head)?;
        JobOptions::read(&options)?;
        expect(head, &["AS"])?;
        let body = parse_body(parser)?;
        expect_end(&parser.parser, &[])?;
        Ok(Self { or_replace, if_not_exists, name, schedule, options, body })
    }
}

/// Refuses names that a page, a line of output or a message would lose: browsers take `.` and `..` for folders, however they are
/// written.
fn check_name(name: &str) -> Result<(), JobError> {
    let reason = match name {
        "." | ".." => "in the address of its page it would be a folder",
        _ if name.chars().any(char::is_control) => "it has control characters",
        _ if name.trim().is_empty() => "it is blank",
        _ if name.len() > LONGEST_NAME => "it is too long",
        _ => return Ok(()),
    };
    Err(JobError::Name { name: name.to_owned(), reason })
}

/// Writes `AS` and the body.
pub(crate) fn write_body(f: &mut fmt::Formatter<'_>, body: &[String]) -> fmt::Result {
    match body {
        [statement] => write!(f, " AS {statement}"),
        _ => write!(f, " AS BEGIN {}; END", body.join("; ")),
    }
}

/// Refuses a schedule that leads back to the job, or to a job that is not there.
///
/// # Errors
/// [`JobError::Cycle`], or an unknown job.
pub(crate) fn check_upstream(ledger: &JobLedger<'_>, name: &str, schedule: &Schedule) -> Result<()> {
    let Schedule::After(upstream) = schedule else { return Ok(()) };
    let (mut path, mut next) = (vec![name.to_owned()], Some(upstream.clone()));
    while let Some(job) = next {
        path.push(job.clone());
        if job == name {
            return Err(JobError::Cycle { name: job, path: path.join(" after ") }.into());
        }
        next = ledger.job(&job)?.upstream;
    }
    Ok(())
}

/// Returns the job that a schedule comes after.
pub(crate) fn upstream(schedule: &Schedule) -> Option<String> {
    match schedule {
        Schedule::After(job) => Some(job.clone()),
        _ => None,
    }
}

/// Returns a body as the catalog keeps it.
pub(crate) fn body_json(body: &[String]) -> Result<String> {
    serde_json::to_string(body).map_err(|error| StatementError::Internal(error.to_string()))
}

/// Returns the body that the catalog keeps as this text.
pub(crate) fn body_of_json(json: &str) -> Result<Vec<String>> {
    serde_json::from_str(json).map_err(|error| StatementError::Internal(error.to_string()))
}

impl fmt::Display for CreateJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_replace = if self.or_replace { " OR REPLACE" } else { "" };
        let if_not_exists = if self.if_not_exists { " IF NOT EXISTS" } else { "" };
        let name = quote_identifier(&self.name);
        write!(f, "CREATE{or_replace} JOB{if_not_exists} {name} SCHEDULE {}", schedule_text(&self.schedule))?;
        write_with(f, &self.options)?;
        write_body(f, &self.body)
    }
}

impl Execute for CreateJob {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }

    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        let catalog = context.store.catalog();
        let taken = catalog.read_jobs(|ledger| ledger.find(&self.name))?.is_some();
        if taken && self.if_not_exists {
            context.watch.note(&format!("there is a job {} already; nothing was done", self.name));
            return done(context);
        }
        let body = absolute_body(context, &self.body)?;
        check_body(context, &body).await?;
        catalog.change_jobs::<_, StatementError>(|ledger| {
            check_upstream(ledger, &self.name, &self.schedule)?;
            let before = ledger.find(&self.name)?;
            if before.is_some() && !self.or_replace {
                return Err(CatalogError::JobExists { name: self.name.clone() }.into());
            }
            let now = now();
            let mut job = match &before {
                Some(before) => job_of(before, &ledger.open_runs(&self.name)?)?,
                None => Job::new(self.schedule.clone(), JobOptions::default().policy, now),
            };
            job.reschedule(self.schedule.clone(), now);
            job.policy = JobOptions::policy_of(&self.options, &self.schedule)?;
            job.failures = 0;
            if job.status == Status::Suspended {
                job.status = Status::Active;
            }
            let mut record = JobRecord {
                name: self.name.clone(),
                statement: context.sql.clone(),
                schedule: schedule_text(&self.schedule),
                upstream: upstream(&self.schedule),
                options: options_text(&self.options),
                body: body_json(&body)?,
                created_at: before.map_or(now.timestamp_micros(), |before| before.created_at),
                updated_at: now.timestamp_micros(),
                ..JobRecord::default()
            };
            record_job(&mut record, &job);
            Ok(ledger.put(&record)?)
        })?;
        note_daemon(context)?;
        done(context)
    }
}

/// Says so where nobody will run the jobs of the store.
pub(crate) fn note_daemon(context: &StatementContext) -> Result<()> {
    if !context.store.catalog().jobs_have_a_daemon()? {
        context.watch.note("no daemon is at work on this store: nightjar serve runs its jobs, nightjar jobs run-due those that are due");
    }
    Ok(())
}
