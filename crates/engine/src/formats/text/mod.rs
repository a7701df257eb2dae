//! What CSV and JSON share: values are text, and a column's type is what all of its values can be without losing anything.
//!
//! `guess.rs` finds that type; `typed.rs` turns text into it and refuses a value that would change; `chunks.rs` opens files.

mod chunks;
mod guess;
mod number;
mod temporal;
mod typed;

pub(super) use chunks::{Batches, Chunks, Place, look_bytes};
pub(super) use guess::{Guess, without_null};
pub(super) use typed::{Unreadable, typed};
