//! `CREATE JOB`.

use crate::error::Result;
use crate::job::body::parse_body;
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
fn check_name(name: &str) -> Result<(), JobClauseError> {
    let reason = match name {
        "." | ".." => "in the address of its page it would be a folder",
        _ if name.chars().any(char::is_control) => "it has control characters",
        _ if name.trim().is_empty() => "it is blank",
        _ if name.len() > LONGEST_NAME => "it is too long",
        _ => return Ok(()),
    };
    Err(JobClauseError::Name { name: name.to_owned(), reason })
}

/// Writes `AS` and the body.
pub(crate) fn write_body(f: &mut fmt::Formatter<'_>, body: &[String]) -> fmt::Result {
    match body {
        [statement] => write!(f, " AS {statement}"),
        _ => write!(f, " AS BEGIN {}; END", body.join("; ")),
    }
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

impl Statement for CreateJob {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }
}
