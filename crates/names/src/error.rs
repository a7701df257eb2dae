//! Why a text can't be a name.

use nightjar_errors::Failure;

/// A text that can't be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It can't be the name of a model.
    #[error("'{name}' cannot be a model's name: {reason}")]
    Model {
        /// The text.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// It is neither a model's name nor a name with a version.
    #[error("'{text}' is not a model reference: a name or name@version was expected")]
    Reference {
        /// The text.
        text: String,
    },
}

impl Failure for NameError {
    fn code(&self) -> &'static str {
        "model_name_invalid"
    }
}
