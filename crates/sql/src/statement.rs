//! What every statement of ours is: a syntax tree that prints itself, and its documentation.

use std::any::Any;
use std::fmt::{Debug, Display};

use datafusion_sql::parser::DFParser;
use datafusion_sql::sqlparser::parser::Parser;

use crate::error::Result;
use crate::uses::Uses;

/// A statement of ours. Its `Display` is SQL that parses back to the same statement.
pub trait Statement: Any + Display + Debug + Send + Sync {
    /// The entry of [`crate::STATEMENTS`] that this statement is of.
    fn kind(&self) -> &'static StatementKind;

    /// Returns what the statement needs and makes, by name; most need nothing that could be dropped.
    fn uses(&self) -> Uses {
        Uses::default()
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
