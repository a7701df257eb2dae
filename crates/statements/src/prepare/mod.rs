//! What comes before the first round of training: rows made into features, written once as Parquet.
//!
//! 1. *read*: the statement's query, with keys and token ids added, runs once and goes to a staging file as it comes.
//! 2. *classes*: an aggregate over the staged rows counts the labels.
//! 3. *deal*: the staged rows, sorted by a hash of seed and content, are dealt out to the validation file and to the
//!    shards.
//!
//! Split and order depend on what the rows hold and on the seed, never on files, partitions or threads. No step holds
//! the rows in memory: sorts spill to the folder when their buffer is full.

mod checks;
mod classes;
mod deal;
mod feature_file;
mod plans;
mod prepared;
mod row_key;
mod run;
mod stage;
mod text_features;

pub(crate) use plans::prepare_plans;
pub(crate) use prepared::file_error;
pub use prepared::{FeatureFile, Prepared};
pub(crate) use row_key::{row_key, row_place};
pub(crate) use run::prepare;
pub(crate) use text_features::text_features;

#[cfg(test)]
mod tests;
