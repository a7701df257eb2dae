//! Artifacts: immutable folders of files, named by the digest of their content.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use crate::bucket_artifacts::Origin;
use crate::error::{CatalogError, Result};
use crate::ids::Digest;
use crate::manifest::{Manifest, ManifestFile};
use crate::staging::{self, Staging};

/// A verified artifact.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// What it is named by.
    pub digest: Digest,
    /// The folder with its files.
    pub dir: PathBuf,
    /// Its files.
    pub manifest: Manifest,
}

impl Artifact {
    /// Where the file `path` of this artifact lies.
    pub fn file(&self, path: &str) -> PathBuf {
        self.dir.join(path)
    }
}

/// The artifacts of a store: `artifacts/<digest>/…`, put together in `staging/`.
///
/// An artifact appears whole, by one rename, after its files and folders are on the disk. It never
/// changes, and nothing here deletes one. Those of a store in a bucket are published there too, and
/// fetched from there when they are first opened.
#[derive(Clone, Debug)]
pub struct Artifacts {
    published: PathBuf,
    staging: PathBuf,
    /// Small files of artifacts that are not here.
    small: PathBuf,
    origin: Option<Origin>,
}

impl Artifacts {
    /// The artifacts under the store's folder `root`. Creates the folders and sweeps staging that
    /// processes which died more than a day ago have left.
    pub(crate) fn under(root: &Path, origin: Option<Origin>) -> Result<Artifacts> {
        let [published, staging, small] = ["artifacts", "staging", "small"].map(|name| root.join(name));
        let artifacts = Artifacts { published, staging, small, origin };
        for folder in [&artifacts.published, &artifacts.staging] {
            fs::create_dir_all(folder).map_err(CatalogError::io("create", folder))?;
        }
        // The folders themselves must outlive a power cut too. A store that may only be read has them.
        let _ = sync_folder(root);
        staging::sweep(&artifacts.staging, SystemTime::now());
        Ok(artifacts)
    }

    /// A new empty folder to put an artifact together in.
    pub fn stage(&self) -> Result<Staging> {
        Staging::new(&self.staging)
    }

    /// Publishes the staged files and returns their digest.
    ///
    /// Publishing what exists already changes nothing, and mends it if it has become corrupt. Two
    /// processes may publish the same content at once: both succeed. On any error nothing was
    /// published and the staging is gone. Errors: a full disk, an empty folder, a file named
    /// `manifest.json`, anything that is neither a file nor a folder. Cost: reads every byte once.
    pub fn publish(&self, staging: Staging) -> Result<Digest> {
        let digest = self.publish_here(staging)?;
        if let Some(origin) = &self.origin {
            origin.put(&self.dir(&digest), &self.manifest_here(&digest)?)?;
        }
        Ok(digest)
    }

    /// Publishes in the folder alone.
    pub(crate) fn publish_here(&self, staging: Staging) -> Result<Digest> {
        let mut files = Vec::new();
        collect(staging.path(), "", &mut files)?;
        if files.is_empty() {
            return Err(CatalogError::NotPublishable { path: staging.path().into(), reason: "it is empty" });
        }
        let manifest = Manifest::new(files);
        let digest = manifest.digest();
        let path = staging.path().join(Manifest::FILE);
        fs::write(&path, manifest.to_bytes()).map_err(CatalogError::io("write", &path))?;
        make_durable(&path)?;
        sync_folder(staging.path())?;

        let target = self.dir(&digest);
        // Each turn either succeeds or has removed the corrupt folder that was in the way; others
        // can put one there again only by publishing, so a few turns are plenty.
        for _ in 0..8 {
            match fs::rename(staging.path(), &target) {
                Ok(()) => {
                    sync_folder(&self.published)?;
                    return Ok(digest);
                }
                Err(error) if target.exists() => {
                    if self.open_here(&digest).is_ok() {
                        return Ok(digest);
                    }
                    self.discard(&target).map_err(|_| CatalogError::io("publish", &target)(error))?;
                }
                Err(error) => return Err(CatalogError::io("publish", &target)(error)),
            }
        }
        Err(CatalogError::NotPublishable { path: target, reason: "its place keeps being taken" })
    }

    /// A folder with the artifact's small files, if not with all. Nothing is checked: for planning, which reads these only.
    pub fn folder(&self, digest: &Digest) -> Result<PathBuf> {
        match &self.origin {
            Some(origin) if !self.is_here(digest) => self.fetch_small(origin, digest),
            _ => Ok(self.dir(digest)),
        }
    }

    /// Whether an artifact of this name exists; it is not verified. Cost: one file system call, and a request where
    /// the store is in a bucket.
    pub fn contains(&self, digest: &Digest) -> Result<bool> {
        match &self.origin {
            Some(origin) if !self.is_here(digest) => origin.contains(digest),
            _ => Ok(self.is_here(digest)),
        }
    }

    fn is_here(&self, digest: &Digest) -> bool {
        self.dir(digest).join(Manifest::FILE).is_file()
    }

    /// Where the small files of artifacts are that are not here.
    pub(crate) fn small(&self) -> &Path {
        &self.small
    }

    /// The artifact's manifest, verified against its digest. Its files are not looked at.
    pub fn manifest(&self, digest: &Digest) -> Result<Manifest> {
        match (self.manifest_here(digest), &self.origin) {
            (Err(_), Some(origin)) => read_manifest(digest, &origin.manifest(digest)?),
            (found, _) => found,
        }
    }

    fn manifest_here(&self, digest: &Digest) -> Result<Manifest> {
        let dir = self.dir(digest);
        let path = dir.join(Manifest::FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(CatalogError::io("read", &path)(error));
            }
            Err(_) if dir.exists() => {
                return Err(CatalogError::ArtifactFileMissing {
                    digest: *digest,
                    file: Manifest::FILE.into(),
                });
            }
            Err(_) => {
                return Err(CatalogError::ArtifactMissing { digest: *digest, path: self.published.clone() });
            }
        };
        read_manifest(digest, &bytes)
    }

    /// The artifact, every file of it verified. Cost: reads and hashes every byte; a process does
    /// it once per model that it loads. Errors name the first file that is missing, cut or changed.
    pub fn open(&self, digest: &Digest) -> Result<Artifact> {
        match (self.open_here(digest), &self.origin) {
            (Err(_), Some(origin)) => {
                self.fetch(origin, digest)?;
                self.open_here(digest)
            }
            (opened, _) => opened,
        }
    }

    /// The artifact, if all of it is in the folder.
    pub(crate) fn open_here(&self, digest: &Digest) -> Result<Artifact> {
        let manifest = self.manifest_here(digest)?;
        let dir = self.dir(digest);
        for file in &manifest.files {
            let path = dir.join(&file.path);
            let size = match fs::metadata(&path) {
                Ok(metadata) => metadata.len(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(CatalogError::ArtifactFileMissing {
                        digest: *digest,
                        file: file.path.clone(),
                    });
                }
                Err(error) => return Err(CatalogError::io("read", &path)(error)),
            };
            let (expected, found) = (file.size, size);
            if expected != found {
                return Err(CatalogError::ArtifactSize {
                    digest: *digest,
                    file: file.path.clone(),
                    expected,
                    found,
                });
            }
            let (_, found) = hash_file(&path)?;
            let expected = file.sha256;
            if expected != found {
                return Err(CatalogError::ArtifactDigest {
                    digest: *digest,
                    file: file.path.clone(),
                    expected,
                    found,
                });
            }
        }
        Ok(Artifact { digest: *digest, dir, manifest })
    }

    fn dir(&self, digest: &Digest) -> PathBuf {
        self.published.join(digest.to_string())
    }

    /// Moves a corrupt artifact into staging, from where it is removed. Another process may have
    /// done so first.
    fn discard(&self, target: &Path) -> Result<()> {
        let bin = self.stage()?;
        match fs::rename(target, bin.path().join("corrupt")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(CatalogError::io("remove", target)(error))
            }
            _ => Ok(()),
        }
    }
}

/// Reads a manifest, and refuses one that is not what its digest says.
fn read_manifest(digest: &Digest, bytes: &[u8]) -> Result<Manifest> {
    let found = Digest::of(bytes);
    let corrupt = CatalogError::ArtifactDigest {
        digest: *digest,
        file: Manifest::FILE.into(),
        expected: *digest,
        found,
    };
    if found != *digest {
        return Err(corrupt);
    }
    serde_json::from_slice(bytes).map_err(|_| corrupt)
}

/// Gathers the files below `folder`, made durable and immutable on the way; folders after their files.
fn collect(folder: &Path, prefix: &str, files: &mut Vec<ManifestFile>) -> Result<()> {
    let refuse = |path: &Path, reason| Err(CatalogError::NotPublishable { path: path.into(), reason });
    for entry in fs::read_dir(folder).map_err(CatalogError::io("list", folder))? {
        let entry = entry.map_err(CatalogError::io("list", folder))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(CatalogError::io("read", &path))?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            return refuse(&path, "its name is not UTF-8");
        };
        let relative = format!("{prefix}{name}");
        if kind.is_dir() {
            collect(&path, &format!("{relative}/"), files)?;
        } else if !kind.is_file() {
            return refuse(&path, "it is neither a file nor a folder");
        } else if relative == Manifest::FILE {
            return refuse(&path, "the name manifest.json is the store's own");
        } else {
            make_durable(&path)?;
            let (size, sha256) = hash_file(&path)?;
            files.push(ManifestFile { path: relative, size, sha256 });
        }
    }
    if prefix.is_empty() { Ok(()) } else { sync_folder(folder) }
}

/// Brings a file to the disk and takes the right to write it away.
fn make_durable(path: &Path) -> Result<()> {
    // Windows flushes only what is open for writing; Unix would refuse that for a protected file.
    let file =
        File::options().read(true).write(!cfg!(unix)).open(path).map_err(CatalogError::io("open", path))?;
    file.sync_all().map_err(CatalogError::io("write", path))?;
    let mut permissions = file.metadata().map_err(CatalogError::io("read", path))?.permissions();
    permissions.set_readonly(true);
    fs::set_permissions(path, permissions).map_err(CatalogError::io("write-protect", path))
}

/// Brings a folder's entries to the disk, so that a rename survives a power cut.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    // Only Unix opens folders like files; elsewhere the file system's journal has to do.
    if cfg!(unix) {
        let folder = File::open(path).map_err(CatalogError::io("open", path))?;
        folder.sync_all().map_err(CatalogError::io("write", path))?;
    }
    Ok(())
}

/// Size and SHA-256 of a file, read in pieces.
pub(crate) fn hash_file(path: &Path) -> Result<(u64, Digest)> {
    let mut file = File::open(path).map_err(CatalogError::io("open", path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    let mut size = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((size, Digest(hasher.finalize().into()))),
            Ok(read) => {
                hasher.update(&buffer[..read]);
                size += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            Err(error) => return Err(CatalogError::io("read", path)(error)),
        }
    }
}
