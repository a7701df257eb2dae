//! What comes before the first round of training: rows made into features, written once as Parquet.
//!
//! 1. *read*: the statement's query, with keys and token ids added, runs once and goes to a staging file as it comes.
//! 2. *classes*: an aggregate over the staged rows counts the labels.
//! 3. *deal*: the staged rows, sorted by a hash of seed and content, are dealt out to the validation file and to the
//!    shards.
//!
//! Split and order depend on what the rows hold and on the seed, never on files, partitions or threads. No step holds
//! the rows in memory: sorts spill to the folder when their buffer is full.
//!
//! # How rows are prepared
//!
//! `statements/src/prepare`: the ON query with `row_key`, `row_place` and `text_features` (token ids by
//! the pinned model's tokenizer) runs once, into a staging file; an aggregate over that counts the
//! labels; a sort by place, bounded in memory, deals the rows out: the first `validation_fraction` of
//! each class to `validation.parquet`, the others to `train-<shard>.parquet` in turn. A target that is
//! a list of labels is staged as a sorted set (`label_set.rs`), and the row's stratum is its rarest
//! label; the card's `multi_label` then tells the planner that `classify` returns a list. A row's place
//! is a hash of the seed and what it holds. The checks before training (`checks.rs`) are plans over
//! those files. `prepared.json`, written last, says that the folder is complete and for which
//! fingerprint: the same training, resumed, runs none of it again.

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
