//! The folder of a training run: `runs/<run>/` in the store.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::artifacts::sync_folder;
use crate::error::{CatalogError, Result};
use crate::ids::RunId;
use crate::manifest::is_plain_relative;
use crate::run_files::RunFiles;
use crate::runs::TrainingStatus;
use crate::store::Store;
use crate::store_folder::remove_file;
use crate::working_folder::mark;

/// The file in a run's folder that its writer holds locked.
const LOCK: &str = ".writer.lock";

/// What the names of files begin with that are not whole yet.
const UNFINISHED: &str = ".unfinished-";

/// The folder of a training run, held for writing: features, states, event files.
///
/// While it lives no other process or session can open the folder; the system lets go of the lock
/// when the process ends, however it ends. Names of files are relative, with `/` between their parts.
#[derive(Debug)]
pub struct RunFolder {
    run: RunId,
    folder: PathBuf,
    /// What the tasks of a store in a bucket read and write there.
    shared: Option<RunFiles>,
    _lock: File,
}

impl Store {
    /// Opens the folder of a run for writing, and makes it if it is not there. What was being
    /// written when an earlier writer died is removed, and so are the states of other runs that
    /// have ended.
    ///
    /// Errors: an unknown run; [`CatalogError::RunBusy`] while someone else has it open.
    pub fn run_folder(&self, run: RunId) -> Result<RunFolder> {
        let runs = self.catalog().training_runs()?;
        let Some(found) = runs.iter().find(|found| found.run_id == run) else {
            return Err(CatalogError::RunUnknown { run });
        };
        let folder = self.run_path(run);
        fs::create_dir_all(&folder).map_err(CatalogError::io("create", &folder))?;
        let Some(opened) = self.lock_run(run, folder)? else {
            return Err(CatalogError::RunBusy { run, model: found.model.clone() });
        };
        // The entry of a new folder must outlive a power cut too.
        sync_folder(&self.runs_path())?;
        for name in opened.files()?.iter().filter(|name| is_unfinished(name)) {
            opened.remove(name)?;
        }
        let ended = runs.iter().filter(|other| {
            other.run_id != run && matches!(other.status, TrainingStatus::Done | TrainingStatus::Failed)
        });
        self.sweep(ended.map(|other| other.run_id));
        Ok(opened)
    }

    /// What the tasks of a run read and write, wherever they run.
    ///
    /// Of a store in a folder, that is the run's folder. In a bucket, which other catalogs may share, the run has a name
    /// of its own.
    pub fn run_files(&self, run: RunId) -> Result<RunFiles> {
        let name = match self.files().bucket() {
            Some(_) => format!("runs/{}-{run}", mark(self.root())?),
            None => format!("runs/{run}"),
        };
        self.files().run_files(&name)
    }

    fn lock_run(&self, run: RunId, folder: PathBuf) -> Result<Option<RunFolder>> {
        let shared = match self.files().bucket() {
            Some(_) => Some(self.run_files(run)?),
            None => None,
        };
        RunFolder::lock(run, folder, shared)
    }

    /// Where the folder of a run lies, whether it is there or not: for reading.
    pub fn run_path(&self, run: RunId) -> PathBuf {
        self.runs_path().join(run.to_string())
    }

    /// Removes the large files of every run that is done or failed and that nobody has open.
    /// Opening a run's folder does so too. What can't be removed is left for the next time.
    pub fn sweep_run_folders(&self) -> Result<()> {
        let runs = self.catalog().training_runs()?;
        let ended =
            runs.iter().filter(|run| matches!(run.status, TrainingStatus::Done | TrainingStatus::Failed));
        self.sweep(ended.map(|run| run.run_id));
        Ok(())
    }

    fn sweep(&self, ended: impl Iterator<Item = RunId>) {
        for run in ended {
            let folder = self.run_path(run);
            // Most have been swept before: their folders are read without taking the lock.
            if files(&folder).is_ok_and(|names| !names.iter().all(|name| is_kept(name)))
                && let Ok(Some(folder)) = self.lock_run(run, folder)
            {
                let _ = folder.finish();
            }
        }
    }

    fn runs_path(&self) -> PathBuf {
        self.root().join("runs")
    }
}

impl RunFolder {
    /// Takes the folder's lock, or returns `None` if someone has it.
    fn lock(run: RunId, folder: PathBuf, shared: Option<RunFiles>) -> Result<Option<RunFolder>> {
        let path = folder.join(LOCK);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(CatalogError::io("open", &path))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Ok(None),
            // A file system without locks can't tell; there the catalog's own word has to do.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(RunFolder { run, folder, shared, _lock: file })),
        }
    }

    /// The run.
    pub fn run(&self) -> RunId {
        self.run
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the file `name` lies or will lie; the folders above it are there. A file written
    /// there directly can be seen half-written after a crash. Errors: a name that leaves the folder.
    pub fn path(&self, name: &str) -> Result<PathBuf> {
        if !is_plain_relative(name) {
            return Err(CatalogError::RunFileInvalid { run: self.run, name: name.into() });
        }
        let path = self.folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(CatalogError::io("create", parent))?;
        }
        Ok(path)
    }

    /// Writes the file `name` so that whoever looks, after a power cut too, sees all of it or what
    /// was there before. Returns where it lies.
    pub fn write_atomically(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        self.write_with(name, |path| {
            let mut file = File::create(path).map_err(CatalogError::io("create", path))?;
            file.write_all(bytes).map_err(CatalogError::io("write", path))
        })
    }

    /// As [`RunFolder::write_atomically`], with the bytes that `write` puts into the file that it
    /// is given. After an error nothing was written.
    pub fn write_with<E: From<CatalogError>>(
        &self,
        name: &str,
        write: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<PathBuf, E> {
        let path = self.path(name)?;
        write_whole(&path, write)?;
        Ok(path)
    }

    /// The bytes of the file `name`, or `None` if there is none.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.path(name)?;
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(CatalogError::io("read", &path)(error)),
        }
    }

    /// The names of the whole files, sorted.
    pub fn list(&self) -> Result<Vec<String>> {
        let mut names = self.files()?;
        names.retain(|name| name != LOCK && !is_unfinished(name));
        Ok(names)
    }

    /// Removes the file `name`; that it is not there is no error.
    pub fn remove(&self, name: &str) -> Result<()> {
        remove_file(&self.path(name)?)
    }

    /// Removes what only going on would need, once the run is done or failed: all but the event
    /// files and the JSON files beside them. Of a store in a bucket, these are copied into it.
    pub fn finish(&self) -> Result<()> {
        // First: what is left in the folder says that there may be something left in the bucket.
        if let Some(shared) = &self.shared {
            self.finish_shared(shared)?;
        }
        for name in self.files()?.iter().filter(|name| !is_kept(name)) {
            self.remove(name)?;
        }
        for entry in fs::read_dir(&self.folder).map_err(CatalogError::io("read", &self.folder))?.flatten() {
            // Of the folders only empty ones are left.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                fs::remove_dir_all(entry.path()).map_err(CatalogError::io("remove", &entry.path()))?;
            }
        }
        Ok(())
    }

    /// Removes the folder and all in it, of a store in a bucket what is there too.
    pub fn discard(self) -> Result<()> {
        if let Some(shared) = &self.shared {
            shared.remove(&shared.list("")?)?;
            if let Err(error) = fs::remove_dir_all(shared.folder())
                && error.kind() != std::io::ErrorKind::NotFound
            {
                return Err(CatalogError::io("remove", shared.folder())(error));
            }
        }
        fs::remove_dir_all(&self.folder).map_err(CatalogError::io("remove", &self.folder))
    }

    fn finish_shared(&self, shared: &RunFiles) -> Result<()> {
        for name in self.list()?.iter().filter(|name| is_kept(name)) {
            shared.publish(&self.folder.join(name), name)?;
        }
        let mut names = shared.list("")?;
        names.retain(|name| !is_kept(name));
        shared.remove(&names)?;
        match fs::remove_dir_all(shared.folder()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(CatalogError::io("remove", shared.folder())(error))
            }
            _ => Ok(()),
        }
    }

    fn files(&self) -> Result<Vec<String>> {
        files(&self.folder).map_err(CatalogError::io("read", &self.folder))
    }
}

/// Whether a run that has ended keeps this file.
fn is_kept(name: &str) -> bool {
    let top = !name.contains('/');
    name == LOCK
        || (top && !is_unfinished(name) && (name.starts_with("events.out.") || name.ends_with(".json")))
}

fn is_unfinished(name: &str) -> bool {
    name.rsplit('/').next().is_some_and(|file| file.starts_with(UNFINISHED))
}

/// Writes the file at `path`, whose folder is there, so that whoever looks, after a power cut too, sees all of it or what was
/// there before: `write` is given another name beside it. After an error nothing was written.
pub fn write_whole<E: From<CatalogError>>(
    path: &Path,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let file_name = path.file_name().unwrap_or_default().to_string_lossy();
    let unfinished = path.with_file_name(format!("{UNFINISHED}{file_name}"));
    let written = write(&unfinished).and_then(|()| Ok(settle(&unfinished, path)?));
    if written.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    written
}

/// Brings a file to the disk and then to its name.
fn settle(from: &Path, to: &Path) -> Result<()> {
    // Windows flushes only what is open for writing.
    let file = File::options().read(true).write(true).open(from).map_err(CatalogError::io("open", from))?;
    file.sync_all().map_err(CatalogError::io("write", from))?;
    fs::rename(from, to).map_err(CatalogError::io("rename", from))?;
    to.parent().map_or(Ok(()), sync_folder)
}

/// The names of the files under a folder, sorted. Links are not followed.
pub(crate) fn files(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(below) = folders.pop() {
        for entry in fs::read_dir(folder.join(&below))? {
            let entry = entry?;
            let name = format!("{below}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                folders.push(format!("{name}/"));
            } else {
                names.push(name);
            }
        }
    }
    names.sort();
    Ok(names)
}
