//! `ALTER MODEL`.

use crate::StatementContext;
use crate::base_model::find_base;
use crate::context::done;
use crate::error::Result;
use crate::execute::Execute;
use crate::training::Training;
use datafusion::prelude::DataFrame;
use nightjar_catalog::OnConflict;
use nightjar_sql::{AlterAction, AlterModel, OptionValues};

impl Execute for AlterModel {
    async fn check(&self, context: &StatementContext) -> Result<()> {
        context.store.catalog().versions(self.name.as_str())?;
        match &self.action {
            AlterAction::FineTune { fine_tune, .. } => context.rows(&fine_tune.data).await.map(drop),
            _ => Ok(()),
        }
    }

    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        let catalog = context.store.catalog();
        match &self.action {
            AlterAction::FineTune { fine_tune, options } => {
                let base = find_base(context, Some(&self.name), false).await?;
                let options = OptionValues::parse(options)?;
                let on_conflict = OnConflict::Replace;
                let keeps = Some(base.card.task);
                let training = Training { name: &self.name, base, fine_tune, options, on_conflict, keeps };
                return training.run(context).await;
            }
            AlterAction::SetDefault => catalog.set_default(&self.name)?,
            AlterAction::SetVersion(version) => catalog.set_version(&self.name, *version)?,
            AlterAction::Rename(to) => catalog.rename_model(&self.name, to)?,
        }
        done(context)
    }
}
