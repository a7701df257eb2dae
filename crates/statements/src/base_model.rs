//! What a model starts from: found in the catalog, or pulled into the store.

use std::sync::Arc;

use nightjar_catalog::{ModelCard, ModelVersion, NewModel, OnConflict, Pulled, Source};
use nightjar_functions::{PinnedModel, with_fidelity};
use nightjar_models::Precision;
use nightjar_names::ModelReference;

use crate::StatementContext;
use crate::error::{Result, StatementError};
use crate::training_error::TrainingError;
use crate::watch::WatchPull;

/// A base in the store.
#[derive(Debug, Clone)]
pub(crate) struct BaseModel {
    /// How plans name it.
    pub(crate) pinned: PinnedModel,
    /// What it is.
    pub(crate) card: ModelCard,
    /// How the card of a model made from it names it.
    pub(crate) name: String,
}

impl BaseModel {
    /// Returns a model of the catalog as a base.
    fn of(version: ModelVersion) -> Self {
        let name = version.reference().to_string();
        Self { pinned: PinnedModel::from(&version), card: version.card, name }
    }
}

/// Returns the base that `text` names, from the catalog or, when `pull`, from where people have models.
///
/// The order: a catalog model (`name` or `name@version`), a known name, `hf://org/repo[@revision]`, a path. With no
/// text it is the session's `nightjar.base_model`. A known model that is pulled is kept in the catalog under its
/// name, so that `embed()` finds it.
pub(crate) async fn find_base(
    context: &StatementContext,
    text: Option<&str>,
    pull: bool,
) -> Result<BaseModel> {
    let default = context.options().base_model;
    let text = text.unwrap_or(&default);
    if let Ok(reference) = text.parse::<ModelReference>() {
        let known = context.store.catalog().model_version(&reference);
        match known {
            Ok(version) => return Ok(BaseModel::of(version)),
            // A name that is written with a version can only be a catalog model.
            Err(error) if reference.version.is_some() => return Err(error.into()),
            Err(nightjar_catalog::CatalogError::ModelUnknown { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let source = Source::parse(text)?;
    if !pull && !matches!(source, Source::Directory(_)) {
        return Err(TrainingError::BaseMissing { base: text.to_owned() }.into());
    }
    let pulled = pull_base(context, source.clone()).await?;
    let card = ModelCard::base_model(pulled.digest, pulled.encoder, pulled.source);
    let name = source.to_string();
    if matches!(source, Source::Known(_)) {
        let card = measure(context, card).await?;
        let new = NewModel { name, card, digest: pulled.digest, run: None };
        let created = context.store.catalog().create_model(&new, OnConflict::Ignore)?;
        return Ok(BaseModel::of(created.version));
    }
    let pinned = PinnedModel {
        name: name.clone(),
        version: 1,
        digest: pulled.digest,
        window: None,
        precision: Precision::F32,
    };
    Ok(BaseModel { pinned, card, name })
}

/// Returns the card of a base that the catalog will keep, with its fidelities. Works on a blocking thread.
pub(crate) async fn measure(context: &StatementContext, card: ModelCard) -> Result<ModelCard> {
    let store = context.store.clone();
    match tokio::task::spawn_blocking(move || with_fidelity(&store, card)).await {
        Ok(card) => Ok(card?),
        Err(stopped) => Err(StatementError::Internal(format!("measuring precisions stopped: {stopped}"))),
    }
}

/// Pulls on a blocking thread: the hub client and pip are synchronous.
async fn pull_base(context: &StatementContext, source: Source) -> Result<Pulled> {
    let (store, watch) = (context.store.clone(), Arc::clone(&context.watch));
    let pulling = tokio::task::spawn_blocking(move || {
        nightjar_catalog::pull(store.artifacts(), &source, None, &WatchPull::new(watch.as_ref()))
    });
    match pulling.await {
        Ok(pulled) => Ok(pulled?),
        Err(stopped) => Err(StatementError::Internal(format!("pulling stopped: {stopped}"))),
    }
}
