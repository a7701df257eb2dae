//! The inference cache: what bodies made of texts, kept in the store.
//!
//! An entry is the pooled embedding of a text or pair, found by a digest of the text. It depends on the [`CacheKey`] alone, so
//! every function and every head over a body reads the same entries. Entries lie in *segments*, files that never change: a writer
//! collects entries, writes a segment under a name of its own and renames it into `cache/`; whoever publishes merges small
//! segments and removes the least recently used ones beyond the bound. Every entry has a checksum, so a damaged file costs
//! its entries and never a result; what fails here costs the cache and never the statement.

mod embedding_cache;
mod folder;
mod key;
mod merge;
mod record;
mod segment;
mod shown;
#[cfg(test)]
mod tests;

pub use embedding_cache::EmbeddingCache;
pub use key::{CacheKey, TextDigest};
pub use shown::CachedBody;
