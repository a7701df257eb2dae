//! `CANCEL RUN`.

use std::fmt;

use datafusion::prelude::DataFrame;
use datafusion::sql::parser::DFParser;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;
use nightjar_jobs::Event;

use crate::StatementContext;
use crate::clock::now;
use crate::context::done;
use crate::error::{Result, StatementError};
use crate::grammar::{at, expect, expect_end, unexpected};
use crate::job_error::JobError;
use crate::job_ledger::decide;
use crate::statement::{Execute, StatementKind};

pub(crate) static KIND: StatementKind = StatementKind {
    name: "CANCEL RUN",
    syntax: "CANCEL RUN number",
    summary: "Cancels a run of a job: one that waits does not start, one at work is stopped and publishes nothing more.",
    example: "CANCEL RUN 42",
    starts: |parser| at(parser, &["CANCEL", "RUN"]),
    parse: |parser| Ok(Box::new(CancelRun::parse(parser)?)),
};

/// Cancels a run of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct CancelRun {
    /// The run's number.
    pub run: i64,
}

impl CancelRun {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        let parser = &mut parser.parser;
        expect(parser, &["CANCEL", "RUN"])?;
        let run = parse_run(parser)?;
        expect_end(parser, &[])?;
        Ok(Self { run })
    }
}

/// Reads a run's number.
pub(crate) fn parse_run(parser: &mut Parser<'_>) -> Result<i64> {
    let number = match parser.peek_token().token {
        Token::Number(digits, _) => digits.parse().ok(),
        _ => None,
    };
    match number {
        Some(number) => {
            parser.advance_token();
            Ok(number)
        }
        None => Err(unexpected(parser, &["the number of a run"])),
    }
}

impl fmt::Display for CancelRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CANCEL RUN {}", self.run)
    }
}

impl Execute for CancelRun {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }

    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        context.store.catalog().change_jobs::<_, StatementError>(|ledger| {
            let run = ledger.run(self.run)?;
            if run.finished_at.is_some() {
                return Err(JobError::RunEnded { run: self.run, job: run.job, status: run.status }.into());
            }
            decide(ledger, &run.job, Event::Cancel { run: self.run }, now())?;
            let told = ledger.run(self.run)?;
            if told.status == "stopping" && told.fence.is_none() {
                // There is nobody at it who could stop.
                decide(ledger, &run.job, Event::Ended { run: self.run, succeeded: false }, now())?;
            }
            Ok(())
        })?;
        done(context)
    }
}
