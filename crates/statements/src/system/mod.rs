//! What the statements about the cache and the cluster do.

pub(crate) mod clear_cache;
pub(crate) mod show_cache;
pub(crate) mod show_executors;
