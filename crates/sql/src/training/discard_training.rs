//! `DISCARD TRAINING OF`.

use crate::error::Result;
use crate::parse::grammar::{at, expect, expect_end};
use crate::parse::names::{parse_model_name, quote_identifier};
use crate::statement::{Statement, StatementKind};
use datafusion_sql::parser::DFParser;
use std::fmt;

pub(crate) static KIND: StatementKind = StatementKind {
    name: "DISCARD TRAINING",
    syntax: "DISCARD TRAINING OF name",
    summary: "Gives up the trainings of a model that wait to be resumed: their files are removed, and \
        `nightjar.training_runs` shows them as failed. Versions, and trainings at work, stay as they are.",
    example: "DISCARD TRAINING OF sentiment",
    starts: |parser| at(parser, &["DISCARD", "TRAINING"]),
    parse: |parser| Ok(Box::new(DiscardTraining::parse(parser)?)),
};

/// Gives up a model's resumable trainings.
#[derive(Debug, Clone, PartialEq)]
pub struct DiscardTraining {
    /// The model's name.
    pub model: String,
}

impl DiscardTraining {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        let parser = &mut parser.parser;
        expect(parser, &["DISCARD", "TRAINING", "OF"])?;
        let model = parse_model_name(parser)?;
        expect_end(parser, &[])?;
        Ok(DiscardTraining { model })
    }
}

impl fmt::Display for DiscardTraining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DISCARD TRAINING OF {}", quote_identifier(&self.model))
    }
}

impl Statement for DiscardTraining {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }
}
