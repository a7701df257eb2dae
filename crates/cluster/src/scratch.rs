//! The folder that an executor puts shuffle files and spills into.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

const PREFIX: &str = "nightjar-executor-";

/// The file by which others see that a folder is in use.
const LOCK: &str = "lock";

/// A younger folder is left alone: its executor may be about to lock it.
const YOUNG: Duration = Duration::from_secs(60);

/// A folder of one process, which goes with it. One that a killed process left is removed by the next executor that starts
/// beside it: the system lets go of a lock when a process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: TempDir,
    _lock: File,
}

impl Scratch {
    /// Makes a folder in `parent`, which is made if need be, and removes what dead executors have left there.
    pub(crate) fn new(parent: &Path) -> io::Result<Self> {
        fs::create_dir_all(parent)?;
        sweep(parent, SystemTime::now());
        let folder = TempDir::with_prefix_in(PREFIX, parent)?;
        let lock = File::create_new(folder.path().join(LOCK))?;
        // Where the file system has no locks this fails, and nothing is swept either.
        let _ = lock.try_lock();
        Ok(Self { folder, _lock: lock })
    }

    /// Returns a folder in it by its name, and makes it.
    pub(crate) fn subfolder(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.folder.path().join(name);
        fs::create_dir_all(&path)?;
        Ok(path)
    }
}

/// Removes the folders of executors that have ended without doing so. What can't be removed is left for the next time.
fn sweep(parent: &Path, now: SystemTime) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        let lock = entry.path().join(LOCK);
        let Ok(made) = fs::metadata(&lock).and_then(|metadata| metadata.modified()) else { continue };
        if ours && now.duration_since(made).unwrap_or_default() > YOUNG && is_free(&lock) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn is_free(lock: &Path) -> bool {
    match File::open(lock).map(|file| file.try_lock()) {
        Ok(Ok(())) => true,
        Ok(Err(TryLockError::WouldBlock | TryLockError::Error(_))) | Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_go_with_their_process_and_dead_ones_are_swept() {
        let parent = tempfile::tempdir().unwrap();
        let living = Scratch::new(parent.path()).unwrap();
        living.subfolder("spills").unwrap();
        // What a killed process leaves: a folder with a lock that nobody holds.
        let dead = parent.path().join(format!("{PREFIX}dead"));
        let foreign = parent.path().join("other");
        for folder in [&dead, &foreign] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join(LOCK), "").unwrap();
        }
        sweep(parent.path(), SystemTime::now());
        assert!(dead.exists(), "it is young");
        sweep(parent.path(), SystemTime::now() + 2 * YOUNG);
        assert!(!dead.exists() && foreign.exists() && living.folder.path().join("spills").exists());
        drop(living);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1, "the foreign one");
    }
}
