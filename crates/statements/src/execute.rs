//! What every statement of ours does.

use datafusion::prelude::DataFrame;
use futures::future::BoxFuture;
use nightjar_sql::Statement;

use crate::error::Result;
use crate::{Chart, StatementContext};

/// What a kind of statement does. Implement this and add a line to `EXECUTORS`; what is passed around is an [`Executable`].
///
/// The futures are `async fn`s of the implementations, not those of `async_trait`: that macro gives each of them bounds on lifetimes, under which
/// the compiler proves anew for every statement that DataFusion's recursive plan types are `Send`. It took four minutes.
pub trait Execute: Statement {
    /// Runs the statement and returns its rows; it is done when this returns.
    fn run(&self, context: &StatementContext) -> impl Future<Output = Result<DataFrame>> + Send;

    /// Checks that the statement could run now, as far as can be told without running it: for jobs, which run when nobody is there.
    ///
    /// # Errors
    /// Why it could not.
    fn check(&self, _context: &StatementContext) -> impl Future<Output = Result<()>> + Send {
        std::future::ready(Ok(()))
    }

    /// Returns what may be drawn under the rows where somebody looks at them; most statements have nothing to draw.
    fn chart(&self, _context: &StatementContext) -> Result<Option<Chart>> {
        Ok(None)
    }
}

/// A statement of ours that runs, whatever its kind: [`Execute`] in a form that has objects.
pub trait Executable: Send + Sync {
    /// See [`Execute::run`].
    fn run<'a>(&'a self, context: &'a StatementContext) -> BoxFuture<'a, Result<DataFrame>>;

    /// See [`Execute::check`].
    fn check<'a>(&'a self, context: &'a StatementContext) -> BoxFuture<'a, Result<()>>;

    /// See [`Execute::chart`].
    fn chart(&self, context: &StatementContext) -> Result<Option<Chart>>;
}

impl<S: Execute> Executable for S {
    fn run<'a>(&'a self, context: &'a StatementContext) -> BoxFuture<'a, Result<DataFrame>> {
        Box::pin(Execute::run(self, context))
    }

    fn check<'a>(&'a self, context: &'a StatementContext) -> BoxFuture<'a, Result<()>> {
        Box::pin(Execute::check(self, context))
    }

    fn chart(&self, context: &StatementContext) -> Result<Option<Chart>> {
        Execute::chart(self, context)
    }
}
