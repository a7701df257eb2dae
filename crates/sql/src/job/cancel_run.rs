//! `CANCEL RUN`.

use crate::error::Result;
use crate::parse::grammar::{at, expect, expect_end, unexpected};
use crate::statement::{Statement, StatementKind};
use datafusion_sql::parser::DFParser;
use datafusion_sql::sqlparser::parser::Parser;
use datafusion_sql::sqlparser::tokenizer::Token;
use std::fmt;

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

impl Statement for CancelRun {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }
}
