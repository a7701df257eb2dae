//! `nightjar model`: pulling and listing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nightjar_catalog::{
    CatalogError, CreateOutcome, ModelCard, ModelVersion, NewModel, OnConflict, Pulled, Source, Store,
};
use nightjar_functions::with_fidelity;
use nightjar_names::ModelReference;
use nightjar_statements::{Watch, WatchPull};

use crate::args::{Args, ModelCommand, PullArgs};
use crate::error::{CliError, Result};
use crate::interrupt::Interrupt;
use crate::launch;
use crate::progress::Progress;
use crate::runner::Runner;
use crate::script::Script;

/// Runs `nightjar model`.
pub(crate) async fn run(args: &Args, command: &ModelCommand) -> Result<()> {
    match command {
        ModelCommand::Pull(pull) => run_pull(args, pull).await,
        ModelCommand::List => Runner::open(args).await?.run_scripts(&[Script::typed("SHOW MODELS")]).await,
    }
}

async fn run_pull(args: &Args, pull: &PullArgs) -> Result<()> {
    let request = Request::parse(pull)?;
    let runner = Runner::open(args).await?;
    let model = pull_base(runner.session().store(), runner.progress(), request).await?;
    let source = model.card.source.as_deref().unwrap_or_default();
    runner.write_out(format!("{}\t{}\t{source}\n", model.reference(), model.digest).as_bytes())
}

/// A base model to get: from where, and what it's then called.
#[derive(Debug)]
pub(crate) struct Request {
    source: Source,
    from: Option<PathBuf>,
    name: String,
}

impl Request {
    /// Returns the request for a model that is known by name.
    pub(crate) fn known(name: &str) -> Result<Self> {
        Ok(Self { source: Source::parse(name)?, from: None, name: name.to_owned() })
    }

    fn parse(pull: &PullArgs) -> Result<Self> {
        let (source, from) = match (Source::parse(&pull.model), &pull.from) {
            // With a folder to take the files from, a name needs no other meaning.
            (Err(CatalogError::SourceUnknown { .. }), Some(from)) => {
                let name = pull.name.clone().unwrap_or_else(|| pull.model.clone());
                return Ok(Self { source: Source::Directory(from.clone()), from: None, name });
            }
            (source, from) => (source?, from.clone()),
        };
        let name = pull.name.clone().or_else(|| name_of(&source));
        let name = name.ok_or_else(|| CliError::NoName { source_text: pull.model.clone() })?;
        Ok(Self { source, from, name })
    }
}

/// Returns the name that a source's model gets by itself.
fn name_of(source: &Source) -> Option<String> {
    match source {
        Source::Known(known) => Some(known.name.to_owned()),
        Source::Hub { repo, .. } => repo.rsplit('/').next().map(str::to_owned),
        Source::Directory(path) => {
            // `.` and `..` have names too.
            let path = path.canonicalize().unwrap_or_else(|_| path.clone());
            path.file_name().map(|name| name.to_string_lossy().into_owned())
        }
    }
}

/// Gets a base model's files into the store, unless they are there, and keeps it in the catalog.
///
/// Errors: the source's, and a name that another model has.
pub(crate) async fn pull_base(
    store: &Store,
    progress: &Arc<Progress>,
    request: Request,
) -> Result<ModelVersion> {
    if let Some(present) = present(store, &request)? {
        progress.note(&format!("{} is in the store already", present.reference()));
        return Ok(present);
    }
    progress.begin();
    let result = Interrupt::new().or(pull(store.clone(), Arc::clone(progress), request)).await;
    progress.end();
    result?
}

/// A hub's model is asked for by name once: its branch may have moved, but a catalog's model doesn't change by itself.
fn present(store: &Store, request: &Request) -> Result<Option<ModelVersion>> {
    let Request { source: Source::Hub { repo, revision }, from: None, name } = request else {
        return Ok(None);
    };
    let Ok(model) = store.catalog().model_version(&ModelReference::current(name.as_str())) else {
        return Ok(None);
    };
    let start = format!("hf://{repo}@{}", revision.as_deref().unwrap_or_default());
    let same = model.card.source.as_ref().is_some_and(|source| source.starts_with(&start));
    // Its files are checked, as a pull would.
    Ok((same && store.artifacts().open(&model.digest).is_ok()).then_some(model))
}

/// Pulls on a blocking thread: the hub client and pip are synchronous.
async fn pull(store: Store, progress: Arc<Progress>, request: Request) -> Result<ModelVersion> {
    let pulling = tokio::task::spawn_blocking(move || {
        let from: Option<&Path> = request.from.as_deref();
        let watch = WatchPull::new(progress.as_ref());
        let pulled = nightjar_catalog::pull(store.artifacts(), &request.source, from, &watch)?;
        keep(&store, progress.as_ref(), request.name, pulled)
    });
    match pulling.await {
        Ok(kept) => kept,
        Err(error) => match error.try_into_panic() {
            Ok(payload) => Err(CliError::Internal(launch::panic_message(payload.as_ref()))),
            Err(_) => Err(CliError::Interrupted),
        },
    }
}

fn keep(store: &Store, watch: &dyn Watch, name: String, pulled: Pulled) -> Result<ModelVersion> {
    let card = ModelCard::base_model(pulled.digest, pulled.encoder, pulled.source);
    let card = with_fidelity(store, card)?;
    let new = NewModel { name, card, digest: pulled.digest, run: None };
    let created = store.catalog().create_model(&new, OnConflict::Ignore)?;
    if created.outcome == CreateOutcome::Existed {
        if created.version.digest != pulled.digest {
            return Err(CliError::NameTaken { name: new.name, found: created.version.digest.to_string() });
        }
        watch.note(&format!("{} is in the catalog already", created.version.reference()));
    }
    Ok(created.version)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn request(model: &str, from: Option<&str>, name: Option<&str>) -> Result<Request> {
        let (model, from, name) = (model.to_owned(), from.map(PathBuf::from), name.map(str::to_owned));
        Request::parse(&PullArgs { model, from, name })
    }

    #[test]
    fn names_follow_from_sources() {
        for (model, name) in [
            ("sentence-transformers/all-MiniLM-L6-v2", "all-MiniLM-L6-v2"),
            ("hf://org/encoder@v1", "encoder"),
            ("/models/mine/", "mine"),
        ] {
            assert_eq!(request(model, None, None).unwrap().name, name);
        }
        assert_eq!(request("hf://org/encoder", None, Some("base")).unwrap().name, "base");
        assert!(matches!(request("/", None, None), Err(CliError::NoName { .. })));
    }

    #[test]
    fn a_folder_gives_any_name_a_meaning() {
        let tiny = request("tiny", Some("/models/a"), None).unwrap();
        assert_eq!(
            (tiny.source, tiny.from, tiny.name.as_str()),
            (Source::Directory("/models/a".into()), None, "tiny")
        );
        assert!(matches!(
            request("tiny", None, None),
            Err(CliError::Catalog(CatalogError::SourceUnknown { .. }))
        ));
        // A known model's files are checked against its pins, wherever they lie.
        let known = request("all-MiniLM-L6-v2", Some("/models/a"), None).unwrap();
        assert!(matches!(known.source, Source::Known(_)) && known.from.is_some());
    }
}
