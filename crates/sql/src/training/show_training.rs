//! `SHOW TRAINING OF`.

use crate::error::Result;
use crate::parse::grammar::{at, expect, expect_end};
use crate::parse::names::{parse_model_name, quote_identifier};
use crate::statement::{Statement, StatementKind};
use datafusion_sql::parser::DFParser;
use datafusion_sql::sqlparser::tokenizer::Token;
use std::fmt;

pub(crate) static KIND: StatementKind = StatementKind {
    name: "SHOW TRAINING",
    syntax: "SHOW TRAINING OF name",
    summary: "Lists the training runs of a model: a row per run and epoch, with where the run stands and a column for \
        each metric that any of the runs has. On a terminal the losses of the newest run are drawn below. All metrics, \
        those of every step too, are in `nightjar.training_metrics`, the runs with their statements in \
        `nightjar.training_runs`, what the checks of the rows found in `nightjar.training_warnings`.",
    example: "SHOW TRAINING OF sentiment",
    // `SHOW training.x` is a setting of DataFusion's.
    starts: |parser| at(parser, &["SHOW", "TRAINING"]) && parser.peek_nth_token_ref(2).token != Token::Period,
    parse: |parser| Ok(Box::new(ShowTraining::parse(parser)?)),
};

/// Lists the training runs of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ShowTraining {
    /// The model's name.
    pub model: String,
}

impl ShowTraining {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        let parser = &mut parser.parser;
        expect(parser, &["SHOW", "TRAINING", "OF"])?;
        let model = parse_model_name(parser)?;
        expect_end(parser, &[])?;
        Ok(ShowTraining { model })
    }
}

impl fmt::Display for ShowTraining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHOW TRAINING OF {}", quote_identifier(&self.model))
    }
}

impl Statement for ShowTraining {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }
}
