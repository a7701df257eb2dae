//! What the errors of all crates have in common: a stable code, whether a retry can help, and a hint that says what to type next.
//!
//! Each crate has one error enum of its own, which implements [`Failure`]. Hints name what a mistyped name probably meant by [`nearest`].

mod failure;
mod nearest;
mod plain_words;

pub use failure::Failure;
pub use nearest::nearest;
pub use plain_words::plain_words;
