//! The SQL functions of Nightjar: one file a function, one line a function in [`registry`].
//!
//! A *model function* ([`ModelFunction`]) is data: its documentation, what it accepts, and the arithmetic
//! that turns embeddings or tokens into its result. [`ModelUdf`] makes a DataFusion function of it;
//! [`BoundCall`] is one call with its model pinned, ready to run; [`EncodePass`] runs one encoder pass for
//! any number of calls over the same body. A *vector function* is plain arithmetic on list columns, and a *metric*
//! ([`MetricFunction`]) an aggregate over labels and predictions.
//!
//! Which model a call means is settled while planning, by [`Models::resolve`], which reads cards and never
//! weights; from there on the call carries a [`PinnedModel`] and needs only the artifact store.

mod base_card;
mod error;
mod options;
mod pinned;

mod model_memory;
mod models;

mod call;
mod call_texts;
mod known_texts;
mod label_lists;
mod pass;
mod text_column;
mod udf;

mod classify;
mod classify_scores;
mod count_tokens;
mod embed;
mod predict;
mod similarity;
mod tokenize;

mod cosine_similarity;
mod dot_product;
mod l2_distance;
mod vector_column;
mod vector_udf;

mod metrics;

mod datafusion_error;
pub mod expr_fn;
pub mod reference;
pub mod registry;
pub mod rounds;
mod translation;
mod translation_rules;

pub use base_card::with_fidelity;
pub use call::BoundCall;
pub use call_texts::CallTexts;
pub use datafusion_error::{
    CATALOG, CarriedFailure, SCHEMA, find_failure, instead, into_datafusion, readable, told_failure,
};
pub use error::{FunctionError, Result};
pub use label_lists::LabelLists;
pub use metrics::{MetricFunction, classes_of, confusion_matrix_of};
pub use model_memory::bound_model_memory;
pub use models::{CARD_FILE, EncoderKey, HEAD_FILE, Models, PRECISION_OPTION, ResolvedModel};
pub use options::NightjarOptions;
pub use pass::{EncodePass, PassTexts};
pub use pinned::PinnedModel;
pub use text_column::TextColumn;
pub use udf::{FunctionDoc, ModelFunction, ModelUdf, Work};
