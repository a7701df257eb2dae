//! `ALTER JOB`.

use crate::error::Result;
use crate::job::body::parse_body;
use crate::job::create_job::write_body;
use crate::job::error::JobClauseError;
use crate::job::options::JobOptions;
use crate::job::schedule::{parse_schedule, schedule_text};
use crate::parse::grammar::{accept, at, expect, expect_end};
use crate::parse::names::{parse_identifier, quote_identifier};
use crate::parse::with_clause::{accept_with, write_with};
use crate::statement::{Statement, StatementKind};
use datafusion_sql::parser::DFParser;
use datafusion_sql::sqlparser::ast::Value;
use nightjar_jobs::Schedule;
use std::fmt;

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
            return Err(JobClauseError::NothingToChange { name }.into());
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

impl Statement for AlterJob {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }
}
