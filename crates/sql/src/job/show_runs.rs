//! `SHOW RUNS`.

use crate::error::Result;
use crate::parse::grammar::{accept, at, expect, expect_end};
use crate::parse::names::{parse_identifier, quote_identifier};
use crate::statement::{Statement, StatementKind};
use datafusion_sql::parser::DFParser;
use datafusion_sql::sqlparser::tokenizer::Token;
use std::fmt;

pub(crate) static KIND: StatementKind = StatementKind {
    name: "SHOW RUNS",
    syntax: "SHOW RUNS [OF name]",
    summary: "Lists the newest thousand runs of a job, or of all jobs, the newest first. The rows are of the table `nightjar.job_runs`; \
        `nightjar.job_run_statements` has what each statement did, `nightjar.job_skips` the times that got no run.",
    example: "SHOW RUNS OF nightly",
    starts: |parser| at(parser, &["SHOW", "RUNS"]) && parser.peek_nth_token_ref(2).token != Token::Period,
    parse: |parser| Ok(Box::new(ShowRuns::parse(parser)?)),
};

/// Lists runs of jobs.
#[derive(Debug, Clone, PartialEq)]
pub struct ShowRuns {
    /// The job; of all jobs without one.
    pub job: Option<String>,
}

impl ShowRuns {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        let parser = &mut parser.parser;
        expect(parser, &["SHOW", "RUNS"])?;
        let job = match accept(parser, &["OF"]) {
            true => Some(parse_identifier(parser, "a job's name")?),
            false => None,
        };
        expect_end(parser, &["OF"])?;
        Ok(Self { job })
    }
}

impl fmt::Display for ShowRuns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SHOW RUNS")?;
        self.job.iter().try_for_each(|job| write!(f, " OF {}", quote_identifier(job)))
    }
}

impl Statement for ShowRuns {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }
}
