//! What object stores are asked with.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use object_store::aws::AmazonS3ConfigKey;

/// How long a store that fails or does not answer is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// What object stores are asked with. `Debug` shows no value.
#[derive(Clone)]
pub struct ObjectStoreSettings {
    /// How long a store that fails or does not answer is waited for, before a statement fails.
    pub patience: Duration,
    /// Where stores in buckets have their folders on this machine; None for the platform's data directory.
    pub cache: Option<PathBuf>,
    s3: Vec<(AmazonS3ConfigKey, String)>,
}

impl ObjectStoreSettings {
    /// Returns the settings that variables make, by their names in the environment: AWS_ACCESS_KEY_ID,
    /// AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL and the others that begin with AWS_.
    /// What is empty or unknown is left out.
    pub fn new<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let known = |(name, value): (&str, &str)| {
            let key = name.starts_with("AWS_").then(|| name.to_ascii_lowercase().parse().ok())??;
            // The bucket is the URL's alone.
            let set = !value.trim().is_empty() && key != AmazonS3ConfigKey::Bucket;
            set.then(|| (key, value.trim().to_owned()))
        };
        let mut s3: Vec<(AmazonS3ConfigKey, String)> = variables.into_iter().filter_map(known).collect();
        // The more specific endpoint is meant for us.
        if let Some(at) = s3.iter().position(|(key, _)| *key == AmazonS3ConfigKey::S3Endpoint) {
            let (_, endpoint) = s3.swap_remove(at);
            s3.retain(|(key, _)| *key != AmazonS3ConfigKey::Endpoint);
            s3.push((AmazonS3ConfigKey::Endpoint, endpoint));
        }
        Self { patience: PATIENCE, cache: None, s3 }
    }

    /// Returns the settings of the process's environment: the variables that begin with AWS_, and NIGHTJAR_CACHE.
    pub fn from_env() -> Self {
        let variables: Vec<(String, String)> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let settings = Self::new(variables.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let cache = std::env::var_os("NIGHTJAR_CACHE").filter(|folder| !folder.is_empty());
        Self { cache: cache.map(PathBuf::from), ..settings }
    }

    pub(super) fn s3(&self) -> &[(AmazonS3ConfigKey, String)] {
        &self.s3
    }

    /// Returns the S3 server to ask instead of AWS.
    pub(super) fn endpoint(&self) -> Option<&str> {
        self.value(AmazonS3ConfigKey::Endpoint)
    }

    pub(super) fn region(&self) -> Option<&str> {
        self.value(AmazonS3ConfigKey::Region).or_else(|| self.value(AmazonS3ConfigKey::DefaultRegion))
    }

    /// Returns where the credentials are.
    pub(super) fn credentials(&self) -> Credentials {
        use AmazonS3ConfigKey::*;
        let named = [
            AccessKeyId,
            SecretAccessKey,
            SkipSignature,
            WebIdentityTokenFile,
            ContainerCredentialsRelativeUri,
            ContainerCredentialsFullUri,
        ];
        if named.iter().any(|key| self.value(*key).is_some()) {
            return Credentials::Named;
        }
        match (self.endpoint(), self.value(MetadataEndpoint)) {
            (Some(_), None) => Credentials::None,
            _ => Credentials::OfMachine,
        }
    }

    fn value(&self, key: AmazonS3ConfigKey) -> Option<&str> {
        self.s3.iter().find(|(known, _)| *known == key).map(|(_, value)| value.as_str())
    }
}

/// Where credentials for S3 are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Credentials {
    /// Variables hold them, or say who does, or that none are wanted.
    Named,
    /// If anywhere, with the machine: AWS's own have a role.
    OfMachine,
    /// Nowhere: the server is not AWS.
    None,
}

impl fmt::Debug for ObjectStoreSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.s3.iter().map(|(key, _)| key.as_ref()).collect();
        f.debug_struct("ObjectStoreSettings").field("patience", &self.patience).field("s3", &names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_not_aws_needs_credentials() {
        let of =
            |variables: &[(&str, &str)]| ObjectStoreSettings::new(variables.iter().copied()).credentials();
        let (endpoint, key) = (("AWS_ENDPOINT", "http://localhost:9000"), ("AWS_ACCESS_KEY_ID", "key"));
        assert_eq!(of(&[endpoint]), Credentials::None);
        assert_eq!(of(&[endpoint, ("AWS_ACCESS_KEY_ID", " ")]), Credentials::None);
        assert_eq!(of(&[]), Credentials::OfMachine);
        assert_eq!(of(&[endpoint, key]), Credentials::Named);
        assert_eq!(of(&[endpoint, ("AWS_SKIP_SIGNATURE", "true")]), Credentials::Named);
    }

    #[test]
    fn the_endpoint_for_s3_counts() {
        let settings = ObjectStoreSettings::new([
            ("AWS_ENDPOINT_URL", "http://all"),
            ("AWS_ENDPOINT_URL_S3", "http://s3"),
            ("AWS_BUCKET", "other"),
            ("AWS_SECRET_ACCESS_KEY", "hush"),
            ("PATH", "/bin"),
        ]);
        assert_eq!((settings.endpoint(), settings.s3().len()), (Some("http://s3"), 2));
        assert!(!format!("{settings:?}").contains("hush"), "{settings:?}");
    }
}
