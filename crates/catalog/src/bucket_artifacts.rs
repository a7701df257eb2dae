//! Artifacts in a bucket: `artifacts/<digest>/…`, its manifest written last, and copies of them in the working folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::artifacts::{Artifacts, hash_file};
use crate::bucket::Bucket;
use crate::error::{CatalogError, Result};
use crate::ids::Digest;
use crate::manifest::{Manifest, ManifestFile};

/// Files up to this length are what planning reads of an artifact: cards, configurations, vocabularies. Weights are never.
const SMALL_BYTES: u64 = 4 << 20;

/// Where artifacts come from that the working folder lacks.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    bucket: Bucket,
    /// Held while something is fetched: two threads that need one model fetch it once.
    fetching: Arc<Mutex<()>>,
}

impl Origin {
    pub(crate) fn new(bucket: Bucket) -> Self {
        Origin { bucket, fetching: Arc::default() }
    }

    fn name(digest: &Digest, file: &str) -> String {
        format!("artifacts/{digest}/{file}")
    }

    /// Whether there is an artifact of this name.
    pub(crate) fn contains(&self, digest: &Digest) -> Result<bool> {
        Ok(self.bucket.tag(&Self::name(digest, Manifest::FILE))?.is_some())
    }

    /// Returns the bytes of an artifact's manifest.
    pub(crate) fn manifest(&self, digest: &Digest) -> Result<Vec<u8>> {
        let missing = || CatalogError::ArtifactMissing {
            digest: *digest,
            path: PathBuf::from(self.bucket.url("artifacts")),
        };
        self.bucket.read(&Self::name(digest, Manifest::FILE))?.ok_or_else(missing)
    }

    /// Puts a published artifact into the bucket, where it is not whole there already.
    ///
    /// Nobody looks at its files before its manifest is there, and that is written last.
    pub(crate) fn put(&self, dir: &Path, manifest: &Manifest) -> Result<()> {
        let digest = manifest.digest();
        let there = self.bucket.list(&format!("artifacts/{digest}"))?;
        let is_there = |file: &ManifestFile| {
            let name = Self::name(&digest, &file.path);
            there.binary_search_by(|known| known.name.cmp(&name)).is_ok_and(|at| there[at].bytes == file.size)
        };
        let is_announced = there.iter().any(|known| known.name == Self::name(&digest, Manifest::FILE));
        if is_announced && manifest.files.iter().all(is_there) {
            return Ok(());
        }
        for file in &manifest.files {
            self.bucket.upload(&dir.join(&file.path), &Self::name(&digest, &file.path))?;
        }
        self.bucket.write(&Self::name(&digest, Manifest::FILE), manifest.to_bytes())
    }

    /// Writes one file of an artifact, and refuses it where it is not what the manifest says.
    fn fetch_file(&self, digest: &Digest, file: &ManifestFile, to: &Path) -> Result<()> {
        if self.bucket.download(&Self::name(digest, &file.path), to)?.is_none() {
            return Err(CatalogError::ArtifactFileMissing { digest: *digest, file: file.path.clone() });
        }
        let (size, sha256) = hash_file(to)?;
        if size != file.size {
            let (expected, found) = (file.size, size);
            return Err(CatalogError::ArtifactSize {
                digest: *digest,
                file: file.path.clone(),
                expected,
                found,
            });
        }
        if sha256 != file.sha256 {
            let (expected, found) = (file.sha256, sha256);
            return Err(CatalogError::ArtifactDigest {
                digest: *digest,
                file: file.path.clone(),
                expected,
                found,
            });
        }
        Ok(())
    }
}

impl Artifacts {
    /// Fetches an artifact into the working folder, in the place of one that is not whole there.
    pub(crate) fn fetch(&self, origin: &Origin, digest: &Digest) -> Result<()> {
        let _one_at_a_time = origin.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever had the lock may have fetched it.
        if self.open_here(digest).is_ok() {
            return Ok(());
        }
        let manifest = self.manifest(digest)?;
        let mut staging = self.stage()?;
        for file in &manifest.files {
            let to = staging.target(&file.path)?;
            origin.fetch_file(digest, file, &to)?;
        }
        self.publish_here(staging)?;
        Ok(())
    }

    /// Returns a folder with an artifact's small files, fetched by the first call.
    pub(crate) fn fetch_small(&self, origin: &Origin, digest: &Digest) -> Result<PathBuf> {
        let folder = self.small().join(digest.to_string());
        let _one_at_a_time = origin.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        if folder.is_dir() {
            return Ok(folder);
        }
        let mut staging = self.stage()?;
        let is_small =
            |file: &&ManifestFile| file.size <= SMALL_BYTES && !file.path.ends_with(".safetensors");
        for file in self.manifest(digest)?.files.iter().filter(is_small) {
            let to = staging.target(&file.path)?;
            origin.fetch_file(digest, file, &to)?;
        }
        fs::create_dir_all(self.small()).map_err(CatalogError::io("create", self.small()))?;
        match fs::rename(staging.path(), &folder) {
            // Another process has been faster.
            Err(error) if error.kind() != io::ErrorKind::NotFound && folder.is_dir() => Ok(folder),
            Err(error) => Err(CatalogError::io("publish", &folder)(error)),
            Ok(()) => Ok(folder),
        }
    }
}
