//! A version of one model that becomes a version of another.

use crate::catalog::Catalog;
use crate::error::{CatalogError, Result};
use crate::models::{ModelVersion, add_version, find, model_task, unreadable};
use nightjar_names::{ModelName, ModelReference, VersionNumber};

impl Catalog {
    /// Makes what a version holds the next version of the model `to`, and the current one: the same artifact and card, and the
    /// training run that made it. Makes the model where it was not there.
    ///
    /// `than` is the version of `to` that was current when this was decided, `None` if there was no such model: where that no longer
    /// holds, nothing is done. Errors: [`CatalogError::PromotedMeanwhile`] for that; unknown names and versions; a model of another
    /// task.
    pub fn promote(
        &self,
        from: &ModelReference,
        to: &str,
        than: Option<VersionNumber>,
    ) -> Result<ModelVersion> {
        let to: ModelName = to.parse()?;
        let to = to.as_str();
        self.write("promote a model", |tx| {
            let version = find(tx, from)?;
            let current = match model_task(tx, to)? {
                Some(_) => Some(find(tx, &ModelReference::current(to))?),
                None => None,
            };
            if current.as_ref().map(|current| current.version) != than {
                return Err(CatalogError::PromotedMeanwhile { name: to.into() }.into());
            }
            let task = version.card.task;
            if let Some(current) = current.filter(|current| current.card.task != task) {
                let (expected, found) = (current.card.task, task);
                return Err(CatalogError::OtherTask { name: to.into(), expected, found }.into());
            }
            let card = serde_json::to_string(&version.card)
                .map_err(|error| unreadable("card", &version.name, &error))?;
            let run = version.run.map(|run| run.0 as i64);
            add_version(tx, to, task.as_str(), &version.digest.to_string(), &card, run)?;
            find(tx, &ModelReference::current(to))
        })
    }
}
