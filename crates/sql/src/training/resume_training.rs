//! `RESUME TRAINING OF`.

use crate::error::Result;
use crate::parse::grammar::{at, expect, expect_end};
use crate::parse::names::{parse_model_name, quote_identifier};
use crate::statement::{Statement, StatementKind};
use datafusion_sql::parser::DFParser;
use std::fmt;

pub(crate) static KIND: StatementKind = StatementKind {
    name: "RESUME TRAINING",
    syntax: "RESUME TRAINING OF name",
    summary: "Goes on with the newest training of a model that was interrupted or cancelled and can be resumed: runs \
        the statement that began it again, which goes on from the last state in the run's folder and ends with the \
        model that an undisturbed training would have made. Returns what that statement returns. \
        `nightjar.training_runs` has the status `resumable` for such runs.",
    example: "RESUME TRAINING OF sentiment",
    starts: |parser| at(parser, &["RESUME", "TRAINING"]),
    parse: |parser| Ok(Box::new(ResumeTraining::parse(parser)?)),
};

/// Goes on with a model's training.
#[derive(Debug, Clone, PartialEq)]
pub struct ResumeTraining {
    /// The model's name.
    pub model: String,
}

impl ResumeTraining {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        let parser = &mut parser.parser;
        expect(parser, &["RESUME", "TRAINING", "OF"])?;
        let model = parse_model_name(parser)?;
        expect_end(parser, &[])?;
        Ok(ResumeTraining { model })
    }
}

impl fmt::Display for ResumeTraining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RESUME TRAINING OF {}", quote_identifier(&self.model))
    }
}

impl Statement for ResumeTraining {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }
}
