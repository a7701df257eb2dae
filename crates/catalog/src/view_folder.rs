//! The folders of materialized views: `views/<folder>/` in the store.

use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::catalog::now;
use crate::error::{CatalogError, Result};
use crate::store::Store;

/// The file in a view's folder that its writer holds locked.
const LOCK: &str = ".writer.lock";

/// How long a data file stays after it has left the ledger: a query that was planned before may still read it.
const KEPT: Duration = Duration::from_secs(60 * 60);

/// The folder of a materialized view, held for writing. The system lets go of the lock when the process ends, however it
/// ends.
#[derive(Debug)]
pub struct ViewFolder {
    path: PathBuf,
    _lock: File,
}

impl ViewFolder {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn lock(path: PathBuf) -> Result<Option<ViewFolder>> {
        let name = path.join(LOCK);
        let file = File::options().create(true).truncate(false).write(true).open(&name);
        let file = file.map_err(CatalogError::io("open", &name))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Ok(None),
            // A file system without locks can't tell; there the ledger's generation has to do.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(ViewFolder { path, _lock: file })),
        }
    }
}

impl Store {
    /// Where the data files of a materialized view lie.
    pub fn view_path(&self, folder: &str) -> PathBuf {
        self.root().join("views").join(folder)
    }

    /// Opens the folder of a materialized view for writing, and makes it if it is not there.
    ///
    /// Errors: [`CatalogError::ViewBusy`] while someone else has it open; [`CatalogError::ViewsInBucket`].
    pub fn view_folder(&self, name: &str, folder: &str) -> Result<ViewFolder> {
        if self.files().bucket().is_some() {
            return Err(CatalogError::ViewsInBucket { name: name.into() });
        }
        let path = self.view_path(folder);
        fs::create_dir_all(&path).map_err(CatalogError::io("create", &path))?;
        ViewFolder::lock(path)?.ok_or_else(|| CatalogError::ViewBusy { name: name.into() })
    }

    /// Removes data files that have been in no ledger for over an hour: of `mine`, which the caller holds, and of views that
    /// are gone. What can't be removed is left for the next time.
    pub fn sweep_views(&self, mine: &ViewFolder) -> Result<()> {
        let abandoned = self.catalog().abandoned_view_files()?;
        let horizon = now().saturating_sub(i64::try_from(KEPT.as_micros()).unwrap_or(i64::MAX));
        let mut kept: HashSet<String> =
            abandoned.iter().filter(|(_, at)| *at > horizon).map(|(path, _)| path.clone()).collect();
        let mut living = HashSet::new();
        for view in self.catalog().materialized_views()? {
            let data = view.files.iter().filter_map(|file| file.data.as_ref()).chain([&view.columns]);
            kept.extend(data.map(|name| format!("{}/{name}", view.folder)));
            living.insert(view.folder);
        }
        for entry in fs::read_dir(self.root().join("views")).into_iter().flatten().flatten() {
            let path = entry.path();
            let folder = entry.file_name().to_string_lossy().into_owned();
            if path == mine.path {
                sweep(&path, &folder, &kept);
            } else if !living.contains(&folder)
                // A folder that nobody has open belongs to nothing that is still being made.
                && let Ok(Some(_held)) = ViewFolder::lock(path.clone())
                && sweep(&path, &folder, &kept)
            {
                let _ = fs::remove_file(path.join(LOCK));
                let _ = fs::remove_dir(&path);
            }
        }
        let removed: Vec<String> = abandoned
            .into_iter()
            .map(|(path, _)| path)
            .filter(|path| !kept.contains(path) && !self.root().join("views").join(path).exists())
            .collect();
        if removed.is_empty() { Ok(()) } else { self.catalog().forget_view_files(&removed) }
    }
}

/// Removes what is old and not kept. Returns whether the folder is empty then.
fn sweep(path: &Path, folder: &str, kept: &HashSet<String>) -> bool {
    let mut empty = true;
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == LOCK {
            // A folder whose writer has just made it holds nothing else yet.
            empty &= is_old(&entry.path());
            continue;
        }
        let gone = !kept.contains(&format!("{folder}/{name}"))
            && is_old(&entry.path())
            && fs::remove_file(entry.path()).is_ok();
        empty &= gone;
    }
    empty
}

fn is_old(path: &Path) -> bool {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > KEPT))
}
