//! What can go wrong in the daemon itself; what goes wrong in a run is in the ledger.

use nightjar_catalog::CatalogError;
use nightjar_errors::Failure;
use nightjar_statements::StatementError;

/// The result of the daemon's functions.
pub type Result<T, E = DaemonError> = std::result::Result<T, E>;

/// Why a daemon can't go on.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The catalog failed, or another daemon has taken over.
    #[error(transparent)]
    Catalog(CatalogError),
    /// A decision could not be made.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// Nobody answers where a daemon should be.
    #[error("the daemon at {url} does not answer: {reason}")]
    Silent {
        /// Where its pages should be.
        url: String,
        /// Why not.
        reason: String,
    },
}

impl Failure for DaemonError {
    fn code(&self) -> &'static str {
        match self {
            Self::Catalog(error) => error.code(),
            Self::Statement(error) => error.code(),
            Self::Silent { .. } => "daemon_silent",
        }
    }

    fn retryable(&self) -> bool {
        match self {
            Self::Catalog(error) => error.retryable(),
            Self::Statement(error) => error.retryable(),
            Self::Silent { .. } => true,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Catalog(error) => error.hint(),
            Self::Statement(error) => error.hint(),
            Self::Silent { .. } => Some("does `nightjar serve` run there? It prints its address".to_owned()),
        }
    }
}
