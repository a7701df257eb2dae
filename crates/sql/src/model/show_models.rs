//! `SHOW MODELS`.

use crate::error::Result;
use crate::parse::grammar::{at, expect, expect_end};
use crate::statement::{Statement, StatementKind};
use datafusion_sql::parser::DFParser;
use datafusion_sql::sqlparser::tokenizer::Token;
use std::fmt;

pub(crate) static KIND: StatementKind = StatementKind {
    name: "SHOW MODELS",
    syntax: "SHOW MODELS",
    summary: "Lists the models of the catalog. The rows are those of the table `nightjar.models`.",
    example: "SHOW MODELS",
    // `SHOW models.x` is a setting of DataFusion's.
    starts: |parser| at(parser, &["SHOW", "MODELS"]) && parser.peek_nth_token_ref(2).token != Token::Period,
    parse: |parser| Ok(Box::new(ShowModels::parse(parser)?)),
};

/// Lists the models.
#[derive(Debug, Clone, PartialEq)]
pub struct ShowModels;

impl ShowModels {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        expect(&mut parser.parser, &["SHOW", "MODELS"])?;
        expect_end(&parser.parser, &[])?;
        Ok(ShowModels)
    }
}

impl fmt::Display for ShowModels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SHOW MODELS")
    }
}

impl Statement for ShowModels {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }
}
