//! `SHOW LOG OF RUN`.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array};
use datafusion::error::DataFusionError;
use datafusion::prelude::DataFrame;
use datafusion::sql::parser::DFParser;

use crate::StatementContext;
use crate::cancel_run::parse_run;
use crate::error::Result;
use crate::grammar::{at, expect, expect_end};
use crate::statement::{Execute, StatementKind};

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

impl Execute for ShowLog {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }

    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        let lines = context.store.catalog().read_jobs(|ledger| {
            ledger.run(self.run)?;
            ledger.lines(self.run)
        })?;
        let at = lines.iter().map(|line| Some(line.at)).collect::<TimestampMicrosecondArray>();
        let columns: [(&str, ArrayRef); 3] = [
            ("at", Arc::new(at.with_timezone("UTC"))),
            ("attempt", Arc::new(lines.iter().map(|line| Some(line.attempt)).collect::<UInt32Array>())),
            ("line", Arc::new(lines.iter().map(|line| Some(&line.line)).collect::<StringArray>())),
        ];
        let rows = RecordBatch::try_from_iter(columns).map_err(DataFusionError::from)?;
        Ok(context.session.read_batch(rows)?)
    }
}
