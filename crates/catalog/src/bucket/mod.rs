//! A part of a bucket, as blocking code uses it: objects by their names under a prefix, whole or not there.
//!
//! # A store in a bucket
//!
//! `--store s3://bucket/prefix` has `artifacts/` and `runs/` in the bucket and a working folder on each
//! machine (`catalog/src/working_folder.rs`), named by a digest of bucket, prefix and server. The
//! catalog is in the coordinator's working folder; executors have none. `Artifacts` publishes in the
//! folder and then uploads (`bucket_artifacts.rs`); what the folder lacks, or has damaged, is fetched
//! into staging, each file checked against the manifest and the manifest against the digest, and
//! published there as if it had been made there. Planning fetches the small files alone (`small/`).
//!
//! A plan names a run by a name relative to the store (`runs/7`; in a bucket `runs/<mark>-7`, because
//! several catalogs may share it), and every process finds the run's files by `StoreFiles::run_files`
//! (`run_files.rs`): feature files by their location, a path or a URL; plan, reports and states by
//! name. In a folder these are the files of the run's folder. In a bucket each is one object, there
//! once all of it is; a process keeps copies under the object's tag, so that it reads an object once
//! and never an old one. The run's folder of the coordinator (lock, staging of rows, history, event
//! files) is local; when the run has ended, its event and JSON files are copied into the bucket and all
//! else of it is removed there. Frozen layers' states stay with the process that made them.
//!
//! Blocking code asks the bucket by `catalog/src/bucket`, whose requests run on threads of their own.

mod wait;

use std::fs::File;
use std::io::{Read, Write};
use std::ops::Range;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::SystemTime;

use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt, WriteMultipart};
use url::Url;

use crate::error::{CatalogError, Result};
use crate::ids::Digest;
use crate::object_stores::{self, ObjectStoreError, ObjectStores, Place};

use wait::wait;

/// Larger files go up and come down in parts of this size: a part that fails is asked for again, not the file.
const PART_BYTES: usize = 8 << 20;

/// Parts on their way at once.
const PARTS: usize = 4;

/// The objects under a prefix of a bucket. Cheap to clone.
///
/// Blocks until the bucket has answered; on a thread of a runtime, its other tasks move on.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    store: Arc<dyn ObjectStore>,
    url: Url,
    prefix: Path,
    place: String,
}

/// An object, as a listing names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// Its name under the prefix.
    pub(crate) name: String,
    /// Its length.
    pub(crate) bytes: u64,
    /// When it was written, by the bucket's clock.
    pub(crate) modified: SystemTime,
}

impl Bucket {
    /// Returns the part of a bucket that a URL names, after asking once whether it can be listed.
    ///
    /// Errors: those of [`ObjectStores::get`] and of asking.
    pub(crate) fn open(url: &Url, stores: &ObjectStores) -> Result<Self> {
        let settings = stores.settings();
        let place = Place::of(url, settings)?;
        let name = place.to_string();
        // A client of its own: connections belong to the threads that use them.
        let store = object_stores::open(place, settings)?;
        let prefix = Path::from_url_path(url.path()).map_err(|error| CatalogError::StoreInvalid {
            uri: url.to_string(),
            reason: error.to_string(),
        })?;
        let bucket = Self { store, url: url.clone(), prefix, place: name };
        let first =
            bucket.ask(|store, prefix| async move { store.list(Some(&prefix)).next().await.transpose() });
        first?;
        Ok(bucket)
    }

    /// Returns what tells this part of the bucket from any other, its server included.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.place, self.prefix)
    }

    /// Returns the URL of an object.
    pub(crate) fn url(&self, name: &str) -> String {
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(name.split('/'));
        }
        url.into()
    }

    /// Returns an object's bytes, or `None` if there is none.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let at = self.at(name);
        let read = self.ask(|store, _| async move { Ok(store.get(&at).await?.bytes().await?.to_vec()) });
        found(read)
    }

    /// Returns some of an object's bytes, or `None` if there is no such object.
    pub(crate) fn read_range(&self, name: &str, range: Range<u64>) -> Result<Option<Vec<u8>>> {
        if range.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let at = self.at(name);
        found(self.ask(|store, _| async move { Ok(store.get_range(&at, range).await?.to_vec()) }))
    }

    /// Returns what changes whenever the object of a name does, or `None` if there is none.
    pub(crate) fn tag(&self, name: &str) -> Result<Option<String>> {
        let at = self.at(name);
        Ok(found(self.ask(|store, _| async move { store.head(&at).await }))?.map(|meta| tag(&meta)))
    }

    /// Writes an object into a file, and returns its tag, or `None` if there is no such object.
    ///
    /// What was written before an error is left to whoever named the file.
    pub(crate) fn download(&self, name: &str, to: &FilePath) -> Result<Option<String>> {
        let (at, file) = (self.at(name), to.to_owned());
        let failed = CatalogError::io("write", to);
        let done = self.ask(|store, _| async move {
            let meta = store.head(&at).await?;
            let part = PART_BYTES as u64;
            let ranges = (0..meta.size.div_ceil(part)).map(|n| n * part..((n + 1) * part).min(meta.size));
            let parts = stream::iter(ranges.map(|range| store.get_range(&at, range))).buffered(PARTS);
            let mut file = match File::create(file) {
                Ok(file) => file,
                Err(error) => return Ok(Err(error)),
            };
            let mut parts = std::pin::pin!(parts);
            while let Some(bytes) = parts.try_next().await? {
                if let Err(error) = file.write_all(&bytes) {
                    return Ok(Err(error));
                }
            }
            Ok(Ok(tag(&meta)))
        });
        match found(done)? {
            Some(written) => Ok(Some(written.map_err(failed)?)),
            None => Ok(None),
        }
    }

    /// Writes an object.
    pub(crate) fn write(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        let at = self.at(name);
        self.ask(|store, _| async move { store.put(&at, bytes.into()).await.map(|_| ()) })
    }

    /// Writes a file's bytes as an object, which appears when all of them are there, and returns its tag.
    pub(crate) fn upload(&self, from: &FilePath, name: &str) -> Result<String> {
        let at = self.at(name);
        let failed = || CatalogError::io("read", from);
        let mut file = File::open(from).map_err(failed())?;
        let bytes = file.metadata().map_err(failed())?.len();
        let sent = self.ask(move |store, _| async move {
            let sent = match bytes <= PART_BYTES as u64 {
                true => {
                    let mut whole = Vec::with_capacity(bytes as usize);
                    match file.read_to_end(&mut whole) {
                        Ok(_) => store.put(&at, whole.into()).await.map(|_| Ok(())),
                        Err(error) => Ok(Err(error)),
                    }
                }
                false => upload_in_parts(store.as_ref(), &at, file).await,
            }?;
            match sent {
                Ok(()) => Ok(Ok(tag(&store.head(&at).await?))),
                Err(error) => Ok(Err(error)),
            }
        })?;
        sent.map_err(failed())
    }

    /// Returns the objects whose names begin with a folder's.
    pub(crate) fn list(&self, folder: &str) -> Result<Vec<Listed>> {
        let at = self.at(folder);
        let metas: Vec<ObjectMeta> =
            self.ask(|store, _| async move { store.list(Some(&at)).try_collect().await })?;
        let under = |meta: &ObjectMeta| {
            let rest = meta.location.as_ref().strip_prefix(self.prefix.as_ref())?;
            let name = rest.trim_start_matches('/').to_owned();
            Some(Listed { name, bytes: meta.size, modified: meta.last_modified.into() })
        };
        let mut listed: Vec<Listed> = metas.iter().filter_map(under).collect();
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(listed)
    }

    /// Gives an object another name, in the place of what bears it; no object at all is an error.
    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<()> {
        let (from, to) = (self.at(from), self.at(to));
        self.ask(|store, _| async move {
            store.copy(&from, &to).await?;
            store.delete(&from).await
        })
    }

    /// Removes objects; that one is not there is no error.
    pub(crate) fn remove(&self, names: &[String]) -> Result<()> {
        let at: Vec<Result<Path, Error>> = names.iter().map(|name| Ok(self.at(name))).collect();
        self.ask(|store, _| async move {
            let mut removed = store.delete_stream(stream::iter(at).boxed());
            loop {
                match removed.next().await {
                    None => return Ok(()),
                    Some(Err(error)) if !matches!(error, Error::NotFound { .. }) => return Err(error),
                    Some(_) => {}
                }
            }
        })
    }

    fn at(&self, name: &str) -> Path {
        self.prefix.parts().chain(Path::from(name).parts()).collect()
    }

    /// Asks the bucket on the threads for it.
    fn ask<T, F>(&self, request: impl FnOnce(Arc<dyn ObjectStore>, Path) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let answer = wait(request(Arc::clone(&self.store), self.prefix.clone()))?;
        answer.map_err(|error| self.failure(error))
    }

    /// Returns our own failure out of the client's.
    fn failure(&self, error: Error) -> CatalogError {
        let said = error.to_string();
        let source = match error {
            Error::Generic { source, .. } | Error::NotFound { source, .. } => source,
            other => Box::new(other),
        };
        match source.downcast::<CatalogError>() {
            Ok(ours) => *ours,
            Err(_) => {
                ObjectStoreError::Failed { place: self.place.clone(), reason: said, retryable: false }.into()
            }
        }
    }
}

/// Tells an object that is not there from other failures.
fn found<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(CatalogError::ObjectStore(ObjectStoreError::NoObject { .. })) => Ok(None),
        Err(error) => Err(error),
    }
}

fn tag(meta: &ObjectMeta) -> String {
    let ObjectMeta { e_tag, size, last_modified, .. } = meta;
    let whole = format!("{e_tag:?} {size} {}", last_modified.timestamp_millis());
    Digest::of(whole.as_bytes()).to_string().chars().take(16).collect()
}

async fn upload_in_parts(
    store: &dyn ObjectStore,
    at: &Path,
    mut file: File,
) -> Result<std::io::Result<()>, Error> {
    let mut writer = WriteMultipart::new_with_chunk_size(store.put_multipart(at).await?, PART_BYTES);
    let mut part = vec![0; PART_BYTES];
    loop {
        writer.wait_for_capacity(PARTS).await?;
        match file.read(&mut part) {
            Ok(0) => return writer.finish().await.map(|_| Ok(())),
            Ok(read) => writer.write(&part[..read]),
            Err(error) => {
                writer.abort().await?;
                return Ok(Err(error));
            }
        }
    }
}
