//! Whose turn it is to replace files of a folder.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::sync::{Arc, LazyLock, Weak};
use std::time::Duration;

use datafusion::error::Result;
use parking_lot::Mutex;
use tokio::sync::{Mutex as Waiting, OwnedMutexGuard};

use super::bucket_turn::{BucketTurn, LEASE};
use super::location::Location;
use super::staging::Staging;

/// How often another process's turn is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The folders of which somebody in this process replaces files, or waits to.
static FOLDERS: LazyLock<Mutex<HashMap<String, Weak<Waiting<()>>>>> = LazyLock::new(Mutex::default);

/// Held by a statement while it lists the files that it replaces and until they are gone: two that listed at once would each leave the
/// other's rows.
///
/// One statement of a process after another; on a file system one of a machine, by a lock on the folder, which ends with its process; in a bucket one
/// of all processes ([`super::bucket_turn`]).
pub(super) struct Turn {
    among_processes: Option<Held>,
    _in_process: OwnedMutexGuard<()>,
}

/// What keeps other processes away. Their file systems, or stores, may have nothing for it.
enum Held {
    Machine(#[allow(dead_code, reason = "the lock ends with it")] File),
    Bucket(BucketTurn),
}

impl Turn {
    /// Waits for it. Blocks no thread.
    pub(super) async fn wait(folder: &Location, staging: &Staging) -> Result<Self> {
        let waiting = {
            let mut folders = FOLDERS.lock();
            folders.retain(|_, waiting| waiting.strong_count() > 0);
            let slot = folders.entry(folder.url().to_owned()).or_default();
            let waiting = slot.upgrade().unwrap_or_default();
            *slot = Arc::downgrade(&waiting);
            waiting
        };
        let in_process = waiting.lock_owned().await;
        let among_processes = match folder.local() {
            Some(path) => match File::open(path) {
                Ok(file) => lock(file).await.map(Held::Machine),
                Err(_) => None,
            },
            None => {
                let turn = BucketTurn::wait(staging.store(), folder, staging.place(), LEASE).await?;
                turn.map(Held::Bucket)
            }
        };
        Ok(Self { among_processes, _in_process: in_process })
    }

    /// Returns the turn that another process may take over, where this is one.
    pub(super) fn in_bucket(&self) -> Option<&BucketTurn> {
        match &self.among_processes {
            Some(Held::Bucket(turn)) => Some(turn),
            _ => None,
        }
    }

    /// Gives it back.
    pub(super) async fn end(self) {
        if let Some(Held::Bucket(turn)) = self.among_processes {
            turn.end().await;
        }
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
