//! What can go wrong with a model: one variant for each cause.

use std::path::{Path, PathBuf};

use nightjar_errors::Failure;

/// The result of this crate's operations.
pub type Result<T, E = ModelError> = std::result::Result<T, E>;

/// An error of loading, running or training a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file that the model needs is not there.
    #[error("model file '{}' does not exist", path.display())]
    FileMissing {
        /// The file.
        path: PathBuf,
    },
    /// A file is there, but reading, mapping or writing it failed.
    #[error("model file '{}' could not be {action}: {source}", path.display())]
    FileAccess {
        /// The file.
        path: PathBuf,
        /// What was tried, as a participle: read, mapped, written.
        action: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A JSON file of the model is malformed or contradicts itself.
    #[error("model file '{}' is invalid: {reason}", path.display())]
    ConfigInvalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The model asks for something that this version does not compute.
    #[error("model file '{}' asks for {what} '{found}', which is not supported", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The kind of thing: architecture, pooling, activation, module.
        what: &'static str,
        /// What the file names.
        found: String,
        /// What is supported.
        known: Vec<String>,
    },
    /// A file of the model's folder sets something that would be left undone.
    #[error("model file '{}' sets {key} to '{found}': {reason}", path.display())]
    SettingUnsupported {
        /// The file.
        path: PathBuf,
        /// The setting's key, or the kind of thing that the file holds.
        key: String,
        /// Its value.
        found: String,
        /// Why it is not supported.
        reason: &'static str,
        /// What to do instead.
        advice: String,
    },
    /// tokenizer.json is malformed or does not fit the model.
    #[error("tokenizer '{}' is invalid: {reason}", path.display())]
    TokenizerInvalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A safetensors file is malformed.
    #[error("weights '{}' are invalid: {reason}", path.display())]
    WeightsInvalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A tensor that the architecture needs is not in the weights.
    #[error("weights '{}' hold no tensor '{tensor}'", path.display())]
    TensorMissing {
        /// The file.
        path: PathBuf,
        /// The tensor, without prefix.
        tensor: String,
    },
    /// A tensor's shape contradicts config.json.
    #[error("tensor '{tensor}' of '{}' has shape {found:?}, expected {expected:?}", path.display())]
    TensorShape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The shape by config.json.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// A tensor's element type is not a floating-point type.
    #[error("tensor '{tensor}' of '{}' has type {found}, expected f32, f16, bf16 or f64", path.display())]
    TensorType {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The type in the file.
        found: String,
    },
    /// Two sizes that must agree do not.
    #[error("{what} is {found}, expected {expected}")]
    SizeMismatch {
        /// What was measured.
        what: &'static str,
        /// The size that the operation needs.
        expected: usize,
        /// The size that it was given.
        found: usize,
    },
    /// The training data can't be learned from.
    #[error("training data is unusable: {reason}")]
    TrainingData {
        /// What is wrong with it.
        reason: String,
    },
    /// An option's value is out of its range.
    #[error("option {option} is {value}, expected {expected}")]
    OptionInvalid {
        /// The option.
        option: &'static str,
        /// The value given.
        value: String,
        /// The range in words.
        expected: &'static str,
    },
    /// The loss or a gradient of a training step is no finite number.
    #[error("training diverged: the loss of step {step} is no finite number")]
    Diverged {
        /// The step, from 1.
        step: u32,
        /// Rows of the batch, from 0, whose outputs are no finite numbers; none where only a gradient is.
        rows: Vec<usize>,
    },
    /// The progress callback asked to stop.
    #[error("training was cancelled")]
    Cancelled,
    /// Tensor arithmetic failed: a bug of ours or a lack of memory.
    #[error("tensor operation {operation} failed: {source}")]
    Compute {
        /// The operation.
        operation: &'static str,
        /// The backend's reason.
        source: Box<candle_core::Error>,
    },
}

impl ModelError {
    /// Returns the error of reading `path`: missing or inaccessible.
    pub(crate) fn access(path: &Path, action: &'static str, source: std::io::Error) -> Self {
        match source.kind() {
            std::io::ErrorKind::NotFound => ModelError::FileMissing { path: path.to_owned() },
            _ => ModelError::FileAccess { path: path.to_owned(), action, source },
        }
    }

    /// Returns the error with paths below `from` written as paths below `to`: a model is checked in a staging folder, and its user
    /// knows the folder that it came from.
    #[must_use]
    pub fn relocated(mut self, from: &Path, to: &Path) -> Self {
        let path = match &mut self {
            ModelError::FileMissing { path }
            | ModelError::FileAccess { path, .. }
            | ModelError::ConfigInvalid { path, .. }
            | ModelError::Unsupported { path, .. }
            | ModelError::SettingUnsupported { path, .. }
            | ModelError::TokenizerInvalid { path, .. }
            | ModelError::WeightsInvalid { path, .. }
            | ModelError::TensorMissing { path, .. }
            | ModelError::TensorShape { path, .. }
            | ModelError::TensorType { path, .. } => path,
            _ => return self,
        };
        if let Ok(below) = path.strip_prefix(from) {
            *path = to.join(below);
        }
        self
    }

    /// Returns a function that names the failed tensor operation.
    pub(crate) fn compute(operation: &'static str) -> impl Fn(candle_core::Error) -> Self {
        move |source| ModelError::Compute { operation, source: Box::new(source) }
    }

    /// Returns an error that says what makes the training data unusable.
    pub(crate) fn training(reason: impl Into<String>) -> Self {
        ModelError::TrainingData { reason: reason.into() }
    }
}

impl Failure for ModelError {
    fn code(&self) -> &'static str {
        match self {
            ModelError::FileMissing { .. } => "model_file_missing",
            ModelError::FileAccess { .. } => "model_file_access",
            ModelError::ConfigInvalid { .. } => "model_config_invalid",
            ModelError::Unsupported { .. } | ModelError::SettingUnsupported { .. } => "model_unsupported",
            ModelError::TokenizerInvalid { .. } => "model_tokenizer_invalid",
            ModelError::WeightsInvalid { .. } => "model_weights_invalid",
            ModelError::TensorMissing { .. } => "model_tensor_missing",
            ModelError::TensorShape { .. } => "model_tensor_shape",
            ModelError::TensorType { .. } => "model_tensor_type",
            ModelError::SizeMismatch { .. } => "model_size_mismatch",
            ModelError::TrainingData { .. } => "training_data_unusable",
            ModelError::OptionInvalid { .. } => "model_option_invalid",
            ModelError::Diverged { .. } => "model_training_diverged",
            ModelError::Cancelled => "training_cancelled",
            ModelError::Compute { .. } => "model_compute",
        }
    }

    fn retryable(&self) -> bool {
        use std::io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
        match self {
            ModelError::FileAccess { source, .. } => {
                matches!(source.kind(), Interrupted | TimedOut | WouldBlock)
            }
            _ => false,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            ModelError::FileMissing { path } => {
                let file = path.file_name()?.to_string_lossy().into_owned();
                Some(format!("the directory must hold {file}, as a sentence-transformers model does"))
            }
            // No nearest name: the file says what the weights were trained with, and another name would be wrong.
            ModelError::Unsupported { what, known, .. } => {
                Some(format!("use a model whose {what} is {}", known.join(" or ")))
            }
            ModelError::SettingUnsupported { advice, .. } => Some(advice.clone()),
            ModelError::WeightsInvalid { .. }
            | ModelError::TensorMissing { .. }
            | ModelError::TokenizerInvalid { .. } => {
                Some("the file may be truncated or belong to another model; fetch the model again".into())
            }
            ModelError::TrainingData { .. } => {
                Some("check the rows that the training query returns".to_owned())
            }
            _ => None,
        }
    }
}
