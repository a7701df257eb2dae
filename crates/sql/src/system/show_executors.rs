//! `SHOW EXECUTORS`.

use crate::error::Result;
use crate::parse::grammar::{at, expect, expect_end};
use crate::statement::{Statement, StatementKind};
use datafusion_sql::parser::DFParser;
use datafusion_sql::sqlparser::tokenizer::Token;
use std::fmt;

pub(crate) static KIND: StatementKind = StatementKind {
    name: "SHOW EXECUTORS",
    syntax: "SHOW EXECUTORS",
    summary: "Lists who runs the statements: the executors of the cluster, or this process. The rows are those of the table \
              `nightjar.executors`.",
    example: "SHOW EXECUTORS",
    // `SHOW executors.x` is a setting of DataFusion's.
    starts: |parser| {
        at(parser, &["SHOW", "EXECUTORS"]) && parser.peek_nth_token_ref(2).token != Token::Period
    },
    parse: |parser| Ok(Box::new(ShowExecutors::parse(parser)?)),
};

/// Lists who runs the statements.
#[derive(Debug, Clone, PartialEq)]
pub struct ShowExecutors;

impl ShowExecutors {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        expect(&mut parser.parser, &["SHOW", "EXECUTORS"])?;
        expect_end(&parser.parser, &[])?;
        Ok(ShowExecutors)
    }
}

impl fmt::Display for ShowExecutors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SHOW EXECUTORS")
    }
}

impl Statement for ShowExecutors {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }
}
