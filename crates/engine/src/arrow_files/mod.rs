//! Files in Arrow's format (IPC): DataFusion's, but for three things.
//!
//! Its writer keeps to itself where it writes, so it could neither be told to write into a staging nor leave the process;
//! ours ([`ArrowSink`]) makes one where the rows are. And of a file in an object store it looks for the columns where the
//! file begins, at a place where its own writer, and others that align by 64 bytes, have not put them (`schema.rs`).
//! And it takes the columns of all files of a table for those of the first, by their places (`scan.rs`).

mod format;
mod scan;
mod schema;
mod sink;

pub(crate) use format::ArrowFilesFactory;
pub(crate) use sink::{ArrowSink, TAG};
