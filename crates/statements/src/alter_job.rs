//! `ALTER JOB`.

use std::fmt;

use datafusion::prelude::DataFrame;
use datafusion::sql::parser::DFParser;
use datafusion::sql::sqlparser::ast::Value;
use nightjar_jobs::Schedule;

use crate::StatementContext;
use crate::clock::now;
use crate::context::done;
use crate::create_job::{CreateJob, body_json, body_of_json, check_upstream, upstream, write_body};
use crate::error::{Result, StatementError};
use crate::grammar::{accept, at, expect, expect_end};
use crate::job_body::{absolute_body, check_body, parse_body};
use crate::job_error::JobError;
use crate::job_ledger::{job_of, record_job};
use crate::job_options::{JobOptions, options_of_text, options_text};
use crate::job_schedule::{parse_schedule, schedule_text};
use crate::names::{parse_identifier, quote_identifier};
use crate::statement::{Execute, StatementKind};
use crate::with_clause::{accept_with, write_with};

pub(crate) static KIND: StatementKind = StatementKind {
    name: "ALTER JOB",
    syntax: "ALTER JOB name
    [SCHEDULE { CRON 'expression' [AT TIME ZONE 'zone'] | EVERY INTERVAL 'length' | AFTER JOB other }]
    [WITH (option = value, …)]
    [AS { statement | BEGIN statement; … END }]",
    summary: "Changes a job: its schedule from now on, single options (the others stay), or its body. A run at work ends with the body it began with.",
    example: "ALTER JOB nightly SCHEDULE CRON '30 1 * * *' AT TIME ZONE 'Europe/Paris' WITH (retries = 5)",
    starts: |parser| at(parser, &["ALTER", "JOB"]),
    parse: |parser| Ok(Box::new(AlterJob::parse(parser)?)),
};

/// Changes a job.
#[derive(Debug, Clone, PartialEq)]
pub struct AlterJob {
    /// The job.
    pub name: String,
    /// Its new schedule.
    pub schedule: Option<Schedule>,
    /// The options that change.
    pub options: Vec<(String, Value)>,
    /// The statements of its new body, as written; none for the old one.
    pub body: Vec<String>,
}

impl AlterJob {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit; a schedule or an option that can't be.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        let head = &mut parser.parser;
        expect(head, &["ALTER", "JOB"])?;
        let name = parse_identifier(head, "a job's name")?;
        let schedule = match accept(head, &["SCHEDULE"]) {
            true => Some(parse_schedule(head)?),
            false => None,
        };
        let options = accept_with(head)?;
        JobOptions::read(&options)?;
        let body = if accept(head, &["AS"]) { parse_body(parser)? } else { Vec::new() };
        expect_end(&parser.parser, &["SCHEDULE", "WITH", "AS"])?;
        if schedule.is_none() && options.is_empty() && body.is_empty() {
            return Err(JobError::NothingToChange { name }.into());
        }
        Ok(Self { name, schedule, options, body })
    }
}

impl fmt::Display for AlterJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ALTER JOB {}", quote_identifier(&self.name))?;
        if let Some(schedule) = &self.schedule {
            write!(f, " SCHEDULE {}", schedule_text(schedule))?;
        }
        write_with(f, &self.options)?;
        if self.body.is_empty() { Ok(()) } else { write_body(f, &self.body) }
    }
}

impl Execute for AlterJob {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }

    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        let catalog = context.store.catalog();
        catalog.read_jobs(|ledger| ledger.job(&self.name))?;
        let body = match self.body.is_empty() {
            true => None,
            false => Some(absolute_body(context, &self.body)?),
        };
        if let Some(body) = &body {
            check_body(context, body).await?;
        }
        catalog.change_jobs::<_, StatementError>(|ledger| {
            let mut record = ledger.job(&self.name)?;
            let now = now();
            let mut options = options_of_text(&record.options)?;
            options.retain(|(name, _)| !self.options.iter().any(|(changed, _)| changed == name));
            options.extend(self.options.iter().cloned());
            record.options = options_text(&options);
            let mut job = job_of(&record, &ledger.open_runs(&self.name)?)?;
            if let Some(schedule) = &self.schedule {
                check_upstream(ledger, &self.name, schedule)?;
                record.schedule = schedule_text(schedule);
                record.upstream = upstream(schedule);
                job.reschedule(schedule.clone(), now);
            }
            if let Some(body) = &body {
                record.body = body_json(body)?;
            }
            // What would make the job as it is now.
            record.statement = CreateJob {
                or_replace: false,
                if_not_exists: false,
                name: self.name.clone(),
                schedule: job.schedule.clone(),
                options,
                body: body_of_json(&record.body)?,
            }
            .to_string();
            record.updated_at = now.timestamp_micros();
            record_job(&mut record, &job);
            Ok(ledger.put(&record)?)
        })?;
        done(context)
    }
}
