//! Models from the hub, or a mirror that speaks its protocol.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use hf_hub::api::Progress;
use hf_hub::api::RepoInfo;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError};
use hf_hub::{Cache, Repo, RepoType};

use super::known::KnownModel;
use super::pull::PullProgress;
use super::selection::select;
use super::{reach, without_password};
use crate::artifacts::hash_file;
use crate::error::{CatalogError, Result};
use crate::ids::Digest;
use crate::staging::Staging;

/// How the hub is asked. `Debug` does not show the token.
#[derive(Clone)]
pub struct HubSettings {
    /// Base URL, without a slash at its end.
    pub endpoint: String,
    /// Sent to the endpoint as a bearer token.
    pub token: Option<String>,
    /// Whether the hub must not be asked at all.
    pub offline: bool,
    /// The HTTP proxy that requests will go through, if any; only used to tell whether the network
    /// is there. The HTTP client reads the same environment variables itself.
    pub proxy: Option<String>,
    /// How long connecting may take, before the hub counts as unreachable.
    pub connect_timeout: Duration,
    /// How long the first answer may take.
    pub answer_timeout: Duration,
    /// How long a download may stand still.
    pub stall_timeout: Duration,
}

impl Default for HubSettings {
    fn default() -> HubSettings {
        HubSettings {
            endpoint: "https://huggingface.co".into(),
            token: None,
            offline: false,
            proxy: None,
            connect_timeout: Duration::from_secs(4),
            answer_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
        }
    }
}

impl fmt::Debug for HubSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubSettings")
            .field("endpoint", &without_password(&self.endpoint))
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("offline", &self.offline)
            .finish_non_exhaustive()
    }
}

impl HubSettings {
    /// What HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE and the proxy variables say.
    pub fn from_env() -> HubSettings {
        let read = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let default = HubSettings::default();
        let proxies = ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];
        HubSettings {
            endpoint: read("HF_ENDPOINT")
                .map_or(default.endpoint, |url| url.trim().trim_end_matches('/').to_string()),
            token: read("HF_TOKEN").map(|token| token.trim().to_string()),
            offline: read("HF_HUB_OFFLINE").is_some_and(|value| {
                matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on")
            }),
            proxy: proxies.into_iter().find_map(read),
            ..default
        }
    }

    /// The endpoint, fit for a message.
    fn shown(&self) -> String {
        without_password(&self.endpoint)
    }

    fn reach(&self) -> Result<()> {
        let mut result = Err(String::new());
        if let Some(proxy) = &self.proxy {
            let url = if proxy.contains("://") { proxy.clone() } else { format!("http://{proxy}") };
            result = reach::check(&url, self.connect_timeout);
        }
        if result.is_err() {
            result = reach::check(&self.endpoint, self.connect_timeout);
        }
        result.map_err(|reason| CatalogError::HubUnreachable { endpoint: self.shown(), reason })
    }

    fn failed(&self, what: &str, reason: String, retryable: bool) -> CatalogError {
        // No part of the client puts the token into a message; this keeps it so.
        let reason = match &self.token {
            Some(token) => reason.replace(token, "…"),
            None => reason,
        };
        CatalogError::HubRequest { endpoint: self.shown(), what: what.into(), reason, retryable }
    }

    fn api_failed(&self, what: &str, error: ApiError) -> CatalogError {
        match error {
            // Reading the network and writing the disk come as one kind of error.
            ApiError::IoError(error) => match CatalogError::io("write the download of", what)(error) {
                CatalogError::Io { source, .. } => self.failed(what, source.to_string(), true),
                full => full,
            },
            error => {
                let text = error.to_string();
                self.failed(what, explain(&text), !text.contains("http status: 4"))
            }
        }
    }
}

/// Says what a status means to the one who asked.
fn explain(text: &str) -> String {
    let meaning = |status: &str| text.contains(&format!("http status: {status}"));
    if meaning("404") {
        format!("{text}: there is no such repository, revision or file")
    } else if meaning("401") || meaning("403") {
        format!("{text}: it does not exist, or HF_TOKEN does not give access to it")
    } else {
        text.to_string()
    }
}

/// Downloads the files of `known`, or else the needed files of `repo` at `revision`, into
/// `staging`. Returns `hf://repo@commit`. Nothing lands in the user's own hub cache.
pub(crate) fn download(
    settings: &HubSettings,
    (repo, revision): (&str, &str),
    known: Option<&'static KnownModel>,
    scratch: &Path,
    staging: &mut Staging,
    progress: &dyn PullProgress,
) -> Result<String> {
    if settings.offline {
        return Err(CatalogError::HubOffline);
    }
    settings.reach()?;
    let (events, received) = mpsc::channel();
    let job = Job {
        settings: settings.clone(),
        repo: repo.into(),
        revision: revision.into(),
        known,
        scratch: scratch.into(),
        events,
    };
    // The client has no timeouts and, on answers that no hub gives, panics. On a thread of its own
    // it can be left behind when it stalls, and a panic ends it and not us.
    let worker = thread::Builder::new().name("pull-from-hub".into()).spawn(move || job.run());
    let worker = worker.map_err(CatalogError::io("start a thread for", scratch))?;
    let mut what = repo.to_string();
    let mut limit = settings.answer_timeout;
    let (commit, files) = loop {
        match received.recv_timeout(limit) {
            Ok(Event::Start(file, size)) => {
                progress.start(&file, Some(size));
                what = file;
            }
            Ok(Event::Advance(bytes)) => progress.advance(bytes),
            Ok(Event::Done(result)) => break result?,
            Err(RecvTimeoutError::Timeout) => {
                let reason = format!("nothing came for {:.1} s", limit.as_secs_f32());
                return Err(settings.failed(&what, reason, true));
            }
            Err(RecvTimeoutError::Disconnected) => {
                let _ = worker.join();
                return Err(settings.failed(&what, "its answer is not that of a hub".into(), false));
            }
        }
        limit = settings.stall_timeout;
    };
    let source = format!("hf://{repo}@{commit}");
    for file in files {
        file.verify(&source)?;
        let target = staging.target(&file.name)?;
        fs::rename(&file.path, &target).map_err(CatalogError::io("move a download to", &target))?;
    }
    Ok(source)
}

enum Event {
    Start(String, u64),
    Advance(u64),
    Done(Result<(String, Vec<Downloaded>)>),
}

struct Downloaded {
    name: String,
    path: PathBuf,
    size: u64,
    /// The hub's ETag: for large files their SHA-256.
    etag: String,
}

impl Downloaded {
    /// Checks the file against what the hub said about it.
    fn verify(&self, origin: &str) -> Result<()> {
        let (origin, file) = (origin.to_string(), self.name.clone());
        let (size, found) = hash_file(&self.path)?;
        if size != self.size {
            return Err(CatalogError::FileSize { origin, file, expected: self.size, found: size });
        }
        match self.etag.parse::<Digest>() {
            Ok(expected) if expected != found => {
                Err(CatalogError::FileDigest { origin, file, expected: vec![expected], found })
            }
            _ => Ok(()),
        }
    }
}

struct Job {
    settings: HubSettings,
    repo: String,
    revision: String,
    known: Option<&'static KnownModel>,
    scratch: PathBuf,
    events: Sender<Event>,
}

impl Job {
    fn run(self) {
        let result = self.download();
        let _ = self.events.send(Event::Done(result));
    }

    fn download(&self) -> Result<(String, Vec<Downloaded>)> {
        let api = ApiBuilder::from_cache(Cache::new(self.scratch.join("hub")))
            .with_endpoint(self.settings.endpoint.trim_end_matches('/').to_string())
            .with_token(self.settings.token.clone())
            .with_user_agent("nightjar", env!("CARGO_PKG_VERSION"))
            .with_progress(false)
            .build()
            .map_err(|error| self.settings.api_failed(&self.repo, error))?;
        let (commit, names) = match self.known {
            // Pinned: there is nothing to ask about.
            Some(known) => {
                (self.revision.clone(), known.files.iter().map(|file| file.path.to_string()).collect())
            }
            None => self.info(&api)?,
        };
        // From here on the commit is what is asked for: a branch may move between two files.
        let repo = api.repo(Repo::with_revision(self.repo.clone(), RepoType::Model, commit.clone()));
        let taken = self.scratch.join("taken");
        fs::create_dir_all(&taken).map_err(CatalogError::io("create", &taken))?;
        let mut files = Vec::new();
        for (number, name) in names.into_iter().enumerate() {
            let failed = |error| self.settings.api_failed(&name, error);
            let metadata = api.metadata(&repo.url(&name)).map_err(failed)?;
            self.check_metadata(&name, &commit, metadata.commit_hash(), metadata.etag())?;
            let size = metadata.size() as u64;
            if self.events.send(Event::Start(name.clone(), size)).is_err() {
                // Nobody waits any more.
                return Err(CatalogError::HubOffline);
            }
            let pointer = repo.download_with_progress(&name, Advance(self.events.clone())).map_err(failed)?;
            let path = taken.join(number.to_string());
            fs::canonicalize(&pointer)
                .and_then(|blob| fs::rename(blob, &path))
                .map_err(CatalogError::io("move a download to", &path))?;
            files.push(Downloaded { name, path, size, etag: metadata.etag().to_string() });
        }
        Ok((commit, files))
    }

    /// The commit that the revision means, and the files to take of it.
    fn info(&self, api: &Api) -> Result<(String, Vec<String>)> {
        let repo = api.repo(Repo::with_revision(self.repo.clone(), RepoType::Model, self.revision.clone()));
        let what = format!("{}@{}", self.repo, self.revision);
        let failed = |error: String| {
            let retryable = !error.contains("http status: 4");
            self.settings.failed(&what, explain(&error), retryable)
        };
        let mut response = repo.info_request().call().map_err(|error| failed(error.to_string()))?;
        let info: RepoInfo = response.body_mut().read_json().map_err(|error| failed(error.to_string()))?;
        if !is_commit(&info.sha) {
            return Err(self.settings.failed(&what, format!("it names '{}' as a commit", info.sha), false));
        }
        let names: Vec<String> = info.siblings.into_iter().map(|sibling| sibling.rfilename).collect();
        Ok((info.sha, select(&format!("hf://{what}"), &names)?))
    }

    /// Commit and ETag become parts of paths in the client's cache.
    fn check_metadata(&self, name: &str, expected: &str, commit: &str, etag: &str) -> Result<()> {
        let etag = etag.strip_prefix("W/").unwrap_or(etag);
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if commit != expected {
            return Err(self.settings.failed(
                name,
                format!("it is of commit '{commit}', not {expected}"),
                false,
            ));
        }
        if etag.is_empty() || !etag.chars().all(plain) {
            return Err(self.settings.failed(name, format!("its ETag is '{etag}'"), false));
        }
        Ok(())
    }
}

fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

struct Advance(Sender<Event>);

impl Progress for Advance {
    fn init(&mut self, _size: usize, _filename: &str) {}

    fn update(&mut self, size: usize) {
        if size > 0 {
            let _ = self.0.send(Event::Advance(size as u64));
        }
    }

    fn finish(&mut self) {}
}
