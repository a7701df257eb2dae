//! Artifacts: published whole, found out when damaged, safe against crashes and each other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use common::{census, child, model_files, open};
use nightjar_catalog::{CatalogError, Digest, Staging, Store};
use nightjar_errors::Failure;

fn stage(store: &Store) -> Staging {
    let mut staging = store.artifacts().stage().unwrap();
    for (path, bytes) in model_files() {
        staging.write(path, &bytes).unwrap();
    }
    staging
}

fn publish(store: &Store) -> Digest {
    store.artifacts().publish(stage(store)).unwrap()
}

fn make_writable(path: &PathBuf) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
}

#[test]
fn publishing_is_idempotent_and_complete() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let digest = publish(&store);
    assert_eq!(publish(&store), digest);
    assert_eq!(census(&store), (1, 0));
    let artifact = store.artifacts().open(&digest).unwrap();
    assert_eq!(artifact.manifest.files.len(), model_files().len());
    assert_eq!(artifact.manifest.digest(), digest);
    for (path, bytes) in model_files() {
        assert_eq!(fs::read(artifact.file(path)).unwrap(), bytes);
        assert_eq!(artifact.manifest.file(path).unwrap().sha256, Digest::of(&bytes));
        let mode = fs::metadata(artifact.file(path)).unwrap().permissions().mode();
        assert_eq!(mode & 0o222, 0, "{path} can be written");
    }
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let usual = folder.path().join("usual");
    fs::create_dir(&usual).unwrap();
    assert_eq!(mode(&artifact.dir), mode(&usual), "other users' executors read it as any folder");
    // Another store gives the same content the same name.
    let other = tempfile::tempdir().unwrap();
    assert_eq!(publish(&open(&other)), digest);
}

#[test]
fn damage_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let digest = publish(&store);
    let path = store.artifacts().open(&digest).unwrap().file("model.safetensors");
    make_writable(&path);
    let good = fs::read(&path).unwrap();

    let mut flipped = good.clone();
    flipped[1000] ^= 1;
    fs::write(&path, &flipped).unwrap();
    let error = store.artifacts().open(&digest).unwrap_err();
    let text = error.to_string();
    for part in ["model.safetensors", &digest.to_string(), &Digest::of(&good).to_string()] {
        assert!(text.contains(part), "{text}");
    }
    assert!(text.contains(&Digest::of(&flipped).to_string()), "{text}");
    assert_eq!(error.code(), "artifact_corrupt");
    assert!(error.hint().unwrap().contains("nightjar model pull"));

    fs::write(&path, &good[..good.len() / 2]).unwrap();
    let error = store.artifacts().open(&digest).unwrap_err();
    assert!(
        matches!(&error, CatalogError::ArtifactSize { file, .. } if file == "model.safetensors"),
        "{error}"
    );

    fs::remove_file(&path).unwrap();
    let error = store.artifacts().open(&digest).unwrap_err();
    assert!(matches!(&error, CatalogError::ArtifactFileMissing { file, .. } if file == "model.safetensors"));

    // Publishing the same content again mends it.
    assert_eq!(publish(&store), digest);
    assert_eq!(fs::read(store.artifacts().open(&digest).unwrap().file("model.safetensors")).unwrap(), good);
    assert_eq!(census(&store), (1, 0));

    let manifest = path.with_file_name("manifest.json");
    make_writable(&manifest);
    fs::write(&manifest, "{\"files\":[]}").unwrap();
    let error = store.artifacts().open(&digest).unwrap_err();
    assert!(
        matches!(&error, CatalogError::ArtifactDigest { file, .. } if file == "manifest.json"),
        "{error}"
    );
    let missing = store.artifacts().open(&Digest::of(b"other")).unwrap_err();
    assert!(matches!(missing, CatalogError::ArtifactMissing { .. }));
}

#[test]
fn what_cannot_be_published_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let refused = |prepare: &dyn Fn(&mut Staging)| {
        let mut staging = store.artifacts().stage().unwrap();
        prepare(&mut staging);
        let error = store.artifacts().publish(staging).unwrap_err();
        assert!(matches!(error, CatalogError::NotPublishable { .. }), "{error}");
        assert_eq!(census(&store), (0, 0));
    };
    refused(&|_| ());
    refused(&|staging| drop(staging.write("manifest.json", b"{}").unwrap()));
    refused(&|staging| std::os::unix::fs::symlink("/etc/hostname", staging.path().join("link")).unwrap());
}

#[test]
fn threads_publish_the_same_content_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let stagings: Vec<Staging> = (0..6).map(|_| stage(&store)).collect();
    std::thread::scope(|scope| {
        let publishing =
            stagings.into_iter().map(|staging| scope.spawn(|| store.artifacts().publish(staging)));
        let digests: Vec<Digest> = publishing
            .collect::<Vec<_>>()
            .into_iter()
            .map(|thread| thread.join().unwrap().unwrap())
            .collect();
        assert!(digests.windows(2).all(|pair| pair[0] == pair[1]));
    });
    assert_eq!(census(&store), (1, 0));
}

#[test]
fn processes_publish_the_same_content_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let children: Vec<_> = (0..3).map(|_| child("child_publishes", path).spawn().unwrap()).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let store = open(&folder);
    assert_eq!(census(&store), (1, 0));
    publish(&store);
    assert_eq!(census(&store), (1, 0));
}

#[test]
#[ignore = "run by processes_publish_the_same_content_at_once"]
fn child_publishes() {
    let Some(path) = common::argument() else { return };
    publish(&Store::open(Some(&path)).unwrap());
}

#[test]
fn a_killed_process_leaves_nothing_to_be_seen() {
    let folder = tempfile::tempdir().unwrap();
    let output = child("child_aborts", folder.path().to_str().unwrap()).output().unwrap();
    assert!(!output.status.success());
    let store = open(&folder);
    let (published, staged) = census(&store);
    assert_eq!(published, 0);
    assert_eq!(staged, 2, "the folder and its lock, until they are swept");
    // A day later: sweeping goes by the time of the last change.
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(25 * 60 * 60);
    for entry in fs::read_dir(folder.path().join("staging")).unwrap() {
        fs::File::open(entry.unwrap().path()).unwrap().set_modified(old).unwrap();
    }
    assert_eq!(census(&open(&folder)), (0, 0));
}

#[test]
#[ignore = "run by a_killed_process_leaves_nothing_to_be_seen"]
fn child_aborts() {
    let Some(path) = common::argument() else { return };
    let store = Store::open(Some(&path)).unwrap();
    let _staging = stage(&store);
    std::process::abort();
}

/// A limit on the size of files stands for a full disk: both are errors of a write.
#[test]
fn a_full_disk_is_told_and_publishes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let inner = child("child_fills_the_disk", folder.path().to_str().unwrap());
    let program = inner.get_program().to_owned();
    let mut shell = std::process::Command::new("sh");
    // The signal is ignored so that the write fails instead of ending the process.
    shell.args(["-c", "trap '' XFSZ; ulimit -f 2048 || exit 77; exec \"$@\"", "sh"]);
    shell.arg(program).args(inner.get_args()).env("NIGHTJAR_TEST", folder.path());
    let output = match shell.output() {
        Ok(output) if output.status.code() != Some(77) => output,
        _ => return eprintln!("skipped: this system sets no limits on file sizes"),
    };
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let message =
        text.lines().find_map(|line| line.split_once("refused: ").map(|(_, message)| message)).unwrap();
    assert!(message.contains("model.safetensors") && message.contains("nothing was published"), "{message}");
    assert_eq!(census(&open(&folder)), (0, 0));
}

#[test]
#[ignore = "run by a_full_disk_is_told_and_publishes_nothing"]
fn child_fills_the_disk() {
    let Some(path) = common::argument() else { return };
    let store = Store::open(Some(&path)).unwrap();
    let mut staging = store.artifacts().stage().unwrap();
    staging.write("config.json", b"{}").unwrap();
    let error = staging.write("model.safetensors", &vec![7; 4 << 20]).unwrap_err();
    assert!(matches!(error, CatalogError::StorageFull { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("free some space"));
    println!("refused: {error}");
}
