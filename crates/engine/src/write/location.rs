//! A file or folder of an object store, by its URL.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::datasource::listing::ListingTableUrl;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::runtime_env::RuntimeEnv;
use object_store::ObjectStore;
use object_store::path::Path;
use url::Url;

/// A file, or a folder where the URL ends in `/`, in an object store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Location {
    url: Url,
    path: Path,
}

impl Location {
    /// Returns the location of a URL.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let url = Url::parse(url).map_err(|error| DataFusionError::External(Box::new(error)))?;
        Self::new(url)
    }

    fn new(url: Url) -> Result<Self> {
        let path = Path::from_url_path(url.path())?;
        Ok(Self { url, path })
    }

    /// Returns the object store, as the process knows it.
    pub(crate) fn store(&self, runtime: &RuntimeEnv) -> Result<Arc<dyn ObjectStore>> {
        runtime.object_store(self.listing()?.object_store())
    }

    /// Returns the URL as DataFusion's writers take it.
    pub(crate) fn listing(&self) -> Result<ListingTableUrl> {
        ListingTableUrl::try_new(self.url.clone(), None)
    }

    /// Returns the URL.
    pub(crate) fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Where it lies in its store.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns a folder in this folder, or beside this file.
    pub(crate) fn folder(&self, names: &[&str]) -> Result<Self> {
        self.child(names, true)
    }

    /// Returns a file in this folder.
    pub(crate) fn file(&self, name: &str) -> Result<Self> {
        self.child(&[name], false)
    }

    fn child(&self, names: &[&str], folder: bool) -> Result<Self> {
        let mut url = self.url.clone();
        {
            let no_path = || DataFusionError::Plan(format!("'{self}' has no folders"));
            let mut segments = url.path_segments_mut().map_err(|()| no_path())?;
            // The last segment is empty for a folder, and the name of a file.
            segments.pop();
            segments.extend(names);
            if folder {
                segments.push("");
            }
        }
        Self::new(url)
    }

    /// Returns the folder that this file or folder is in.
    pub(crate) fn parent(&self) -> Result<Self> {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().pop().push("");
        }
        Self::new(url)
    }

    /// Returns the path on this machine, where it is on a file system.
    pub(crate) fn local(&self) -> Option<PathBuf> {
        let path = (self.url.scheme() == "file").then(|| self.url.to_file_path().ok()).flatten()?;
        // Without the slash at the end, with which a file in the way would not be found.
        Some(path.components().collect())
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.local() {
            Some(path) => path.display().fmt(f),
            None => self.url.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_lead_to_each_other() {
        let folder = Location::parse("s3://bucket/a%20b/out/").unwrap();
        let inside = folder.folder(&["_nightjar", "1"]).unwrap();
        assert_eq!(inside.to_string(), "s3://bucket/a%20b/out/_nightjar/1/");
        assert_eq!(inside.path().as_ref(), "a b/out/_nightjar/1");
        assert_eq!(folder.parent().unwrap().to_string(), "s3://bucket/a%20b/");
        let file = Location::parse("file:///a/x.parquet").unwrap();
        assert_eq!(file.folder(&["_nightjar"]).unwrap().local().unwrap(), PathBuf::from("/a/_nightjar/"));
        assert_eq!(file.parent().unwrap().to_string(), "/a");
        assert_eq!(folder.file("open").unwrap().path().as_ref(), "a b/out/open");
        assert_eq!(folder.local(), None);
    }
}
