//! Who writes the data files of a materialized view, and which of them are removed.

use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::catalog::now;
use crate::error::{CatalogError, Result};
use crate::store::Store;
use crate::view_files::ViewFiles;

/// The file in a view's folder that its writer holds locked.
const LOCK: &str = ".writer.lock";

/// How long a data file stays after it has left the ledger: a query that was planned before may still read it.
const KEPT: Duration = Duration::from_secs(60 * 60);

/// The folder of a materialized view, held for writing. The system lets go of the lock when the process ends, however it
/// ends. It is on this machine also where the store is in a bucket, as the catalog is: one machine writes a view.
#[derive(Debug)]
pub struct ViewFolder {
    files: ViewFiles,
    _lock: File,
}

impl ViewFolder {
    /// The data files in it.
    pub fn files(&self) -> &ViewFiles {
        &self.files
    }

    fn lock(files: ViewFiles) -> Result<Option<ViewFolder>> {
        let name = files.folder().join(LOCK);
        let file = File::options().create(true).truncate(false).write(true).open(&name);
        let file = file.map_err(CatalogError::io("open", &name))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Ok(None),
            // A file system without locks can't tell; there the ledger's generation has to do.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(ViewFolder { files, _lock: file })),
        }
    }
}

impl Store {
    /// Opens the folder of a materialized view for writing, and makes it if it is not there.
    ///
    /// Errors: [`CatalogError::ViewBusy`] while someone else has it open.
    pub fn view_folder(&self, name: &str, folder: &str) -> Result<ViewFolder> {
        let files = self.view_files(folder);
        let path = files.folder();
        fs::create_dir_all(path).map_err(CatalogError::io("create", path))?;
        ViewFolder::lock(files)?.ok_or_else(|| CatalogError::ViewBusy { name: name.into() })
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
        // Paths that are there still, and folders that were not looked into.
        let (mut left, mut unseen) = (HashSet::new(), HashSet::new());
        for entry in fs::read_dir(self.root().join("views")).into_iter().flatten().flatten() {
            let path = entry.path();
            let folder = entry.file_name().to_string_lossy().into_owned();
            if path == mine.files.folder() {
                left.extend(sweep(&mine.files, &folder, &kept)?);
                continue;
            }
            // A folder that nobody has open belongs to nothing that is still being made.
            let files = self.view_files(&folder);
            let held = if living.contains(&folder) { None } else { ViewFolder::lock(files).ok().flatten() };
            let Some(held) = held else {
                unseen.insert(folder);
                continue;
            };
            let remaining = sweep(&held.files, &folder, &kept)?;
            // One whose writer has just made it holds nothing else yet.
            if remaining.is_empty() && is_old(&path.join(LOCK)) {
                let _ = fs::remove_file(path.join(LOCK));
                let _ = fs::remove_dir(&path);
            }
            left.extend(remaining);
        }
        let folder_of = |path: &str| path.split_once('/').map_or(path, |(folder, _)| folder).to_owned();
        let removed: Vec<String> = abandoned
            .into_iter()
            .map(|(path, _)| path)
            .filter(|path| !kept.contains(path) && !left.contains(path) && !unseen.contains(&folder_of(path)))
            .collect();
        if removed.is_empty() { Ok(()) } else { self.catalog().forget_view_files(&removed) }
    }
}

/// Removes what is old and not kept. Returns what remains, as paths below `views/`.
fn sweep(files: &ViewFiles, folder: &str, kept: &HashSet<String>) -> Result<Vec<String>> {
    let path = |name: &str| format!("{folder}/{name}");
    let old = |at: SystemTime| SystemTime::now().duration_since(at).is_ok_and(|age| age > KEPT);
    let (gone, stays): (Vec<_>, Vec<_>) =
        files.list()?.into_iter().partition(|(name, at)| !kept.contains(&path(name)) && old(*at));
    let gone: Vec<String> = gone.into_iter().map(|(name, _)| name).collect();
    let mut remaining: Vec<String> = stays.iter().map(|(name, _)| path(name)).collect();
    if files.remove(&gone).is_err() {
        remaining.extend(gone.iter().map(|name| path(name)));
    }
    Ok(remaining)
}

fn is_old(path: &Path) -> bool {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > KEPT))
}
