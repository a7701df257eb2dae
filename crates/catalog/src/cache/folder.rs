//! Where segments lie: the folder `cache` of a store, and for one in a bucket the objects that it has copies of.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::NamedTempFile;

use super::key::CacheKey;
use super::segment::{START_BYTES, SegmentError, SegmentHead, TAIL_BYTES};
use crate::bucket::Bucket;
use crate::error::{CatalogError, Result};
use crate::store::StoreFiles;
use crate::store_folder::remove_file;

/// What the names of segments end with.
const ENDING: &str = ".segment";

/// What the names of files begin with that are not whole yet.
const UNFINISHED: &str = ".unfinished-";

/// Unfinished files and copies of what the bucket has no more are swept when they are older: nobody writes for so long.
const STALE_AFTER: Duration = Duration::from_secs(60 * 60);

/// A segment, as a listing names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) name: String,
    pub(super) bytes: u64,
    /// When it was last of use; in a bucket, when it was written.
    pub(super) used: SystemTime,
}

/// The segments of a store. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct CacheFolder {
    folder: PathBuf,
    bucket: Option<Bucket>,
}

impl CacheFolder {
    pub(super) fn of(files: &StoreFiles) -> Self {
        Self { folder: files.root().join("cache"), bucket: files.bucket().cloned() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.folder
    }

    pub(super) fn is_in_bucket(&self) -> bool {
        self.bucket.is_some()
    }

    /// Returns the segments of all keys, the least recently used first.
    pub(super) fn list(&self) -> Result<Vec<Stored>> {
        let mut listed: Vec<Stored> = match &self.bucket {
            Some(bucket) => {
                let named = |name: String| name.strip_prefix("cache/").map(str::to_owned);
                let stored = bucket.list("cache")?.into_iter().filter_map(|object| {
                    Some(Stored { name: named(object.name)?, bytes: object.bytes, used: object.modified })
                });
                stored.filter(|stored| stored.name.ends_with(ENDING)).collect()
            }
            None => self.files()?.into_iter().filter(|stored| stored.name.ends_with(ENDING)).collect(),
        };
        listed.sort_by(|a, b| (a.used, &a.name).cmp(&(b.used, &b.name)));
        Ok(listed)
    }

    /// Returns the segments of a key, the least recently used first.
    pub(super) fn list_of(&self, key: &CacheKey) -> Result<Vec<Stored>> {
        let mut listed = self.list()?;
        let begin = format!("{}-", key.name());
        listed.retain(|stored| stored.name.starts_with(&begin));
        Ok(listed)
    }

    /// Returns all files of the folder.
    fn files(&self) -> Result<Vec<Stored>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(CatalogError::io("read", &self.folder))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(CatalogError::io("read", &self.folder))?;
            // One that is gone by now was removed by somebody else.
            let (Ok(name), Ok(metadata)) = (entry.file_name().into_string(), entry.metadata()) else {
                continue;
            };
            let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            found.push(Stored { name, bytes: metadata.len(), used });
        }
        Ok(found)
    }

    /// Returns where this process reads a segment; None where it is gone.
    ///
    /// Cost: where the bucket has it and there is no copy, its bytes.
    pub(super) fn fetch(&self, stored: &Stored) -> Result<Option<PathBuf>> {
        let path = self.folder.join(&stored.name);
        let is_here = fs::metadata(&path).is_ok_and(|metadata| metadata.len() == stored.bytes);
        let Some(bucket) = self.bucket.as_ref().filter(|_| !is_here) else {
            return Ok(is_here.then_some(path));
        };
        let fetched = self.stage()?.into_temp_path();
        if bucket.download(&object(&stored.name), &fetched)?.is_none() {
            return Ok(None);
        }
        fetched.persist(&path).map_err(|error| CatalogError::io("rename", &path)(error.error))?;
        Ok(Some(path))
    }

    /// Removes the copy of a segment that lies in a bucket; returns false where there is no other than this one.
    pub(super) fn forget(&self, name: &str) -> bool {
        self.is_in_bucket() && fs::remove_file(self.folder.join(name)).is_ok()
    }

    /// Returns a new file, which is removed unless it is published.
    pub(super) fn stage(&self) -> Result<NamedTempFile> {
        fs::create_dir_all(&self.folder).map_err(CatalogError::io("create", &self.folder))?;
        let mut builder = tempfile::Builder::new();
        // As any file, within the umask: executors of another user read it too.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let staged = builder.prefix(UNFINISHED).rand_bytes(16).tempfile_in(&self.folder);
        staged.map_err(CatalogError::io("create a file in", &self.folder))
    }

    /// Makes a whole file a segment of a key, and returns its name. It is not brought to the disk first: what a power cut leaves of it shows by its
    /// checksums.
    pub(super) fn publish(&self, staged: NamedTempFile, key: &CacheKey) -> Result<String> {
        let name = staged.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let random = name.strip_prefix(UNFINISHED).unwrap_or(&name);
        let name = format!("{}-{random}{ENDING}", key.name());
        if let Some(bucket) = &self.bucket {
            bucket.upload(staged.path(), &object(&name))?;
        }
        let path = self.folder.join(&name);
        staged.persist(&path).map_err(|error| CatalogError::io("rename", &path)(error.error))?;
        Ok(name)
    }

    /// Removes segments; that one is not there is no error.
    pub(super) fn remove<'a>(&self, names: impl Iterator<Item = &'a String> + Clone) -> Result<()> {
        if let Some(bucket) = &self.bucket {
            bucket.remove(&names.clone().map(|name| object(name)).collect::<Vec<_>>())?;
        }
        names.map(|name| self.folder.join(name)).try_for_each(|path| remove_file(&path))
    }

    /// Removes what killed processes have left, and copies of objects that are gone. What can't be removed is left for the
    /// next time.
    pub(super) fn sweep(&self, listed: &[Stored], now: SystemTime) {
        let known: HashSet<&str> = listed.iter().map(|stored| stored.name.as_str()).collect();
        for file in self.files().unwrap_or_default() {
            let is_waste = file.name.starts_with(UNFINISHED)
                || (self.is_in_bucket()
                    && file.name.ends_with(ENDING)
                    && !known.contains(file.name.as_str()));
            if is_waste && now.duration_since(file.used).unwrap_or_default() > STALE_AFTER {
                let _ = fs::remove_file(self.folder.join(file.name));
            }
        }
    }

    /// Returns what a segment says of itself; None where it is gone or damaged.
    pub(super) fn head(&self, stored: &Stored) -> Result<Option<SegmentHead>> {
        let path = self.folder.join(&stored.name);
        match (File::open(&path), &self.bucket) {
            (Ok(mut file), _) => match SegmentHead::read(&mut file) {
                Ok(head) => Ok(Some(head)),
                Err(SegmentError::Damaged) => Ok(None),
                Err(SegmentError::Io(error)) => Err(CatalogError::io("read", &path)(error)),
            },
            (Err(_), Some(bucket)) => {
                let (name, bytes) = (object(&stored.name), stored.bytes);
                let start = bucket.read_range(&name, 0..START_BYTES.min(bytes))?;
                let tail = bucket.read_range(&name, bytes.saturating_sub(TAIL_BYTES)..bytes)?;
                Ok(start.zip(tail).and_then(|(start, tail)| SegmentHead::parse(&start, &tail, bytes)))
            }
            (Err(error), None) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            (Err(error), None) => Err(CatalogError::io("open", &path)(error)),
        }
    }

    /// Takes the turn to merge, of the processes of this machine; None where another has it. It goes with the value.
    pub(super) fn lock(&self) -> Result<Option<File>> {
        let path = self.folder.join(".merging");
        // One that another user has made may be locked, but not written.
        let file = File::open(&path).or_else(|_| File::create(&path));
        let file = file.map_err(CatalogError::io("create", &path))?;
        // Where the file system has no locks two may merge the same segments: their entries are there twice for a while.
        Ok((!matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock))).then_some(file))
    }
}

/// Returns the name of a segment in a bucket.
fn object(name: &str) -> String {
    format!("cache/{name}")
}
