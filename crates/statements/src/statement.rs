//! What every statement of ours is: a syntax tree that prints itself, and its documentation.

use std::any::Any;
use std::fmt::{Debug, Display};

use async_trait::async_trait;
use datafusion::prelude::DataFrame;
use datafusion::sql::parser::DFParser;
use datafusion::sql::sqlparser::parser::Parser;

use crate::error::Result;
use crate::{Chart, StatementContext};

/// A statement of ours.
///
/// Its `Display` is SQL that parses back to the same statement.
#[async_trait]
pub trait Statement: Any + Display + Debug + Send + Sync {
    /// The entry of [`crate::STATEMENTS`] that this statement is of.
    fn kind(&self) -> &'static StatementKind;

    /// Runs the statement and returns its rows; it is done when this returns.
    async fn run(&self, context: &StatementContext) -> Result<DataFrame>;

    /// Checks that the statement could run now, as far as can be told without running it: for jobs, which run when nobody is there.
    ///
    /// # Errors
    /// Why it could not.
    async fn check(&self, _context: &StatementContext) -> Result<()> {
        Ok(())
    }

    /// Returns what may be drawn under the rows where somebody looks at them; most statements have nothing to draw.
    fn chart(&self, _context: &StatementContext) -> Result<Option<Chart>> {
        Ok(None)
    }
}

impl dyn Statement {
    /// The statement as its own type, if it is of that type.
    pub fn downcast_ref<S: Statement>(&self) -> Option<&S> {
        (self as &dyn Any).downcast_ref()
    }
}

/// A kind of statement: its parser and its documentation, as data.
#[derive(Debug)]
pub struct StatementKind {
    /// The keywords it begins with, such as `CREATE MODEL`.
    pub name: &'static str,
    /// Its grammar: keywords in capitals, `[optional]`, `{ one | other }`.
    pub syntax: &'static str,
    /// What it does and what it returns, in one paragraph of Markdown.
    pub summary: &'static str,
    /// A complete statement.
    pub example: &'static str,
    /// Whether the next tokens begin this statement. It looks ahead, and reads nothing.
    pub starts: fn(&Parser<'_>) -> bool,
    /// Reads the statement, up to its end and without the semicolon.
    pub parse: fn(&mut DFParser<'_>) -> Result<Box<dyn Statement>>,
}
