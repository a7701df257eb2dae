//! Statements about the cache and the cluster.

pub(crate) mod clear_cache;
pub(crate) mod show_cache;
pub(crate) mod show_executors;
