//! Whose turn it is to replace files of a folder.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::sync::{Arc, LazyLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Mutex as Waiting, OwnedMutexGuard};

use super::location::Location;

/// How often another process's turn is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The folders of which somebody in this process replaces files, or waits to.
static FOLDERS: LazyLock<Mutex<HashMap<String, Weak<Waiting<()>>>>> = LazyLock::new(Mutex::default);

/// Held by a statement while it lists the files that it replaces and until they are gone: two that listed at once would each leave the
/// other's rows.
///
/// One statement of a process after another; on a file system one of a machine, by a lock on the folder, which ends with its process. Processes that
/// write into one bucket have no turns.
pub(super) struct Turn {
    _in_process: OwnedMutexGuard<()>,
    /// None in a bucket, and on file systems that have no locks.
    _on_machine: Option<File>,
}

impl Turn {
    /// Waits for it. Blocks no thread.
    pub(super) async fn wait(folder: &Location) -> Self {
        let waiting = {
            let mut folders = FOLDERS.lock();
            folders.retain(|_, waiting| waiting.strong_count() > 0);
            let slot = folders.entry(folder.url().to_owned()).or_default();
            let waiting = slot.upgrade().unwrap_or_default();
            *slot = Arc::downgrade(&waiting);
            waiting
        };
        let in_process = waiting.lock_owned().await;
        let file = folder.local().and_then(|path| File::open(path).ok());
        let on_machine = match file {
            Some(file) => lock(file).await,
            None => None,
        };
        Self { _in_process: in_process, _on_machine: on_machine }
    }
}

async fn lock(file: File) -> Option<File> {
    loop {
        match file.try_lock() {
            Ok(()) => return Some(file),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOOK_EVERY).await,
            Err(TryLockError::Error(_)) => return None,
        }
    }
}
