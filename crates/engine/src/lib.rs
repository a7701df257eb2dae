//! The engine: sessions and dataframes over a store's tables and models.
//!
//! [`Session`] runs SQL, DataFusion's and Nightjar's own; [`DataFrame`] says the same in method chains. Underneath,
//! the analyzer rule [`ResolveModels`] pins every model call to a version, the optimizer rule
//! [`infer::LiftModelCalls`] lifts the calls into one operator, and [`infer::InferExec`] runs it. What COPY and INSERT write
//! goes through `write`. The module
//! `registration` is the only place that registers anything in a session's state.

pub mod infer;
pub mod write;

mod arrow_files;
mod dataframe;
mod definitions;
mod error;
mod exact_decimals;
mod executors;
mod expressions;
mod formats;
mod materialized;
mod object_stores;
mod physical_codec;
mod prepared;
mod registration;
mod replaced_files;
mod resolve_models;
mod sample;
mod schemas;
mod session;
mod set_operations;
mod tables;
mod unions;
mod wide_timestamps;
mod zones;

pub use dataframe::DataFrame;
pub use error::{EngineError, Result, in_words, may_pass};
pub use executors::{ExecutorState, Executors};
pub use formats::parquet::with_amended_metadata;
pub use nightjar_functions::expr_fn as functions;
pub use object_stores::runtime_env;
pub use registration::{Placement, logical_codec, physical_codec, session_config, session_state};
pub use resolve_models::ResolveModels;
pub use session::{Running, Session};
pub use write::OutputKey;
pub use zones::with_zones_as_text;
