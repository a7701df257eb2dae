//! From a name in a query to the loaded model: resolving while planning, loading while running.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nightjar_catalog::{Catalog, CatalogError, Digest, ModelCard, Store, StoreFiles, Task};
use nightjar_models::{
    ClassifierHead, EncoderOptions, EncoderSpec, Precision, RegressionHead, TextEncoder, TextTokenizer,
};
use nightjar_names::ModelReference;

use crate::model_memory::{MEMORY, Part};
use crate::{FunctionError, NightjarOptions, PinnedModel, Result};

/// A model as the planner knows it: its card, never its weights.
#[derive(Debug, Clone)]
pub struct ResolvedModel {
    /// The version and digest that the plan will carry.
    pub pinned: PinnedModel,
    /// What the model is.
    pub card: Arc<ModelCard>,
}

/// The models of one store. Cheap to clone.
#[derive(Clone)]
pub struct Models {
    files: StoreFiles,
    /// Whose catalog says what names mean; None on an executor.
    named_by: Option<Store>,
}

impl fmt::Debug for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Models").finish_non_exhaustive()
    }
}

/// The cards that this process has read.
static CARDS: LazyLock<Mutex<HashMap<PinnedModel, Arc<ModelCard>>>> = LazyLock::new(Mutex::default);

/// The body's digest and its window in tokens.
pub(crate) type BodyKey = (Digest, usize);

/// A body packed for a precision: what two calls have in common if one encoder pass serves both.
pub type EncoderKey = (BodyKey, Precision);

impl Models {
    /// Returns the models of `store`.
    pub fn new(store: Store) -> Self {
        Self { files: store.files().clone(), named_by: Some(store) }
    }

    /// Returns the models of a store without its catalog: pinned models are found, names are not.
    pub fn without_names(files: StoreFiles) -> Self {
        Self { files, named_by: None }
    }

    fn catalog(&self) -> Result<&Catalog> {
        let missing = || {
            FunctionError::Internal("a process without a catalog was asked for a model by name".to_owned())
        };
        self.named_by.as_ref().map(Store::catalog).ok_or_else(missing)
    }

    /// Returns the model that `name` means now, or the default of `task` where there is no name.
    ///
    /// `name` is `name`, `name@version` or a [`PinnedModel`]; the default is the session's setting, then the
    /// catalog's, and for 'embed' then the base model. Errors: an unknown model (with the nearest name), no
    /// default (with how to make one). Cost: one read of the catalog; a pinned model reads its artifact only.
    pub fn resolve(
        &self,
        function: &str,
        name: Option<&str>,
        task: Task,
        options: &NightjarOptions,
    ) -> Result<ResolvedModel> {
        if let Some(name) = name {
            return if PinnedModel::is_pinned(name) {
                self.pinned(name.parse()?)
            } else {
                self.named(name, options)
            };
        }
        let session = match task {
            Task::Embed => &options.embed_model,
            Task::Classify => &options.classify_model,
            Task::Regress => &options.predict_model,
        };
        if !session.is_empty() {
            return self.named(session, options);
        }
        if let Some(version) = self.catalog()?.default_model(task)? {
            return resolved(version, options);
        }
        let missing = || FunctionError::NoDefault { function: function.to_owned(), task: task.to_string() };
        if task != Task::Embed {
            return Err(missing());
        }
        self.named(&options.base_model, options).map_err(|_| missing())
    }

    fn named(&self, name: &str, options: &NightjarOptions) -> Result<ResolvedModel> {
        let reference: ModelReference = name.parse().map_err(CatalogError::from)?;
        resolved(self.catalog()?.model_version(&reference)?, options)
    }

    /// Returns a pinned model from its artifact alone: what an executor does, which has no catalog.
    ///
    /// Reads the card, or what a base model's small files say, once per process; never the weights.
    pub fn pinned(&self, pinned: PinnedModel) -> Result<ResolvedModel> {
        let cards = || CARDS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(card) = cards().get(&pinned) {
            return Ok(ResolvedModel { card: Arc::clone(card), pinned });
        }
        let artifacts = self.files.artifacts();
        let manifest = artifacts.manifest(&pinned.digest)?;
        let folder = artifacts.folder(&pinned.digest)?;
        let mut card = match manifest.files.iter().any(|file| file.path == CARD_FILE) {
            true => read_card(&folder.join(CARD_FILE))?,
            false => ModelCard::base_model(pinned.digest, EncoderSpec::read(&folder)?, pinned.label()),
        };
        card.encoder.window = card.encoder.window.min(pinned.window.unwrap_or(usize::MAX));
        // Two threads may read it at once, and get the same.
        let card = Arc::clone(cards().entry(pinned.clone()).or_insert_with(|| Arc::new(card)));
        Ok(ResolvedModel { pinned, card })
    }

    /// Returns what tells apart the encoder of a pinned model from others.
    pub fn encoder_key(&self, pinned: PinnedModel) -> Result<EncoderKey> {
        let precision = pinned.precision;
        Ok(encoder_key(&self.pinned(pinned)?.card, precision))
    }

    /// Returns the encoder of a model, loading it on the first call in this process, and the time that
    /// loading took (zero when it was there). Checks every file's digest on that first call.
    pub fn encoder(&self, card: &ModelCard, precision: Precision) -> Result<(Arc<TextEncoder>, Duration)> {
        let started = Instant::now();
        let mut took = Duration::ZERO;
        let load = || {
            let artifact = self.files.artifacts().open(&card.body)?;
            let options = EncoderOptions { window: card.encoder.window, ..EncoderOptions::from(precision) };
            let encoder = TextEncoder::load_with(&artifact.dir, &options)?;
            took = started.elapsed();
            Ok(encoder)
        };
        let encoder = MEMORY.get(Part::Encoder(encoder_key(card, precision)), load, TextEncoder::bytes)?;
        Ok((encoder, took))
    }

    /// Returns the files of the store that the models are in.
    pub fn files(&self) -> &StoreFiles {
        &self.files
    }

    /// Returns the tokenizer of a model without loading its weights.
    pub fn tokenizer(&self, card: &ModelCard) -> Result<Arc<TextTokenizer>> {
        let load = || {
            let artifact = self.files.artifacts().open(&card.body)?;
            let tokenizer = TextTokenizer::load(&artifact.dir, card.encoder.window)?;
            Ok(tokenizer.with_lowercase(card.encoder.lowercase))
        };
        MEMORY.get(Part::Tokenizer(body_key(card)), load, TextTokenizer::bytes)
    }

    /// Returns the classification head of a tuned model.
    pub fn head(&self, model: &ResolvedModel) -> Result<Arc<ClassifierHead>> {
        let load = || {
            let artifact = self.files.artifacts().open(&model.pinned.digest)?;
            Ok(ClassifierHead::load(&artifact.file(HEAD_FILE))?)
        };
        MEMORY.get(Part::Head(model.pinned.digest), load, ClassifierHead::bytes)
    }

    /// Returns the regression head of a tuned model.
    pub fn regression(&self, model: &ResolvedModel) -> Result<Arc<RegressionHead>> {
        let load = || {
            let artifact = self.files.artifacts().open(&model.pinned.digest)?;
            Ok(RegressionHead::load(&artifact.file(HEAD_FILE))?)
        };
        MEMORY.get(Part::Regression(model.pinned.digest), load, RegressionHead::bytes)
    }
}

/// The file of a tuned model's artifact that holds its head.
pub const HEAD_FILE: &str = "head.safetensors";

/// The training option, and the entry of a card's options, that names the precision of a model's own.
pub const PRECISION_OPTION: &str = "precision";

/// The file of a tuned model's artifact that holds its card; a base model's artifact has none.
pub const CARD_FILE: &str = "card.json";

fn read_card(path: &Path) -> Result<ModelCard> {
    let invalid =
        |what: String| FunctionError::Internal(format!("reading the card {}: {what}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| invalid(error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))
}

fn body_key(card: &ModelCard) -> BodyKey {
    (card.body, card.encoder.window)
}

/// Returns what tells apart the encoder of a card, in a precision, from others.
pub(crate) fn encoder_key(card: &ModelCard, precision: Precision) -> EncoderKey {
    (body_key(card), precision)
}

/// The session's precision counts before the model's own, which counts before what this machine does best.
fn resolved(version: nightjar_catalog::ModelVersion, options: &NightjarOptions) -> Result<ResolvedModel> {
    let own = || version.card.options.get(PRECISION_OPTION).and_then(|name| name.parse().ok());
    let precision = options.precision()?.or_else(own).unwrap_or_else(Precision::fastest_true);
    let pinned = PinnedModel { precision, ..PinnedModel::from(&version) };
    Ok(ResolvedModel { pinned, card: Arc::new(version.card) })
}
