//! The files of a run that its tasks read and write, wherever they run: in the run's folder, or in the store's bucket.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{CatalogError, Result};
use crate::manifest::is_plain_relative;
use crate::run_folder::{files, write_whole};
use crate::store::StoreFiles;
use crate::store_folder::{StoreFolder, remove_file};

/// The files of a run, by names relative to it. Cheap to clone.
///
/// A store in a folder has them there. In one in a bucket a file is there once all of it is; what a process reads or writes it
/// keeps a copy of, which is used while the bucket's file is still the same.
#[derive(Clone, Debug)]
pub struct RunFiles {
    files: StoreFolder,
}

impl StoreFiles {
    /// Returns the files of the run that a plan names, as [`RunFiles::name`] does.
    ///
    /// Errors: a name that leads out of the store.
    pub fn run_files(&self, name: &str) -> Result<RunFiles> {
        if !name.starts_with("runs/") || !is_plain_relative(name) {
            return Err(CatalogError::RunNameInvalid { name: name.to_owned() });
        }
        Ok(RunFiles { files: StoreFolder::new(self, name.to_owned()) })
    }
}

impl RunFiles {
    /// Returns the run's name, by which every process of the same store finds its files.
    pub fn name(&self) -> &str {
        &self.files.name
    }

    /// Returns the folder of what this process keeps: all files, or copies of them.
    pub fn folder(&self) -> &Path {
        &self.files.path
    }

    /// Returns where a scan finds a file: a path, or a URL.
    pub fn location(&self, file: &str) -> String {
        self.files.location(file)
    }

    /// Returns a file's bytes, or `None` if there is no such file.
    pub fn read(&self, file: &str) -> Result<Option<Vec<u8>>> {
        match &self.files.bucket {
            Some(bucket) => bucket.read(&self.files.object(file)),
            None => {
                let path = self.files.path.join(file);
                match fs::read(&path) {
                    Ok(bytes) => Ok(Some(bytes)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(CatalogError::io("read", &path)(error)),
                }
            }
        }
    }

    /// Whether there is a file of this name.
    pub fn contains(&self, file: &str) -> Result<bool> {
        match &self.files.bucket {
            Some(bucket) => Ok(bucket.tag(&self.files.object(file))?.is_some()),
            None => Ok(self.files.path.join(file).is_file()),
        }
    }

    /// Returns a path at which this process reads a file.
    ///
    /// Errors: no such file. Cost: where the bucket has it, a request; and the file's bytes, if this process has no copy.
    pub fn open(&self, file: &str) -> Result<PathBuf> {
        let Some(bucket) = &self.files.bucket else { return Ok(self.files.path.join(file)) };
        let name = self.files.object(file);
        let missing = || CatalogError::RunFileMissing { file: bucket.url(&name) };
        let copy = self.copy(file, &bucket.tag(&name)?.ok_or_else(missing)?);
        if !copy.is_file() {
            let folder = copy.parent().unwrap_or(&self.files.path);
            fs::create_dir_all(folder).map_err(CatalogError::io("create", folder))?;
            // Under a name of its own: other tasks may fetch it too.
            let fetched = tempfile::NamedTempFile::new_in(folder)
                .map_err(CatalogError::io("create a file in", folder))?
                .into_temp_path();
            bucket.download(&name, &fetched)?.ok_or_else(missing)?;
            fetched.persist(&copy).map_err(|error| CatalogError::io("rename", &copy)(error.error))?;
        }
        Ok(copy)
    }

    /// Writes a file, whole or not at all, with the bytes that `write` puts into the file that it is given.
    pub fn write_with<E: From<CatalogError>>(
        &self,
        file: &str,
        write: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<(), E> {
        let path = self.files.path.join(file);
        let folder = path.parent().unwrap_or(&self.files.path);
        fs::create_dir_all(folder).map_err(CatalogError::io("create", folder))?;
        let Some(bucket) = &self.files.bucket else { return write_whole(&path, write) };
        let written = tempfile::NamedTempFile::new_in(folder)
            .map_err(CatalogError::io("create a file in", folder))?
            .into_temp_path();
        write(&written)?;
        let copy = self.copy(file, &bucket.upload(&written, &self.files.object(file))?);
        // Without the copy it is fetched when it is needed.
        let _ = written.persist(copy);
        Ok(())
    }

    /// Writes a file with these bytes, whole or not at all.
    pub fn write(&self, file: &str, bytes: &[u8]) -> Result<()> {
        match &self.files.bucket {
            Some(bucket) => bucket.write(&self.files.object(file), bytes.to_vec()),
            None => {
                self.write_with(file, |path| fs::write(path, bytes).map_err(CatalogError::io("write", path)))
            }
        }
    }

    /// Makes a file of this process one of the run; in a store in a folder it is one already.
    pub fn publish(&self, from: &Path, file: &str) -> Result<()> {
        match &self.files.bucket {
            Some(bucket) => bucket.upload(from, &self.files.object(file)).map(|_| ()),
            None => Ok(()),
        }
    }

    /// Gives a file another name, in the place of what bears it.
    pub fn rename(&self, from: &str, to: &str) -> Result<()> {
        match &self.files.bucket {
            Some(bucket) => bucket.rename(&self.files.object(from), &self.files.object(to)),
            None => {
                let path = self.files.path.join(from);
                fs::rename(&path, self.files.path.join(to)).map_err(CatalogError::io("rename", &path))
            }
        }
    }

    /// Removes files, and this process's copies of them; that one is not there is no error.
    pub fn remove(&self, names: &[String]) -> Result<()> {
        if self.files.bucket.is_none() {
            return names.iter().try_for_each(|name| remove_file(&self.files.path.join(name)));
        }
        names.iter().for_each(|name| self.forget(name));
        self.files.remove_objects(names)
    }

    /// Removes this process's copies of a file of a bucket. One that can't be removed goes with the others of the run.
    pub fn forget(&self, file: &str) {
        let path = self.files.path.join(file);
        let (true, Some(folder), Some(name)) = (self.files.bucket.is_some(), path.parent(), path.file_name())
        else {
            return;
        };
        let ending = copy_name("", &name.to_string_lossy());
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().ends_with(&ending) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Returns the names of the files in a folder of the run, sorted.
    pub fn list(&self, folder: &str) -> Result<Vec<String>> {
        match &self.files.bucket {
            Some(bucket) => {
                let listed = bucket.list(&self.files.object(folder))?;
                Ok(listed
                    .iter()
                    .filter_map(|object| Some(self.files.file(&object.name)?.to_owned()))
                    .collect())
            }
            None => match files(&self.files.path.join(folder)) {
                Ok(names) => Ok(names.iter().map(|name| format!("{folder}/{name}")).collect()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
                Err(error) => Err(CatalogError::io("read", self.files.path.join(folder))(error)),
            },
        }
    }

    /// Returns where a file lies that stays with this process.
    pub fn local(&self, file: &str) -> PathBuf {
        self.files.path.join(file)
    }

    fn copy(&self, file: &str, tag: &str) -> PathBuf {
        let path = self.files.path.join(file);
        let name = path.file_name().map(OsString::from).unwrap_or_default();
        path.with_file_name(copy_name(tag, &name.to_string_lossy()))
    }
}

/// Returns the name of a copy. It has the file's ending, and no file of a run's folder has its begin.
fn copy_name(tag: &str, file: &str) -> String {
    format!("{tag}@{file}")
}
