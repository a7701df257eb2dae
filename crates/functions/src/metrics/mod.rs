//! Metrics as SQL aggregates over (label, prediction): one file a function or a small family.
//!
//! Each is a [`MetricFunction`] in `registry::METRIC_FUNCTIONS`: its documentation, the forms of its call, and an accumulator
//! whose states merge, so that partitions and executors each count their own rows. The arithmetic is `nightjar_models`'.

mod argument;
mod function;
mod kept_values;
mod labels;
mod pair_counts;
mod regression_sums;
mod scores;
mod set_counts;

pub(crate) mod accuracy;
pub(crate) mod confusion_matrix;
pub(crate) mod label_counts;
pub(crate) mod log_loss;
pub(crate) mod micro;
pub(crate) mod per_class;
pub(crate) mod regression;
pub(crate) mod roc_auc;
pub(crate) mod spearman;

pub use function::MetricFunction;
pub(crate) use function::MetricUdaf;
pub use pair_counts::confusion_matrix_of;
pub use set_counts::classes_of;

#[cfg(test)]
mod tests;
