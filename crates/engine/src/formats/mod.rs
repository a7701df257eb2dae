//! The formats of files that we read or write otherwise than DataFusion does, a folder each.

pub(crate) mod parquet;
