//! The data files of a materialized view: `views/<folder>/` in the store.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::bucket::Bucket;
use crate::error::{CatalogError, Result};
use crate::store::Store;

/// The data files of a materialized view, by their names. Cheap to clone.
///
/// A store in a folder has them there. Of one in a bucket they are objects; a file is written in the working folder, and leaves it
/// when it is published.
#[derive(Clone, Debug)]
pub struct ViewFiles {
    name: String,
    folder: PathBuf,
    bucket: Option<Bucket>,
}

impl Store {
    /// Returns the data files of the view with this folder.
    pub fn view_files(&self, folder: &str) -> ViewFiles {
        let (name, bucket) = (format!("views/{folder}"), self.files().bucket().cloned());
        ViewFiles { folder: self.root().join(&name), name, bucket }
    }
}

impl ViewFiles {
    /// Returns the folder of this machine in which files are written.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns where a scan finds a published file: an absolute path, or a URL.
    pub fn location(&self, file: &str) -> String {
        match &self.bucket {
            Some(bucket) => bucket.url(&self.of(file)),
            None => self.folder.join(file).to_string_lossy().into_owned(),
        }
    }

    /// Brings a file that was written, and synced, to where scans find it.
    pub fn publish(&self, file: &str) -> Result<()> {
        let Some(bucket) = &self.bucket else { return Ok(()) };
        let written = self.folder.join(file);
        bucket.upload(&written, &self.of(file))?;
        // What stays is swept later.
        let _ = fs::remove_file(written);
        Ok(())
    }

    /// Has the disk keep the names of the files: what follows is the ledger that names them.
    pub fn sync(&self) -> Result<()> {
        if cfg!(unix) && self.bucket.is_none() {
            let failed = || CatalogError::io("sync", &self.folder);
            File::open(&self.folder).map_err(failed())?.sync_all().map_err(failed())?;
        }
        Ok(())
    }

    /// Returns whether all of these files are there. Cost: a listing, where a bucket has them.
    pub fn contain<'a>(&self, mut files: impl Iterator<Item = &'a String>) -> Result<bool> {
        let Some(bucket) = &self.bucket else {
            return Ok(files.all(|file| self.folder.join(file).is_file()));
        };
        let listed = bucket.list(&self.name)?;
        let there: std::collections::HashSet<&str> =
            listed.iter().filter_map(|object| self.below(&object.name)).collect();
        Ok(files.all(|file| there.contains(file.as_str())))
    }

    /// Removes files, published or not. That one is not there is no error.
    pub fn remove(&self, files: &[String]) -> Result<()> {
        for file in files {
            let path = self.folder.join(file);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(CatalogError::io("remove", &path)(error));
                }
                _ => {}
            }
        }
        match &self.bucket {
            Some(bucket) if !files.is_empty() => {
                bucket.remove(&files.iter().map(|file| self.of(file)).collect::<Vec<_>>())
            }
            _ => Ok(()),
        }
    }

    /// Returns the files that are there, published or not, with the times when they were written; hidden ones left out.
    pub(crate) fn list(&self) -> Result<Vec<(String, SystemTime)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            if let (false, Ok(modified)) = (name.starts_with('.'), modified) {
                found.push((name, modified));
            }
        }
        for object in
            self.bucket.iter().map(|bucket| bucket.list(&self.name)).collect::<Result<Vec<_>>>()?.concat()
        {
            if let Some(name) = self.below(&object.name) {
                found.push((name.to_owned(), object.modified));
            }
        }
        Ok(found)
    }

    fn of(&self, file: &str) -> String {
        format!("{}/{file}", self.name)
    }

    /// Returns the name of an object that lies among the files.
    fn below<'a>(&self, object: &'a str) -> Option<&'a str> {
        object.strip_prefix(&self.name)?.strip_prefix('/')
    }
}
