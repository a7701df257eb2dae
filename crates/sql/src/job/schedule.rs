//! The clause `SCHEDULE` of jobs.

use datafusion_sql::parser::DFParserBuilder;
use datafusion_sql::sqlparser::parser::Parser;
use datafusion_sql::sqlparser::tokenizer::Token;
use nightjar_jobs::Schedule;

use crate::error::Result;
use crate::job::error::JobClauseError;
use crate::parse::grammar::{accept, unexpected};
use crate::parse::names::{parse_identifier, quote_identifier};

/// Reads what follows `SCHEDULE`.
pub(crate) fn parse_schedule(parser: &mut Parser<'_>) -> Result<Schedule> {
    if accept(parser, &["CRON"]) {
        let expression = parse_text(parser, "a cron expression in quotes")?;
        let zone = match accept(parser, &["AT", "TIME", "ZONE"]) {
            true => Some(parse_text(parser, "a time zone in quotes")?),
            false => None,
        };
        return Ok(Schedule::cron(&expression, zone.as_deref()).map_err(JobClauseError::from)?);
    }
    if accept(parser, &["EVERY", "INTERVAL"]) {
        let text = parse_text(parser, "an interval in quotes")?;
        return Ok(Schedule::Every(text.parse().map_err(JobClauseError::from)?));
    }
    if accept(parser, &["AFTER", "JOB"]) {
        return Ok(Schedule::After(parse_identifier(parser, "a job's name")?));
    }
    Err(unexpected(parser, &["CRON", "EVERY INTERVAL", "AFTER JOB"]))
}

fn parse_text(parser: &mut Parser<'_>, what: &str) -> Result<String> {
    match parser.peek_token().token {
        Token::SingleQuotedString(text) => {
            parser.advance_token();
            Ok(text)
        }
        _ => Err(unexpected(parser, &[what])),
    }
}

/// Returns the schedule as it stands in a statement.
pub fn schedule_text(schedule: &Schedule) -> String {
    match schedule {
        Schedule::After(job) => format!("AFTER JOB {}", quote_identifier(job)),
        other => other.to_string(),
    }
}

/// Returns the schedule that prints as this text.
pub fn schedule_of_text(text: &str) -> Result<Schedule> {
    let mut parser = DFParserBuilder::new(text).build()?;
    parse_schedule(&mut parser.parser)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_print_back() {
        for text in [
            "CRON '0 2 * * *' AT TIME ZONE 'Europe/Paris'",
            "CRON '@daily'",
            "EVERY INTERVAL '15 minutes'",
            "AFTER JOB nightly",
            "AFTER JOB \"My Job\"",
        ] {
            assert_eq!(schedule_text(&schedule_of_text(text).unwrap()), text);
        }
        for wrong in
            ["CRON '61 * * * *'", "CRON '0 2 * * *' AT TIME ZONE 'Paris'", "EVERY INTERVAL '0 s'", "DAILY"]
        {
            assert!(schedule_of_text(wrong).is_err(), "{wrong}");
        }
    }
}
