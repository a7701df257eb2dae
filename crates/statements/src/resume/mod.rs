//! What the statements about training runs do.

pub(crate) mod discard_training;
pub(crate) mod resume_training;
pub(crate) mod show_training;
