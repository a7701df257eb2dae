//! Object stores: what `file`, `s3`, `http` and, with the feature `hdfs`, `hdfs` URLs lead to.
//!
//! The only place that opens one. What a bucket is asked with comes from the environment of the process that asks, so no
//! plan, setting or message holds a key.
//!
//! # Where URLs lead
//!
//! A process has one `ObjectStores` (`catalog/src/object_stores`), which belongs to the opened store: a
//! client for each scheme and bucket or host, made when a URL first leads there.
//! `engine/src/object_stores.rs` hands it to DataFusion in sessions, scheduler and executors. Every
//! client is wrapped (`named.rs`): what it says, which may repeat a key or what was signed, becomes an
//! error of ours that names the place and what to check, and that counts as retryable where another
//! attempt may end well. DataFusion keeps listings and footers by path, whichever the bucket: listings
//! are not kept, and a store adds its own few nanoseconds to the times of its objects.

mod error;
mod explain;
mod named;
mod place;
mod settings;
mod told;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use object_store::aws::{AmazonS3Builder, AwsCredential};
use object_store::http::HttpBuilder;
use object_store::local::LocalFileSystem;
use object_store::{BackoffConfig, ClientOptions, CredentialProvider, ObjectStore, RetryConfig};
use url::Url;

use crate::error::{CatalogError, Result};

pub use error::ObjectStoreError;
pub use settings::ObjectStoreSettings;
pub use told::object_store_failure;

pub(crate) use place::Place;

use named::Named;
use place::Kind;
use settings::Credentials;

/// How long a client waits for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a machine is waited for that may have credentials: most have none, and don't answer at all.
const MACHINE_PATIENCE: Duration = Duration::from_secs(2);

/// The object stores that a process has opened, each once: a client keeps its connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ObjectStores {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: ObjectStoreSettings,
    opened: Mutex<HashMap<String, Arc<dyn ObjectStore>>>,
}

impl Default for ObjectStores {
    /// With the settings of the process's environment.
    fn default() -> Self {
        Self::new(ObjectStoreSettings::from_env())
    }
}

impl ObjectStores {
    /// Returns stores that are opened with these settings.
    pub fn new(settings: ObjectStoreSettings) -> Self {
        Self { inner: Arc::new(Inner { settings, opened: Mutex::default() }) }
    }

    /// Returns the store that a URL leads to, opened by the first call for its bucket or host. Nothing is asked of it.
    ///
    /// Errors: an unknown scheme; a URL with a user, a password or a query; one that names no bucket or host; settings that don't fit together.
    pub fn get(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        let place = Place::of(url, &self.inner.settings)?;
        let mut opened = self.inner.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = opened.get(place.key()) {
            return Ok(Arc::clone(store));
        }
        let key = place.key().to_owned();
        let store = open(place, &self.inner.settings)?;
        opened.insert(key, Arc::clone(&store));
        Ok(store)
    }

    /// Puts a store in the place of the one that a URL leads to, and returns the one before, if any was opened.
    pub fn put(&self, url: &Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        let mut opened = self.inner.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.insert(place::key(url), store)
    }

    pub(crate) fn settings(&self) -> &ObjectStoreSettings {
        &self.inner.settings
    }
}

/// Whether a store is the machine's file system, whose paths are those of files.
pub fn is_file_system(store: &dyn ObjectStore) -> bool {
    // The stores of sessions are wrapped; each says what it is over.
    store.to_string().contains("LocalFileSystem")
}

/// Whether a URL may stand in a statement: see the errors of [`ObjectStores::get`]. What is no URL may.
pub fn check_url(text: &str) -> Result<()> {
    match Url::parse(text) {
        Ok(url) if text.contains("://") => Ok(Place::check(&url)?),
        _ => Ok(()),
    }
}

/// Opens the store at a place.
pub(crate) fn open(place: Place, settings: &ObjectStoreSettings) -> Result<Arc<dyn ObjectStore>> {
    let invalid = |error: object_store::Error| ObjectStoreError::Settings {
        place: place.to_string(),
        reason: explain::root(&error).to_string(),
    };
    let store: Arc<dyn ObjectStore> = match place.kind() {
        Kind::File => return Ok(Arc::new(LocalFileSystem::new())),
        Kind::S3 => {
            let mut builder = AmazonS3Builder::new().with_bucket_name(place.host());
            for (key, value) in settings.s3() {
                builder = builder.with_config(*key, value);
            }
            if settings.endpoint().is_some_and(|endpoint| endpoint.starts_with("http://")) {
                builder = builder.with_allow_http(true);
            }
            builder = match settings.credentials() {
                Credentials::Named => builder,
                Credentials::None => builder.with_credentials(Arc::new(NoCredentials(place.clone()))),
                Credentials::OfMachine => {
                    let asking = builder.clone().with_retry(retry(MACHINE_PATIENCE));
                    let asking = asking.build().map_err(invalid)?;
                    builder.with_credentials(Arc::clone(asking.credentials()))
                }
            };
            Arc::new(builder.with_retry(retry(settings.patience)).build().map_err(invalid)?)
        }
        Kind::Http => {
            let options = ClientOptions::new().with_allow_http(true).with_connect_timeout(CONNECT_TIMEOUT);
            let builder = HttpBuilder::new().with_url(place.key()).with_client_options(options);
            Arc::new(builder.with_retry(retry(settings.patience)).build().map_err(invalid)?)
        }
        #[cfg(feature = "hdfs")]
        Kind::Hdfs => {
            let builder = hdfs_native_object_store::HdfsObjectStoreBuilder::new().with_url(place.key());
            Arc::new(builder.build().map_err(invalid)?)
        }
    };
    Ok(Arc::new(Named::new(store, place)))
}

/// The credentials of a process that has none. Plans name buckets that a process may never ask, as a scheduler does not.
#[derive(Debug)]
struct NoCredentials(Place);

#[async_trait]
impl CredentialProvider for NoCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let missing = ObjectStoreError::NoCredentials { place: self.0.to_string() };
        told::remember(&missing);
        Err(object_store::Error::Generic { store: "S3", source: Box::new(CatalogError::from(missing)) })
    }
}

/// Asks again, soon at first and then every second or so, until so long after the first time.
fn retry(patience: Duration) -> RetryConfig {
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(1),
        base: 2.0,
    };
    RetryConfig { backoff, max_retries: usize::MAX, retry_timeout: patience }
}

#[cfg(test)]
mod tests {
    use nightjar_errors::Failure;

    use super::*;

    fn stores(settings: &[(&str, &str)]) -> ObjectStores {
        ObjectStores::new(ObjectStoreSettings::new(settings.iter().copied()))
    }

    const KEYS: [(&str, &str); 2] =
        [("AWS_ACCESS_KEY_ID", "the-key"), ("AWS_SECRET_ACCESS_KEY", "the-secret")];

    fn get(stores: &ObjectStores, url: &str) -> Result<Arc<dyn ObjectStore>> {
        stores.get(&Url::parse(url).unwrap())
    }

    #[test]
    fn a_bucket_is_opened_once() {
        let stores = stores(&KEYS);
        let first = get(&stores, "s3://one/a/b.parquet").unwrap();
        assert!(Arc::ptr_eq(&first, &get(&stores, "s3://one/other").unwrap()));
        assert!(Arc::ptr_eq(&first, &get(&stores, "S3A://one/").unwrap()));
        assert!(!Arc::ptr_eq(&first, &get(&stores, "s3://two/").unwrap()));
        let one = get(&stores, "http://host:81/a.csv").unwrap();
        assert!(!Arc::ptr_eq(&one, &get(&stores, "http://host:82/a.csv").unwrap()));
        assert!(!format!("{stores:?} {first:?} {first}").contains("the-"));
    }

    #[test]
    fn what_can_be_no_store_is_refused_without_repeating_secrets() {
        let stores = stores(&KEYS);
        for (url, code, named) in [
            ("gs://bucket/a", "object_store_scheme", "s3://"),
            ("s3:///a", "object_store_url", "names no bucket"),
            ("s3://the-key:the-secret@bucket/a", "object_store_credentials_in_url", "s3://bucket/a"),
            ("http://the-key@host/a.csv", "object_store_credentials_in_url", "http://host/a.csv"),
            ("http://host/a.csv?token=the-secret", "object_store_url", "http://host/a.csv"),
        ] {
            let error = get(&stores, url).unwrap_err();
            let said = format!("{error} {:?} {error:?}", error.hint());
            assert_eq!(error.code(), code, "{said}");
            assert!(said.contains(named) && !said.contains("the-"), "{said}");
            assert!(check_url(url).is_err(), "{url}");
        }
        for fine in ["reviews.csv", "/a/b?c", "s3://b/dir/*.parquet", "C:\\a\\b.csv"] {
            check_url(fine).unwrap();
        }
    }

    #[test]
    fn settings_must_fit() {
        let endpoint = ("AWS_ENDPOINT_URL", "http://localhost:9000");
        get(&stores(&[endpoint, KEYS[0], KEYS[1]]), "s3://bucket/a").unwrap();
        get(&stores(&[endpoint]), "s3://bucket/a").unwrap();
        let error = get(&stores(&[endpoint, KEYS[0]]), "s3://bucket/a").unwrap_err();
        assert_eq!(error.code(), "object_store_settings", "{error}");
    }
}
