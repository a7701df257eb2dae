//! `SHOW LOG OF RUN`.

use crate::error::Result;
use crate::job::cancel_run::parse_run;
use crate::parse::grammar::{at, expect, expect_end};
use crate::statement::{Statement, StatementKind};
use datafusion_sql::parser::DFParser;
use std::fmt;

pub(crate) static KIND: StatementKind = StatementKind {
    name: "SHOW LOG",
    syntax: "SHOW LOG OF RUN number",
    summary: "Shows the log of a run of a job: what each attempt began, noted, warned of and failed with.",
    example: "SHOW LOG OF RUN 42",
    starts: |parser| at(parser, &["SHOW", "LOG", "OF"]),
    parse: |parser| Ok(Box::new(ShowLog::parse(parser)?)),
};

/// Shows the log of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct ShowLog {
    /// The run's number.
    pub run: i64,
}

impl ShowLog {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        let parser = &mut parser.parser;
        expect(parser, &["SHOW", "LOG", "OF", "RUN"])?;
        let run = parse_run(parser)?;
        expect_end(parser, &[])?;
        Ok(Self { run })
    }
}

impl fmt::Display for ShowLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHOW LOG OF RUN {}", self.run)
    }
}

impl Statement for ShowLog {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }
}
