//! What the HTTP side of the daemon fails at.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use nightjar_errors::Failure;

/// The result of this module's operations.
pub(crate) type Result<T, E = HttpError> = std::result::Result<T, E>;

/// Why the daemon can't be reached over HTTP.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Others could read everything.
    #[error(
        "{address} can be reached from other machines, and without a token anyone there could read every job and statement"
    )]
    TokenMissing {
        /// The address to listen at.
        address: SocketAddr,
    },
    /// A token that protects nothing, or that no header can carry.
    #[error("the token {reason}")]
    TokenUnfit {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A port that is taken, or an address that is not this machine's.
    #[error("can't listen at {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A certificate or key that can't be used.
    #[error("can't use '{}' for TLS: {reason}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl Failure for HttpError {
    fn code(&self) -> &'static str {
        match self {
            HttpError::TokenMissing { .. } => "http_token_missing",
            HttpError::TokenUnfit { .. } => "http_token_unfit",
            HttpError::Bind { .. } => "http_bind_failed",
            HttpError::Tls { .. } => "http_tls_invalid",
        }
    }

    fn retryable(&self) -> bool {
        matches!(self, HttpError::Bind { .. })
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            HttpError::TokenMissing { address } => format!(
                "give a token, which clients then have to send, or listen at 127.0.0.1:{}, which only this machine reaches",
                address.port()
            ),
            HttpError::TokenUnfit { .. } => {
                "make one of visible ASCII characters, for instance by `openssl rand -hex 32`".to_owned()
            }
            HttpError::Bind { address, .. } => {
                format!(
                    "see what listens there by `ss -ltn 'sport = :{}'`, or choose another port",
                    address.port()
                )
            }
            HttpError::Tls { .. } => {
                "give the certificate chain and its private key as two PEM files that this user can read"
                    .to_owned()
            }
        })
    }
}
