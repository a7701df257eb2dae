//! `CREATE MODEL`.

use crate::StatementContext;
use crate::base_model::{BaseModel, find_base, measure};
use crate::context::done;
use crate::error::{Result, StatementError};
use crate::execute::Execute;
use crate::training::Training;
use crate::training_rows::TrainingRows;
use datafusion::prelude::DataFrame;
use nightjar_catalog::{CatalogError, ModelCard, NewModel, OnConflict};
use nightjar_names::ModelReference;
use nightjar_sql::{CreateModel, OptionValues};

impl Execute for CreateModel {
    async fn check(&self, context: &StatementContext) -> Result<()> {
        let options = OptionValues::parse(&self.options)?;
        let Some(fine_tune) = &self.fine_tune else { return Ok(()) };
        // One that is still to be fetched can't say what fits it.
        let Ok(base) = find_base(context, self.base.as_deref(), false).await else {
            return context.rows(&fine_tune.data).await.map(drop);
        };
        let on_conflict = OnConflict::Fail;
        let training = Training { name: &self.name, base, fine_tune, options, on_conflict, keeps: None };
        training.check()?;
        training.roles(context).await.map(drop)
    }

    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        let catalog = context.store.catalog();
        let existing = catalog.model_version(&ModelReference::current(&self.name));
        // Refused before hours of work and not after; the commit checks again, for two at once.
        if let (Ok(existing), false) = (&existing, self.or_replace) {
            if !self.if_not_exists {
                return Err(CatalogError::ModelExists { name: self.name.clone() }.into());
            }
            context.watch.note(&format!("model {} exists already; nothing was done", existing.name));
            return done(context);
        }
        let options = OptionValues::parse(&self.options)?;
        let on_conflict = match (self.or_replace, self.if_not_exists) {
            (true, _) => OnConflict::Replace,
            (_, true) => OnConflict::Ignore,
            _ => OnConflict::Fail,
        };
        let base = find_base(context, self.base.as_deref(), true).await?;
        let Some(fine_tune) = &self.fine_tune else {
            return keep_base(self, context, base, on_conflict).await;
        };
        let training = Training { name: &self.name, base, fine_tune, options, on_conflict, keeps: None };
        training.run(context).await
    }
}

/// Makes a version that is its base, untrained: another name for it, with a history of its own.
async fn keep_base(
    statement: &CreateModel,
    context: &StatementContext,
    base: BaseModel,
    on_conflict: OnConflict,
) -> Result<DataFrame> {
    if let Some((option, _)) = statement.options.first() {
        return Err(StatementError::OptionWithoutTraining { option: option.clone() });
    }
    let card = measure(context, base.card).await?;
    let card = ModelCard { base: Some(base.name), ..card };
    let new = NewModel { name: statement.name.clone(), card, digest: base.pinned.digest, run: None };
    let created = context.store.catalog().create_model(&new, on_conflict)?;
    context.watch.conclude(&TrainingRows::conclusion(&created, None, 0));
    Ok(context.session.read_batch(TrainingRows::untrained(&created)?)?)
}
