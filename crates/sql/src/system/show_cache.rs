//! `SHOW CACHE`.

use crate::error::Result;
use crate::parse::grammar::{at, expect, expect_end};
use crate::statement::{Statement, StatementKind};
use datafusion_sql::parser::DFParser;
use std::fmt;

pub(crate) static KIND: StatementKind = StatementKind {
    name: "SHOW CACHE",
    syntax: "SHOW CACHE",
    summary: "Lists what the inference cache has, a row for each body, precision and instruction set: how many texts, how many bytes, when it was last of use. The rows are those of the table `nightjar.cache`.",
    example: "SHOW CACHE",
    starts: |parser| at(parser, &["SHOW", "CACHE"]),
    parse: |parser| Ok(Box::new(ShowCache::parse(parser)?)),
};

/// Lists what the inference cache has.
#[derive(Debug, Clone, PartialEq)]
pub struct ShowCache;

impl ShowCache {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        expect(&mut parser.parser, &["SHOW", "CACHE"])?;
        expect_end(&parser.parser, &[])?;
        Ok(Self)
    }
}

impl fmt::Display for ShowCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SHOW CACHE")
    }
}

impl Statement for ShowCache {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }
}
