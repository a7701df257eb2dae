//! The one place where our errors become DataFusion's, and are found again inside them.

use std::io;

use datafusion::error::DataFusionError;
use nightjar_models::Failure;

/// Returns `error` as DataFusion carries it.
///
/// A failure that a retry can help becomes an `IoError`, because Ballista retries only those; any other
/// travels whole as `External`, so that its code and hint can be shown at the end.
pub fn into_datafusion<E>(error: E) -> DataFusionError
where
    E: Failure + Send + Sync + 'static,
{
    if error.retryable() {
        DataFusionError::IoError(io::Error::other(error))
    } else {
        DataFusionError::External(Box::new(error))
    }
}

/// Returns the error of type `E` inside `error`, however deep DataFusion has wrapped it.
pub fn find_failure<E: std::error::Error + 'static>(error: &DataFusionError) -> Option<&E> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = source {
        if let Some(found) = current.downcast_ref::<E>() {
            return Some(found);
        }
        // io::Error hides its payload behind get_ref, and DataFusion's shared errors behind an Arc.
        if let Some(found) = current
            .downcast_ref::<io::Error>()
            .and_then(|io| io.get_ref())
            .and_then(|inner| inner.downcast_ref::<E>())
        {
            return Some(found);
        }
        source = current.source();
    }
    None
}

impl From<crate::FunctionError> for DataFusionError {
    fn from(error: crate::FunctionError) -> Self {
        into_datafusion(error)
    }
}
