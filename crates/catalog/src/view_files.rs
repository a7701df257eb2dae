//! The data files of a materialized view: `views/<folder>/` in the store.

use std::fs::{self, File};
use std::path::Path;
use std::time::SystemTime;

use crate::error::{CatalogError, Result};
use crate::store::Store;
use crate::store_folder::{StoreFolder, remove_file};

/// The data files of a materialized view, by their names. Cheap to clone.
///
/// A store in a folder has them there. Of one in a bucket they are objects; a file is written in the working folder, and leaves it
/// when it is published.
#[derive(Clone, Debug)]
pub struct ViewFiles {
    files: StoreFolder,
}

impl Store {
    /// Returns the data files of the view with this folder.
    pub fn view_files(&self, folder: &str) -> ViewFiles {
        ViewFiles { files: StoreFolder::new(self.files(), format!("views/{folder}")) }
    }
}

impl ViewFiles {
    /// Returns the folder of this machine in which files are written.
    pub fn folder(&self) -> &Path {
        &self.files.path
    }

    /// Returns where a scan finds a published file: an absolute path, or a URL.
    pub fn location(&self, file: &str) -> String {
        self.files.location(file)
    }

    /// Brings a file that was written, and synced, to where scans find it.
    pub fn publish(&self, file: &str) -> Result<()> {
        let Some(bucket) = &self.files.bucket else { return Ok(()) };
        let written = self.files.path.join(file);
        bucket.upload(&written, &self.files.object(file))?;
        // What stays is swept later.
        let _ = fs::remove_file(written);
        Ok(())
    }

    /// Has the disk keep the names of the files: what follows is the ledger that names them.
    pub fn sync(&self) -> Result<()> {
        if cfg!(unix) && self.files.bucket.is_none() {
            let failed = || CatalogError::io("sync", &self.files.path);
            File::open(&self.files.path).map_err(failed())?.sync_all().map_err(failed())?;
        }
        Ok(())
    }

    /// Returns whether all of these files are there. Cost: a listing, where a bucket has them.
    pub fn contain<'a>(&self, mut files: impl Iterator<Item = &'a String>) -> Result<bool> {
        let Some(bucket) = &self.files.bucket else {
            return Ok(files.all(|file| self.files.path.join(file).is_file()));
        };
        let listed = bucket.list(&self.files.name)?;
        let there: std::collections::HashSet<&str> =
            listed.iter().filter_map(|object| self.files.file(&object.name)).collect();
        Ok(files.all(|file| there.contains(file.as_str())))
    }

    /// Removes files, published or not. That one is not there is no error.
    pub fn remove(&self, files: &[String]) -> Result<()> {
        files.iter().try_for_each(|file| remove_file(&self.files.path.join(file)))?;
        self.files.remove_objects(files)
    }

    /// Returns the files that are there, published or not, with the times when they were written; hidden ones left out.
    pub(crate) fn list(&self) -> Result<Vec<(String, SystemTime)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.files.path).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            if let (false, Ok(modified)) = (name.starts_with('.'), modified) {
                found.push((name, modified));
            }
        }
        for object in self
            .files
            .bucket
            .iter()
            .map(|bucket| bucket.list(&self.files.name))
            .collect::<Result<Vec<_>>>()?
            .concat()
        {
            if let Some(name) = self.files.file(&object.name) {
                found.push((name.to_owned(), object.modified));
            }
        }
        Ok(found)
    }
}
