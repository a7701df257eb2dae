//! Why an object store can't be asked, or what it answers.

use nightjar_errors::Failure;

use super::place::SCHEMES;

/// Why an object store can't be asked, or what it answers. No message repeats a key, a password or a query.
#[derive(Clone, Debug, thiserror::Error)]
#[allow(missing_docs)] // The messages say what the fields are.
pub enum ObjectStoreError {
    #[error("no object store is known for {scheme}://")]
    Scheme { scheme: String },
    #[error("'{url}' can't be used: {reason}")]
    Url { url: String, reason: &'static str },
    #[error("the URL of '{url}' holds a user or a password")]
    CredentialsInUrl { url: String },
    #[error("there are no credentials for {place}")]
    NoCredentials { place: String },
    #[error("the settings for {place} don't fit: {reason}")]
    Settings { place: String, reason: String },
    #[error("{place} does not answer: {reason}")]
    Unreachable { place: String, reason: String },
    #[error("{place} refuses access: {reason}")]
    Refused { place: String, reason: String },
    #[error("there is no bucket '{bucket}' at {server}")]
    NoBucket { bucket: String, server: String },
    #[error("there is no object '{url}'")]
    NoObject { url: String },
    #[error("there is no file '{url}'")]
    NoHttpFile { url: String },
    #[error("{place} fails: {reason}")]
    Failed { place: String, reason: String, retryable: bool },
}

impl Failure for ObjectStoreError {
    fn code(&self) -> &'static str {
        match self {
            Self::Scheme { .. } => "object_store_scheme",
            Self::Url { .. } => "object_store_url",
            Self::CredentialsInUrl { .. } => "object_store_credentials_in_url",
            Self::NoCredentials { .. } => "object_store_no_credentials",
            Self::Settings { .. } => "object_store_settings",
            Self::Unreachable { .. } => "object_store_unreachable",
            Self::Refused { .. } => "object_store_refused",
            Self::NoBucket { .. } => "object_store_no_bucket",
            Self::NoObject { .. } | Self::NoHttpFile { .. } => "object_store_no_object",
            Self::Failed { .. } => "object_store_failed",
        }
    }

    fn retryable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Failed { retryable: true, .. })
    }

    fn hint(&self) -> Option<String> {
        const EVERY_PROCESS: &str =
            "in the environment of every process: this one, the scheduler, the executors";
        Some(match self {
            Self::Scheme { scheme } if scheme == "hdfs" => {
                "this nightjar was built without hdfs: cargo build --features hdfs".to_owned()
            }
            Self::Scheme { .. } => format!("known are {SCHEMES}"),
            Self::CredentialsInUrl { .. } => format!(
                "leave them out: for S3 set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY {EVERY_PROCESS}"
            ),
            Self::NoCredentials { .. } => format!(
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY {EVERY_PROCESS}; for a public bucket \
                 AWS_SKIP_SIGNATURE=true"
            ),
            Self::Settings { .. } => format!("check the variables that begin with AWS_ {EVERY_PROCESS}"),
            Self::Unreachable { place, .. } if place.starts_with("s3") => format!(
                "check that the server runs and that AWS_ENDPOINT_URL and AWS_REGION are right {EVERY_PROCESS}; then run \
                 it again"
            ),
            Self::Unreachable { .. } => "check the host and the network; then run it again".to_owned(),
            Self::Refused { .. } => format!(
                "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION {EVERY_PROCESS}, and what the key may do \
                 in the bucket"
            ),
            Self::NoBucket { .. } => {
                "check the bucket's name; AWS_ENDPOINT_URL and AWS_REGION say which server is asked"
                    .to_owned()
            }
            Self::NoObject { .. } => "check the name; a folder's ends with '/'".to_owned(),
            Self::NoHttpFile { .. } => {
                "check the name; an http URL names one file, not a folder: servers don't list theirs"
                    .to_owned()
            }
            Self::Failed { retryable: true, .. } => "run it again".to_owned(),
            Self::Url { .. } | Self::Failed { .. } => return None,
        })
    }
}
