//! `CLEAR CACHE`.

use std::fmt;

use datafusion::prelude::DataFrame;
use datafusion::sql::parser::DFParser;

use crate::StatementContext;
use crate::context::done;
use crate::error::Result;
use crate::grammar::{at, expect, expect_end};
use crate::statement::{Execute, StatementKind};

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

impl Execute for ClearCache {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }

    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        context.store.files().clear_cache()?;
        done(context)
    }
}
