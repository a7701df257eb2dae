//! The store: one directory with the artifacts and the catalog.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use etcetera::BaseStrategy;
use url::Url;

use crate::artifacts::Artifacts;
use crate::bucket::Bucket;
use crate::bucket_artifacts::Origin;
use crate::catalog::Catalog;
use crate::error::{CatalogError, Result};
use crate::object_stores::{ObjectStores, check_url};
use crate::working_folder::{mark, sweep_runs, working_folder};

/// Where models, tables and runs are kept. Cheap to clone: clones share one catalog connection.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    files: StoreFiles,
    catalog: Catalog,
}

/// A store without its catalog: all that running a plan needs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StoreFiles {
    root: Arc<Path>,
    artifacts: Arc<Artifacts>,
    object_stores: ObjectStores,
    bucket: Option<Bucket>,
}

impl StoreFiles {
    /// Opens the files of the store at `uri`, as [`Store::open`] does, and leaves its catalog alone.
    pub fn open(uri: Option<&str>) -> Result<StoreFiles> {
        Self::open_with(uri, ObjectStores::default())
    }

    /// As [`StoreFiles::open`], with other object stores than those of the process's environment.
    pub fn open_with(uri: Option<&str>, object_stores: ObjectStores) -> Result<StoreFiles> {
        let (root, bucket) = match uri.map(parse_uri).transpose()? {
            Some(Location::Bucket(url)) => {
                let bucket = Bucket::open(&url, &object_stores)?;
                (working_folder(&bucket.name(), object_stores.settings())?, Some(bucket))
            }
            Some(Location::Folder(folder)) => (folder, None),
            None => (default_root()?, None),
        };
        fs::create_dir_all(&root).map_err(CatalogError::io("create the store", &root))?;
        let root = std::path::absolute(&root).map_err(CatalogError::io("find", &root))?;
        if bucket.is_some() {
            sweep_runs(&root.join("runs"), SystemTime::now());
        }
        let artifacts = Arc::new(Artifacts::under(&root, bucket.clone().map(Origin::new))?);
        Ok(StoreFiles { root: root.into(), artifacts, object_stores, bucket })
    }

    pub(crate) fn bucket(&self) -> Option<&Bucket> {
        self.bucket.as_ref()
    }

    /// What URLs in statements and plans lead to.
    pub fn object_stores(&self) -> &ObjectStores {
        &self.object_stores
    }

    /// The model files.
    pub fn artifacts(&self) -> &Artifacts {
        &self.artifacts
    }

    /// The store's directory, absolute; of a store in a bucket, the one with its catalog and with copies of its files.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

impl Store {
    /// Opens the store at `uri`, a directory, a `file://` URI or `s3://bucket/prefix`, and creates it if it is not there.
    /// With `None`, `nightjar` under the platform's data directory.
    ///
    /// Of a store in a bucket, artifacts and what runs' tasks read and write are in the bucket; the catalog is in a folder of
    /// this machine, because SQLite needs a file system: one machine at a time changes what exists.
    ///
    /// Errors: other schemes, folders that can't be written, a bucket that can't be listed, what [`Catalog::open`] refuses.
    pub fn open(uri: Option<&str>) -> Result<Store> {
        Self::open_with(uri, ObjectStores::default())
    }

    /// As [`Store::open`], with other object stores than those of the process's environment.
    pub fn open_with(uri: Option<&str>, object_stores: ObjectStores) -> Result<Store> {
        let files = StoreFiles::open_with(uri, object_stores)?;
        let catalog = Catalog::open(&files.root().join("catalog.sqlite"))?;
        Ok(Store { inner: Arc::new(Inner { files, catalog }) })
    }

    /// What is not the catalog.
    pub fn files(&self) -> &StoreFiles {
        &self.inner.files
    }

    /// The model files.
    pub fn artifacts(&self) -> &Artifacts {
        self.inner.files.artifacts()
    }

    /// What exists.
    pub fn catalog(&self) -> &Catalog {
        &self.inner.catalog
    }

    /// The store's directory, absolute: see [`StoreFiles::root`].
    pub fn root(&self) -> &Path {
        self.inner.files.root()
    }

    /// Returns what tells what this store's catalog has made from what others have made in the same place: sixteen digits, made by the
    /// first call.
    ///
    /// # Errors
    /// A store that can't be written.
    pub fn mark(&self) -> Result<String> {
        mark(self.root())
    }
}

/// Where a store is.
enum Location {
    Folder(PathBuf),
    Bucket(Url),
}

pub(crate) fn default_root() -> Result<PathBuf> {
    let strategy = etcetera::base_strategy::choose_native_strategy().map_err(|_| CatalogError::NoHome)?;
    Ok(strategy.data_dir().join("nightjar"))
}

/// What a store's URI names.
fn parse_uri(uri: &str) -> Result<Location> {
    let invalid = |reason: &str| CatalogError::StoreInvalid { uri: uri.into(), reason: reason.into() };
    if uri.is_empty() {
        return Err(invalid("it is empty"));
    }
    let Some((scheme, _)) = uri.split_once("://") else {
        return Ok(Location::Folder(PathBuf::from(uri)));
    };
    if ["s3", "s3a"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        check_url(uri)?;
        return Ok(Location::Bucket(Url::parse(uri).map_err(|error| invalid(&error.to_string()))?));
    }
    if !scheme.eq_ignore_ascii_case("file") {
        // The rest of the URI may hold a password: only what is left of it is repeated.
        let shown = crate::sources::without_password(uri);
        return Err(CatalogError::StoreScheme { uri: shown, scheme: scheme.into() });
    }
    let url = Url::parse(uri).map_err(|error| invalid(&error.to_string()))?;
    let folder = url.to_file_path().map_err(|()| invalid("it does not name an absolute path"))?;
    Ok(Location::Folder(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_directories_and_file_uris() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a b/store");
        let store = Store::open(path.to_str()).unwrap();
        assert_eq!(store.root(), path);
        let uri = url::Url::from_file_path(&path).unwrap();
        assert!(uri.as_str().contains("a%20b"));
        assert_eq!(Store::open(Some(uri.as_str())).unwrap().root(), path);
        assert!(default_root().is_err() || default_root().unwrap().ends_with("nightjar"));
    }

    #[test]
    fn other_schemes_are_refused_by_name() {
        let error = Store::open(Some("gs://key:secret@bucket/prefix")).unwrap_err();
        assert!(matches!(&error, CatalogError::StoreScheme { scheme, .. } if scheme == "gs"), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
        let error = Store::open(Some("s3://key:secret@bucket/prefix")).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        assert!(matches!(Store::open(Some("")).unwrap_err(), CatalogError::StoreInvalid { .. }));
        assert!(matches!(Store::open(Some("file://host/x")).unwrap_err(), CatalogError::StoreInvalid { .. }));
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "x").unwrap();
        let error = Store::open(path.to_str()).unwrap_err();
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_store_that_cannot_be_written_is_named() {
        use nightjar_errors::Failure;
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        Store::open(folder.path().to_str()).unwrap();
        let root = folder.path().join("catalog.sqlite");
        let protect =
            |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        protect(&root, 0o444);
        protect(folder.path(), 0o555);
        let result = Store::open(folder.path().to_str());
        let skipped = fs::File::create(folder.path().join("probe")).is_ok();
        protect(folder.path(), 0o755);
        if skipped {
            return eprintln!("skipped: this user may write everything");
        }
        let error = match result {
            Err(error) => error,
            // Opening may need no write; the first change does.
            Ok(store) => store.catalog().begin_training("m", "s", None).unwrap_err(),
        };
        assert!(error.to_string().contains(folder.path().to_str().unwrap()), "{error}");
        assert!(error.hint().unwrap().contains("--store"), "{error:?}");
    }
}
