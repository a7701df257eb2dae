//! The formats whose files we read otherwise than DataFusion does.
//!
//! [`parquet`] is read over footers that can be believed. CSV and JSON are read by name, over whole records, and a value that would change is
//! refused: DataFusion's readers take columns by their places, look at the first rows only, and read what comes later as what those were.

mod codec;
mod csv;
mod factory;
mod format;
mod json;
pub(crate) mod parquet;
mod source;
mod text;

pub(crate) use codec::{TAG, decode, encode};
pub(crate) use factory::{CsvFilesFactory, JsonFilesFactory};
