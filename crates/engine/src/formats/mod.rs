//! The formats whose files are read by us rather than by DataFusion: CSV and JSON.
//!
//! DataFusion's readers take columns by their places, look at the first rows only, and read what comes later as what those
//! were. Ours read by name, look further, and refuse a value that would change. Writing is DataFusion's.

mod codec;
mod csv;
mod factory;
mod format;
mod json;
mod source;
mod text;

pub(crate) use codec::{TAG, decode, encode};
pub(crate) use factory::{CsvFilesFactory, JsonFilesFactory};
