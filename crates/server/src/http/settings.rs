//! Where the daemon listens, and who may ask.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

use super::error::{HttpError, Result};

/// Where to listen, and who may ask.
#[derive(Clone)]
pub struct HttpSettings {
    /// The address. One that is not this machine's own (loopback) needs a token.
    pub bind: SocketAddr,
    /// What clients have to send, as `Authorization: Bearer` or as the password of HTTP Basic; `None` for no such demand.
    pub token: Option<String>,
    /// The certificate to speak TLS with; `None` for plain HTTP.
    pub tls: Option<TlsFiles>,
}

/// It doesn't print the token.
impl std::fmt::Debug for HttpSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let token = self.token.as_ref().map(|_| "…");
        f.debug_struct("HttpSettings")
            .field("bind", &self.bind)
            .field("token", &token)
            .field("tls", &self.tls)
            .finish()
    }
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, the server's own certificate first; PEM.
    pub cert: PathBuf,
    /// The private key; PEM.
    pub key: PathBuf,
}

impl HttpSettings {
    /// Checks what can be checked before listening.
    pub(super) fn check(&self) -> Result<()> {
        match &self.token {
            None if !self.is_local() => Err(HttpError::TokenMissing { address: self.bind }),
            Some(token) if token.is_empty() => Err(HttpError::TokenUnfit { reason: "is empty" }),
            Some(token) if !token.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Err(HttpError::TokenUnfit { reason: "has characters that a header can't carry" })
            }
            _ => Ok(()),
        }
    }

    /// Whether only this machine reaches the address.
    pub(super) fn is_local(&self) -> bool {
        self.bind.ip().to_canonical().is_loopback()
    }
}

impl TlsFiles {
    /// Reads both files.
    pub(super) fn load(&self) -> Result<ServerConfig> {
        let unfit = |path: &Path, reason: String| HttpError::Tls { path: path.to_owned(), reason };
        let chain = CertificateDer::pem_file_iter(&self.cert)
            .and_then(|chain| chain.collect::<std::result::Result<Vec<_>, _>>())
            .map_err(|error| unfit(&self.cert, error.to_string()))?;
        if chain.is_empty() {
            return Err(unfit(&self.cert, "it holds no certificate".to_owned()));
        }
        let key =
            PrivateKeyDer::from_pem_file(&self.key).map_err(|error| unfit(&self.key, error.to_string()))?;
        let fits = |error: rustls::Error| unfit(&self.key, error.to_string());
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(fits)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(fits)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}
