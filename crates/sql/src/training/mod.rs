//! The clauses and options of training, and the statements about training runs.

pub(crate) mod data;
pub(crate) mod discard_training;
pub(crate) mod fine_tune;
pub(crate) mod method;
pub(crate) mod option_kind;
pub(crate) mod option_values;
pub(crate) mod options;
pub(crate) mod resume_training;
pub(crate) mod show_training;
