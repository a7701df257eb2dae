//! What an encoder reads at a time.

/// One sequence of tokens for the encoder, before it is tokenised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sequence<'a> {
    /// A text.
    Text(&'a str),
    /// Two texts, the second behind the first: each token attends to both.
    Pair(&'a str, &'a str),
}
