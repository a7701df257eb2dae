//! A folder in which an artifact is put together before it is published.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::{TempDir, TempPath};

use crate::error::{CatalogError, Result};
use crate::manifest::is_plain_relative;

/// Staging that no process holds is swept when it is older than this. Young staging is left
/// alone, so that a crash can be looked into and a process that is just creating its folder and
/// has not locked it yet is not disturbed.
const STALE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// A private folder on the store's own file system, removed with what it contains when dropped
/// unpublished. While it lives, a lock on a file beside it keeps other processes from sweeping
/// it, however long a training run fills it; a process that dies lets go of the lock.
#[derive(Debug)]
pub struct Staging {
    folder: TempDir,
    // Declared after the folder: the lock goes when the folder has gone.
    _lock: (File, Option<TempPath>),
}

impl Staging {
    /// A new empty folder in `parent`.
    pub(crate) fn new(parent: &Path) -> Result<Staging> {
        let mut builder = tempfile::Builder::new();
        // As any folder, within the umask: temporary folders are private by default, and executors
        // of another user have to read what this one becomes.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        let folder = builder
            .prefix("stage-")
            .tempdir_in(parent)
            .map_err(CatalogError::io("create a staging folder in", parent))?;
        let path = lock_path(folder.path());
        let lock = File::create_new(&path).map_err(CatalogError::io("create", &path))?;
        // Where the file system has no locks this fails, and age alone protects the folder.
        let _ = lock.try_lock();
        Ok(Staging { folder, _lock: (lock, TempPath::try_from_path(path).ok()) })
    }

    /// The folder; files may be written into it directly.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes `bytes` as the file `path` (relative, `/` between its parts), with its folders.
    /// Returns where it lies. Errors: a path that leaves the folder, a full disk.
    pub fn write(&mut self, path: &str, bytes: &[u8]) -> Result<PathBuf> {
        self.copy(path, &mut &bytes[..], |_| ())
    }

    /// Copies all of `from` into the file `path`; `progress` gets the bytes of each step.
    pub(crate) fn copy(
        &mut self,
        path: &str,
        from: &mut dyn Read,
        progress: impl Fn(u64),
    ) -> Result<PathBuf> {
        let target = self.target(path)?;
        let mut file = File::create(&target).map_err(CatalogError::io("create", &target))?;
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => return Ok(target),
                Ok(read) => {
                    file.write_all(&buffer[..read]).map_err(CatalogError::io("write", &target))?;
                    progress(read as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(error) => return Err(CatalogError::io("read the bytes of", &target)(error)),
            }
        }
    }

    /// The absolute path for `path`, whose parent folders now exist.
    pub(crate) fn target(&mut self, path: &str) -> Result<PathBuf> {
        if !is_plain_relative(path) {
            return Err(CatalogError::FileOutside {
                origin: "the staged artifact".into(),
                file: path.into(),
            });
        }
        let target = self.path().join(path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(CatalogError::io("create", parent))?;
        }
        Ok(target)
    }
}

/// The lock of the staging folder `folder`: a file beside it, so that it is no part of the artifact.
fn lock_path(folder: &Path) -> PathBuf {
    folder.with_extension("lock")
}

/// Removes staging that a dead process left in `parent` more than a day before `now`. What can't
/// be removed is left for the next time: sweeping never fails an opening of the store.
pub(crate) fn sweep(parent: &Path, now: SystemTime) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        let modified = metadata.modified().unwrap_or(now);
        if now.duration_since(modified).unwrap_or_default() < STALE_AFTER {
            continue;
        }
        let path = entry.path();
        let lock = if metadata.is_dir() { lock_path(&path) } else { path.clone() };
        // A lock that someone holds protects both itself and its folder.
        if File::open(&lock).is_ok_and(|file| matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock))) {
            continue;
        }
        let _ = if metadata.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(parent: &Path) -> usize {
        fs::read_dir(parent).unwrap().count()
    }

    #[test]
    fn dropped_staging_leaves_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let mut staging = Staging::new(parent.path()).unwrap();
        staging.write("1_Pooling/config.json", b"{}").unwrap();
        assert_eq!(names(parent.path()), 2);
        drop(staging);
        assert_eq!(names(parent.path()), 0);
    }

    #[test]
    fn sweeps_the_old_and_dead_but_not_the_young_or_living() {
        let parent = tempfile::tempdir().unwrap();
        let living = Staging::new(parent.path()).unwrap();
        // What kill -9 leaves: a folder and a lock file that nobody holds.
        fs::create_dir(parent.path().join("stage-dead")).unwrap();
        fs::write(parent.path().join("stage-dead/model.safetensors"), b"half").unwrap();
        fs::write(parent.path().join("stage-dead.lock"), b"").unwrap();
        sweep(parent.path(), SystemTime::now());
        assert!(parent.path().join("stage-dead").exists(), "younger than a day");
        sweep(parent.path(), SystemTime::now() + STALE_AFTER + Duration::from_secs(60));
        assert!(!parent.path().join("stage-dead").exists());
        assert!(!parent.path().join("stage-dead.lock").exists());
        assert!(living.path().exists());
        assert_eq!(names(parent.path()), 2);
    }

    #[test]
    fn paths_that_leave_the_folder_are_refused() {
        let parent = tempfile::tempdir().unwrap();
        let mut staging = Staging::new(parent.path()).unwrap();
        for path in ["../x", "/x", "a/../../x", ""] {
            assert!(matches!(staging.write(path, b"").unwrap_err(), CatalogError::FileOutside { .. }));
        }
    }
}
