//! Files of JSON: an object a line, objects over several lines, or one array of objects.

mod look;
mod objects;
mod reader;
mod rows;
mod shape;
mod types;
mod value;

pub(super) use look::{all_in_lines, fields, look};
pub(super) use rows::rows;
