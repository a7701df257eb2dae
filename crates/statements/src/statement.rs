//! What every statement of ours is: a syntax tree that prints itself, and its documentation.

use std::any::Any;
use std::fmt::{Debug, Display};

use datafusion::prelude::DataFrame;
use datafusion::sql::parser::DFParser;
use datafusion::sql::sqlparser::parser::Parser;
use futures::future::BoxFuture;

use crate::dependents::Uses;
use crate::error::Result;
use crate::{Chart, StatementContext};

/// What a kind of statement does. Implement this; what is passed around is a [`Statement`].
///
/// Its `Display` is SQL that parses back to the same statement.
///
/// The futures are `async fn`s of the implementations, not those of `async_trait`: that macro gives each of them bounds on lifetimes, under which
/// the compiler proves anew for every statement that DataFusion's recursive plan types are `Send`. It took four minutes.
pub trait Execute: Any + Display + Debug + Send + Sync {
    /// The entry of [`crate::STATEMENTS`] that this statement is of.
    fn kind(&self) -> &'static StatementKind;

    /// Runs the statement and returns its rows; it is done when this returns.
    fn run(&self, context: &StatementContext) -> impl Future<Output = Result<DataFrame>> + Send;

    /// Checks that the statement could run now, as far as can be told without running it: for jobs, which run when nobody is there.
    ///
    /// # Errors
    /// Why it could not.
    fn check(&self, _context: &StatementContext) -> impl Future<Output = Result<()>> + Send {
        std::future::ready(Ok(()))
    }

    /// Returns what the statement needs and makes, by name; most need nothing that could be dropped.
    fn uses(&self) -> Uses {
        Uses::default()
    }

    /// Returns what may be drawn under the rows where somebody looks at them; most statements have nothing to draw.
    fn chart(&self, _context: &StatementContext) -> Result<Option<Chart>> {
        Ok(None)
    }
}

/// A statement of ours, whatever its kind: [`Execute`] in a form that has objects.
pub trait Statement: Any + Display + Debug + Send + Sync {
    /// See [`Execute::kind`].
    fn kind(&self) -> &'static StatementKind;

    /// See [`Execute::run`].
    fn run<'a>(&'a self, context: &'a StatementContext) -> BoxFuture<'a, Result<DataFrame>>;

    /// See [`Execute::check`].
    fn check<'a>(&'a self, context: &'a StatementContext) -> BoxFuture<'a, Result<()>>;

    /// See [`Execute::uses`].
    fn uses(&self) -> Uses;

    /// See [`Execute::chart`].
    fn chart(&self, context: &StatementContext) -> Result<Option<Chart>>;
}

impl<S: Execute> Statement for S {
    fn kind(&self) -> &'static StatementKind {
        Execute::kind(self)
    }

    fn run<'a>(&'a self, context: &'a StatementContext) -> BoxFuture<'a, Result<DataFrame>> {
        Box::pin(Execute::run(self, context))
    }

    fn check<'a>(&'a self, context: &'a StatementContext) -> BoxFuture<'a, Result<()>> {
        Box::pin(Execute::check(self, context))
    }

    fn uses(&self) -> Uses {
        Execute::uses(self)
    }

    fn chart(&self, context: &StatementContext) -> Result<Option<Chart>> {
        Execute::chart(self, context)
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
