//! Models: tokenizer, encoder, heads, their training and their metrics.
//!
//! A model is a directory in the Hugging Face sentence-transformers layout. [`EncoderSpec::read`] says what
//! it is without opening the weights, [`TextEncoder::load`] makes it ready to run. Embeddings feed a
//! [`ClassifierHead`], which [`fit_logistic`] trains and [`classification_report`] judges.
//!
//! This crate knows tensors and files. It knows no Arrow, no SQL, no network and no store. Every result has
//! the same bits for any batch, order of micro-batches and number of threads, on one instruction set.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod architecture;
mod bert;
mod cholesky;
mod config;
mod confusion;
mod embeddings;
mod encoder;
mod error;
mod fidelity;
mod folder_check;
mod head;
mod head_file;
mod job;
mod label_sets;
mod lbfgs;
mod logistic;
mod metrics;
mod pooling;
mod preconditioner;
mod random;
mod regression;
mod regression_metrics;
mod regularization;
mod separators;
mod sequence;
mod softmax_loss;
mod spec;
mod tensor_file;
pub mod testing;
mod thresholds;
mod tokenizer;
mod tokenizer_json;
mod training;
mod weights;

pub use architecture::{ARCHITECTURES, Architecture, Backend, Body, PackedTexts};
pub use config::ConfigFile;
pub use confusion::{ClassCounts, ConfusionMatrix};
pub use embeddings::Embeddings;
pub use encoder::{EncoderOptions, TextEncoder};
pub use error::{ModelError, Result};
pub use fidelity::{Fidelity, fidelities};
pub use folder_check::{CheckedFolder, check_folder};
pub use head::ClassifierHead;
pub use job::EncodeJob;
pub use label_sets::LabelSetCounts;
pub use logistic::{
    ClassWeights, FitPhase, FitProgress, LogisticFit, LogisticOptions, Progress, fit_logistic,
};
pub use metrics::{ClassMetrics, ClassificationReport, classification_report, roc_auc, row_log_loss};
pub use nightjar_kernels::{Cpu, Precision, UnknownPrecision};
pub use pooling::Pooling;
pub use random::shuffle;
pub use regression::{RegressionHead, RidgeFit, fit_ridge};
pub use regression_metrics::{RegressionMoments, RegressionReport, regression_report, spearman};
pub use sequence::Sequence;
pub use spec::{BodySizes, EncoderSpec};
pub use thresholds::{DEFAULT_THRESHOLD, MIN_THRESHOLD_ROWS, ScoredLabels};
pub use tokenizer::{TextTokenizer, TokenizedPair, TokenizedText};
pub use training::{
    Adapter, FrozenBatch, FrozenStates, HeadWeights, LoraOptions, Objective, OptimizerOptions, PairOutcome,
    Schedule, StepReport, Target, Trainer, TrainerOptions, TrainingRow, learning_rate,
};
pub use weights::Weights;
