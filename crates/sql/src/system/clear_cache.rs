//! `CLEAR CACHE`.

use crate::error::Result;
use crate::parse::grammar::{at, expect, expect_end};
use crate::statement::{Statement, StatementKind};
use datafusion_sql::parser::DFParser;
use std::fmt;

pub(crate) static KIND: StatementKind = StatementKind {
    name: "CLEAR CACHE",
    syntax: "CLEAR CACHE",
    summary: "Removes all of the inference cache. Results stay the same; what is asked for again is computed again.",
    example: "CLEAR CACHE",
    starts: |parser| at(parser, &["CLEAR", "CACHE"]),
    parse: |parser| Ok(Box::new(ClearCache::parse(parser)?)),
};

/// Removes all of the inference cache.
#[derive(Debug, Clone, PartialEq)]
pub struct ClearCache;

impl ClearCache {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        expect(&mut parser.parser, &["CLEAR", "CACHE"])?;
        expect_end(&parser.parser, &[])?;
        Ok(Self)
    }
}

impl fmt::Display for ClearCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CLEAR CACHE")
    }
}

impl Statement for ClearCache {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }
}
