//! Which process is at a training run.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::NamedTempFile;

use crate::catalog::{Catalog, lock};
use crate::error::{CatalogError, Result};

/// The mark of a living process: a file beside the catalog that it holds locked. The system lets
/// go of the lock when the process ends, however it ends; unlike a process id, a lock is not given
/// to someone else later and does not survive a restart of the machine.
pub(crate) struct Owner {
    file: NamedTempFile,
}

impl Owner {
    fn new(folder: &Path) -> Result<Owner> {
        fs::create_dir_all(folder).map_err(CatalogError::io("create", folder))?;
        sweep(folder);
        let file = tempfile::Builder::new()
            .prefix("process-")
            .suffix(".lock")
            .tempfile_in(folder)
            .map_err(CatalogError::io("create a lock file in", folder))?;
        // Fails only where the file system has no locks; `lives` knows of that.
        let _ = file.as_file().try_lock();
        Ok(Owner { file })
    }

    fn name(&self) -> String {
        self.file.path().file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// Whether the process that holds `owner` lives. Readers share their try, so that they never take
/// each other for the owner.
pub(crate) fn lives(folder: &Path, owner: &str) -> bool {
    let Ok(file) = File::open(folder.join(owner)) else {
        return false;
    };
    match file.try_lock_shared() {
        Ok(()) => false,
        Err(TryLockError::WouldBlock) => true,
        // A file system without locks can't tell; better to say nothing than that a run has died.
        Err(TryLockError::Error(_)) => true,
    }
}

/// Removes the marks of dead processes. A young mark may be about to be locked.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::now());
        let old = modified.elapsed().unwrap_or_default() > Duration::from_secs(24 * 60 * 60);
        if old && !lives(folder, &entry.file_name().to_string_lossy()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

impl Catalog {
    /// The mark of this process, made when it is first asked for.
    pub(crate) fn this_owner(&self) -> Result<String> {
        let mut owner = lock(&self.owner);
        match owner.as_ref() {
            Some(owner) => Ok(owner.name()),
            None => Ok(owner.insert(Owner::new(&self.owners())?).name()),
        }
    }

    /// The folder with the marks of the processes that train.
    pub(crate) fn owners(&self) -> PathBuf {
        self.path().with_file_name("running")
    }
}
