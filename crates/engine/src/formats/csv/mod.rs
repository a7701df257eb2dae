//! Files of comma-separated values, read by the names in their headers.

mod columns;
mod header;
mod look;
mod reader;
mod records;
mod rows;

pub(super) use look::{fields, look};
pub(super) use rows::rows;
