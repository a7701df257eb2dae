//! What every error of the house can be asked beside its message.

/// An error that knows its stable code, whether a retry can help, and what to type next.
pub trait Failure: std::error::Error {
    /// Returns the stable code, in `snake_case` with the crate's noun first (`model_file_missing`).
    fn code(&self) -> &'static str;

    /// Returns whether the same request may succeed later without any change. Default: no.
    fn retryable(&self) -> bool {
        false
    }

    /// Returns what to do next, as one sentence without a full stop. Default: none.
    fn hint(&self) -> Option<String> {
        None
    }
}
