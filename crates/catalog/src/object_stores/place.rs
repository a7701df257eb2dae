//! Where a URL leads: its scheme, and its bucket or host.

use std::fmt;

use url::{Position, Url};

use super::error::ObjectStoreError;
use super::settings::ObjectStoreSettings;

/// The schemes that lead to object stores.
#[cfg(not(feature = "hdfs"))]
pub(super) const SCHEMES: &str = "file://, s3://, s3a://, http:// and https://";
/// The schemes that lead to object stores.
#[cfg(feature = "hdfs")]
pub(super) const SCHEMES: &str = "file://, s3://, s3a://, hdfs://, http:// and https://";

/// What kind of store a scheme means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    S3,
    Http,
    #[cfg(feature = "hdfs")]
    Hdfs,
}

/// A bucket or host, as messages name it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    kind: Kind,
    key: String,
    host: String,
    /// For S3: which server.
    server: Option<String>,
}

impl Place {
    /// Returns the place that a URL leads to.
    pub(crate) fn of(url: &Url, settings: &ObjectStoreSettings) -> Result<Self, ObjectStoreError> {
        Self::check(url)?;
        let kind = kind(url)?;
        let server = (kind == Kind::S3).then(|| match settings.endpoint() {
            Some(endpoint) => without_secrets(endpoint),
            None => format!("AWS in {}", settings.region().unwrap_or("us-east-1")),
        });
        let host = url.host_str().unwrap_or_default().to_owned();
        Ok(Self { kind, key: key(url), host, server })
    }

    /// Refuses a URL that no store could be opened for.
    pub(crate) fn check(url: &Url) -> Result<(), ObjectStoreError> {
        let kind = kind(url)?;
        let shown = || without_secrets(url.as_str());
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ObjectStoreError::CredentialsInUrl { url: shown() });
        }
        let invalid = |reason| Err(ObjectStoreError::Url { url: shown(), reason });
        if url.host_str().unwrap_or_default().is_empty() && kind != Kind::File {
            return invalid(if kind == Kind::S3 { "it names no bucket" } else { "it names no host" });
        }
        // What a server is asked with would be lost, and often it is a signature, which plans must not hold.
        if kind == Kind::Http && url.query().is_some() {
            return invalid("the part after '?' would not be sent");
        }
        Ok(())
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns what tells one store from another: scheme, bucket or host, port.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Returns the bucket or host.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Returns the S3 server.
    pub(super) fn server(&self) -> &str {
        self.server.as_deref().unwrap_or(&self.host)
    }

    /// Returns the URL of an object.
    pub(super) fn object(&self, path: &object_store::path::Path) -> String {
        format!("{}/{path}", self.key)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.server {
            Some(server) => write!(f, "{} at {server}", self.key),
            None => f.write_str(&self.key),
        }
    }
}

/// Returns what tells one store from another.
pub(super) fn key(url: &Url) -> String {
    let scheme = if url.scheme() == "s3a" { "s3" } else { url.scheme() };
    format!("{scheme}://{}", &url[Position::BeforeHost..Position::AfterPort])
}

fn kind(url: &Url) -> Result<Kind, ObjectStoreError> {
    match url.scheme() {
        "file" => Ok(Kind::File),
        "s3" | "s3a" => Ok(Kind::S3),
        "http" | "https" => Ok(Kind::Http),
        #[cfg(feature = "hdfs")]
        "hdfs" => Ok(Kind::Hdfs),
        scheme => Err(ObjectStoreError::Scheme { scheme: scheme.to_owned() }),
    }
}

/// Returns a URL without user, password and query.
fn without_secrets(url: &str) -> String {
    let shown = crate::sources::without_password(url);
    shown.split(['?', '#']).next().unwrap_or_default().to_owned()
}
