//! What an entry of the cache depends on.

use nightjar_models::{Cpu, Sequence};
use serde::{Deserialize, Serialize};

use crate::ids::Digest;

/// Everything that an embedding's bits depend on beside its text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CacheKey {
    /// The digest of the encoder's artifact: weights, tokenizer, pooling.
    pub body: Digest,
    /// The most tokens that are read of a text.
    pub window: usize,
    /// Values in an embedding.
    pub dim: usize,
    /// The name of the precision.
    pub precision: String,
    /// The name of the CPU's instruction set: sums differ in their last bits between them.
    pub instruction_set: String,
    /// The version of Nightjar that computed it: kernels and tokenizer are its own.
    pub version: String,
}

impl CacheKey {
    /// Returns the key of what this process computes with a body.
    pub fn here(body: Digest, window: usize, dim: usize, precision: &str) -> Self {
        Self {
            body,
            window,
            dim,
            precision: precision.to_owned(),
            instruction_set: Cpu::detect().name().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Returns what the names of its segments begin with.
    pub(super) fn name(&self) -> String {
        let Self { body, window, dim, precision, instruction_set, version } = self;
        let whole = format!("{body} {window} {dim} {precision} {instruction_set} {version}");
        Digest::of(whole.as_bytes()).to_string()[..32].to_owned()
    }
}

/// The digest of a text, or of a pair that is read as one.
///
/// All 256 bits are kept, because whoever writes texts could look for two with equal digests of fewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TextDigest(pub(super) [u8; 32]);

impl TextDigest {
    /// Returns the digest of what the encoder reads.
    pub fn of(sequence: Sequence<'_>) -> Self {
        let mut hasher = blake3::Hasher::new();
        match sequence {
            Sequence::Text(text) => hasher.update(b"t").update(text.as_bytes()),
            // The length keeps ('a', 'bc') and ('ab', 'c') apart.
            Sequence::Pair(first, second) => hasher
                .update(b"p")
                .update(&(first.len() as u64).to_le_bytes())
                .update(first.as_bytes())
                .update(second.as_bytes()),
        };
        Self(hasher.finalize().into())
    }

    /// The first bytes as a number, in the order of the digests.
    pub(super) fn prefix(&self) -> u64 {
        let mut first = [0; 8];
        first.copy_from_slice(&self.0[..8]);
        u64::from_be_bytes(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_pairs_have_digests_of_their_own() {
        let all = [
            Sequence::Text(""),
            Sequence::Text("abc"),
            Sequence::Pair("a", "bc"),
            Sequence::Pair("ab", "c"),
            Sequence::Pair("abc", ""),
            Sequence::Pair("", "abc"),
        ];
        let mut digests: Vec<_> = all.into_iter().map(TextDigest::of).collect();
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), all.len());
    }

    #[test]
    fn whatever_changes_the_bits_changes_the_name() {
        let key = CacheKey::here(Digest([1; 32]), 256, 384, "f32");
        let others = [
            CacheKey { body: Digest([2; 32]), ..key.clone() },
            CacheKey { window: 128, ..key.clone() },
            CacheKey { dim: 32, ..key.clone() },
            CacheKey { precision: "bf16".to_owned(), ..key.clone() },
            CacheKey { instruction_set: "other".to_owned(), ..key.clone() },
            CacheKey { version: "0.0.0".to_owned(), ..key.clone() },
        ];
        for other in others {
            assert_ne!(other.name(), key.name(), "{other:?}");
        }
    }
}
