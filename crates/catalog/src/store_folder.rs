//! A folder of the store, wherever the store is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::bucket::Bucket;
use crate::error::{CatalogError, Result};
use crate::store::StoreFiles;

/// A folder of the store by its name, such as `views/<folder>`: of a store in a folder that very one. Of one in a bucket its files are the
/// objects under the name, and what this process writes and keeps of them is in the same folder of its working folder.
#[derive(Clone, Debug)]
pub(crate) struct StoreFolder {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) bucket: Option<Bucket>,
}

impl StoreFolder {
    pub(crate) fn new(store: &StoreFiles, name: String) -> Self {
        Self { path: store.root().join(&name), bucket: store.bucket().cloned(), name }
    }

    /// Returns the name of the object that has a file.
    pub(crate) fn object(&self, file: &str) -> String {
        format!("{}/{file}", self.name)
    }

    /// Returns the file that an object has, if it is one of the folder's.
    pub(crate) fn file<'a>(&self, object: &'a str) -> Option<&'a str> {
        object.strip_prefix(&self.name)?.strip_prefix('/')
    }

    /// Returns where a scan finds a file: an absolute path, or a URL.
    pub(crate) fn location(&self, file: &str) -> String {
        match &self.bucket {
            Some(bucket) => bucket.url(&self.object(file)),
            None => self.path.join(file).to_string_lossy().into_owned(),
        }
    }

    /// Removes the objects of files, where there are objects. That one is not there is no error.
    pub(crate) fn remove_objects(&self, files: &[String]) -> Result<()> {
        match &self.bucket {
            Some(bucket) if !files.is_empty() => {
                bucket.remove(&files.iter().map(|file| self.object(file)).collect::<Vec<_>>())
            }
            _ => Ok(()),
        }
    }
}

/// Removes a file. That it is not there is no error.
pub(crate) fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(CatalogError::io("remove", path)(error)),
        _ => Ok(()),
    }
}
