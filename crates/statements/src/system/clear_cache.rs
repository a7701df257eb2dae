//! `CLEAR CACHE`.

use crate::StatementContext;
use crate::context::done;
use crate::error::Result;
use crate::execute::Execute;
use datafusion::prelude::DataFrame;
use nightjar_sql::ClearCache;

impl Execute for ClearCache {
    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        context.store.files().clear_cache()?;
        done(context)
    }
}
