//! Pulls from a hub that behaves, and from hubs that do not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

mod common;
#[path = "common/hub.rs"]
mod server;

use std::net::TcpListener;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use common::{census, model_files, open, pinned};
use nightjar_catalog::{
    CatalogError, Digest, HubSettings, PullProgress, PullSettings, Pulled, Result, Silent, Source, Store,
    pull_with,
};
use nightjar_errors::Failure;
use server::{COMMIT, Fault, Hub};

fn settings(endpoint: &str) -> PullSettings {
    PullSettings {
        hub: HubSettings {
            endpoint: endpoint.into(),
            answer_timeout: Duration::from_secs(5),
            stall_timeout: Duration::from_secs(1),
            ..HubSettings::default()
        },
        pip: Vec::new(),
        pip_timeout: Duration::from_secs(5),
    }
}

fn pull(hub: &Hub, store: &Store) -> Result<Pulled> {
    let source = Source::parse("hf://org/tiny").unwrap();
    pull_with(&settings(&hub.url), store.artifacts(), &source, None, &Silent)
}

/// The error of a pull, which must have left nothing.
fn refused(hub: &Hub) -> CatalogError {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let error = pull(hub, &store).unwrap_err();
    assert_eq!(census(&store).0, 0, "{error}");
    error
}

#[derive(Default)]
struct Recorder {
    files: Mutex<Vec<(String, Option<u64>)>>,
    bytes: Mutex<u64>,
    notes: Mutex<Vec<String>>,
}

impl PullProgress for Recorder {
    fn start(&self, file: &str, bytes: Option<u64>) {
        self.files.lock().unwrap().push((file.into(), bytes));
    }
    fn advance(&self, bytes: u64) {
        *self.bytes.lock().unwrap() += bytes;
    }
    fn note(&self, message: &str) {
        self.notes.lock().unwrap().push(message.into());
    }
}

#[test]
fn takes_the_needed_files_of_one_commit() {
    let mut files = model_files();
    files.push(("README.md", b"# tiny".to_vec()));
    files.push(("pytorch_model.bin", b"pickle".to_vec()));
    files.push(("onnx/model.onnx", b"onnx".to_vec()));
    let hub = Hub::serve(&files);
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let progress = Recorder::default();
    let source = Source::parse("hf://org/tiny@main").unwrap();
    let pulled = pull_with(&settings(&hub.url), store.artifacts(), &source, None, &progress).unwrap();
    assert_eq!(pulled.source, format!("hf://org/tiny@{COMMIT}"));
    assert_eq!((pulled.encoder.dim, pulled.encoder.window), (32, 64));
    let artifact = store.artifacts().open(&pulled.digest).unwrap();
    let expected: Vec<(String, Option<u64>)> =
        model_files().iter().map(|(path, bytes)| (path.to_string(), Some(bytes.len() as u64))).collect();
    let taken: Vec<_> =
        artifact.manifest.files.iter().map(|file| (file.path.clone(), Some(file.size))).collect();
    assert_eq!(taken, expected);
    assert_eq!(*progress.files.lock().unwrap(), expected);
    assert_eq!(*progress.bytes.lock().unwrap(), artifact.manifest.size());
    for (path, bytes) in model_files() {
        assert_eq!(std::fs::read(artifact.file(path)).unwrap(), bytes);
    }
    assert_eq!(census(&store), (1, 0));
    assert!(hub.requests().iter().any(|line| line.contains("/revision/main")));
    // Pulled again: the same artifact.
    assert_eq!(pull(&hub, &store).unwrap().digest, pulled.digest);
}

#[test]
fn a_known_model_is_pinned() {
    let hub = Hub::serve(&model_files());
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let known = pinned(&model_files(), None);
    let take = |progress: &dyn PullProgress| {
        pull_with(&settings(&hub.url), store.artifacts(), &Source::Known(known), None, progress)
    };
    hub.fault("config.json", Fault::Changed);
    let error = take(&Silent).unwrap_err();
    let CatalogError::FileDigest { file, expected, found, .. } = &error else { panic!("{error}") };
    let good = &model_files()[1].1;
    assert_eq!((file.as_str(), expected.as_slice()), ("config.json", &[Digest::of(good)][..]));
    assert_ne!(expected[0], *found);
    assert_eq!(census(&store), (0, 0));

    hub.repository.lock().unwrap().faults.clear();
    let pulled = take(&Silent).unwrap();
    assert_eq!(pulled.digest, known.digest().unwrap());
    assert_eq!(pulled.source, format!("hf://org/tiny@{COMMIT}"));
    // It is there: the hub is not asked again.
    let asked = hub.requests().len();
    let progress = Recorder::default();
    assert_eq!(take(&progress).unwrap().digest, pulled.digest);
    assert_eq!(hub.requests().len(), asked);
    assert!(progress.notes.lock().unwrap()[0].contains("already"));
    // Damaged, it is pulled again and mended.
    let path = store.artifacts().open(&pulled.digest).unwrap().file("model.safetensors");
    std::fs::remove_file(path).unwrap();
    assert_eq!(take(&Silent).unwrap().digest, pulled.digest);
    store.artifacts().open(&pulled.digest).unwrap();
}

#[test]
fn the_digest_that_the_hub_states_is_checked() {
    let hub = Hub::serve(&model_files());
    hub.fault("model.safetensors", Fault::Changed);
    let error = refused(&hub);
    assert!(
        matches!(&error, CatalogError::FileDigest { file, .. } if file == "model.safetensors"),
        "{error}"
    );
}

#[test]
fn what_is_not_there_is_named() {
    let hub = Hub::serve(&model_files());
    hub.repository.lock().unwrap().listed.push("tokenizer_config.json".into());
    let text = refused(&hub).to_string();
    assert!(text.contains("tokenizer_config.json") && text.contains("404"), "{text}");
    hub.fault("", Fault::Status(404));
    let text = refused(&hub).to_string();
    assert!(text.contains("org/tiny@main") && text.contains("no such repository"), "{text}");
}

#[test]
fn a_cut_connection_leaves_nothing() {
    let hub = Hub::serve(&model_files());
    hub.fault("model.safetensors", Fault::Cut(300_000));
    let error = refused(&hub);
    assert!(error.to_string().contains("model.safetensors"), "{error}");
    assert!(error.retryable(), "{error:?}");
}

#[test]
fn a_stalled_download_is_given_up() {
    let hub = Hub::serve(&model_files());
    hub.fault("model.safetensors", Fault::Stall(300_000));
    let started = Instant::now();
    let error = refused(&hub);
    assert!(started.elapsed() < Duration::from_secs(4));
    assert!(error.retryable() && error.to_string().contains("nothing came for 1.0 s"), "{error}");
}

#[test]
fn an_unreachable_or_silent_hub_is_given_up_soon() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let source = Source::parse("hf://org/tiny").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut silent = settings(&url);
    silent.hub.answer_timeout = Duration::from_millis(300);
    let started = Instant::now();
    let error = pull_with(&silent, store.artifacts(), &source, None, &Silent).unwrap_err();
    assert!(error.to_string().contains("nothing came for 0.3 s"), "{error}");
    drop(listener);
    let error = pull_with(&settings(&url), store.artifacts(), &source, None, &Silent).unwrap_err();
    assert!(matches!(error, CatalogError::HubUnreachable { .. }), "{error}");
    assert!(error.hint().unwrap().contains("--from DIR") && error.retryable());
    assert!(started.elapsed() < Duration::from_secs(6));
}

#[test]
fn the_token_is_sent_and_never_shown() {
    let token = "hf_verySecretToken";
    let hub = Hub::serve(&model_files());
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let mut settings = settings(&hub.url);
    settings.hub.token = Some(token.into());
    let source = Source::parse("hf://org/tiny").unwrap();
    let pull = |progress: &dyn PullProgress| pull_with(&settings, store.artifacts(), &source, None, progress);
    assert!(!format!("{:?}", pull(&Silent).unwrap()).contains(token));
    assert!(
        hub.requests().iter().all(|line| line.ends_with(&format!("Bearer {token}"))),
        "{:?}",
        hub.requests()
    );
    assert!(!format!("{settings:?}").contains(token));
    for path in ["", "config.json"] {
        hub.fault(path, Fault::Status(401));
        let progress = Recorder::default();
        let error = pull(&progress).unwrap_err();
        assert!(error.to_string().contains("HF_TOKEN"), "{error}");
        let said = format!("{error} {error:?} {:?} {:?}", error.hint(), progress.notes.lock().unwrap());
        assert!(!said.contains(token), "{said}");
    }
}

#[test]
fn offline_asks_nobody() {
    let hub = Hub::serve(&model_files());
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let mut settings = settings(&hub.url);
    settings.hub.offline = true;
    let source = Source::parse("hf://org/tiny").unwrap();
    let error = pull_with(&settings, store.artifacts(), &source, None, &Silent).unwrap_err();
    assert!(matches!(error, CatalogError::HubOffline));
    assert!(hub.requests().is_empty());
}

#[test]
fn pickles_are_refused_before_anything_is_downloaded() {
    let mut files = model_files();
    files.retain(|(path, _)| *path != "model.safetensors");
    files.push(("pytorch_model.bin", b"pickle".to_vec()));
    let hub = Hub::serve(&files);
    let error = refused(&hub);
    assert!(matches!(error, CatalogError::PickleOnly { .. }), "{error}");
    assert!(error.hint().unwrap().contains("safetensors"));
    assert_eq!(hub.requests().len(), 1);
}

#[test]
fn hostile_answers_are_refused() {
    let parent = tempfile::tempdir().unwrap();
    let outside = parent.path().join("outside");
    let hub = Hub::serve(&model_files());
    let reset = || {
        let mut repository = hub.repository.lock().unwrap();
        repository.faults.clear();
        repository.listed.clear();
    };
    for name in ["../outside", "/outside", "1_Pooling/../../outside"] {
        hub.repository.lock().unwrap().listed.push(name.into());
        let error = refused(&hub);
        assert!(matches!(&error, CatalogError::FileOutside { file, .. } if file == name), "{error}");
        reset();
    }
    let outside_text = outside.to_str().unwrap().to_string();
    for fault in [
        Fault::Header("ETag", format!("\"{outside_text}\"")),
        Fault::Header("ETag", "\"../../../outside\"".into()),
        Fault::Header("X-Repo-Commit", outside_text.clone()),
        Fault::Astray,
    ] {
        hub.fault("config.json", fault.clone());
        let error = refused(&hub);
        assert!(matches!(error, CatalogError::HubRequest { .. }), "{fault:?}: {error}");
        reset();
    }
    hub.fault("", Fault::Header("sha", outside_text));
    assert!(matches!(refused(&hub), CatalogError::HubRequest { .. }));
    assert!(!outside.exists());
}
