//! The inference cache: what bodies made of texts, kept in the store.
//!
//! An entry is the pooled embedding of a text or pair, found by a digest of the text. It depends on the [`CacheKey`] alone, so
//! every function and every head over a body reads the same entries. Entries lie in *segments*, files that never change: a writer
//! collects entries, writes a segment under a name of its own and renames it into `cache/`; whoever publishes merges small
//! segments and removes the least recently used ones beyond the bound. Every entry has a checksum, so a damaged file costs
//! its entries and never a result; what fails here costs the cache and never the statement.
//!
//! # How it works
//!
//! With `nightjar.cache = 'on'` the planner puts the cache's bound into `InferExec`, from where it
//! travels with the plan (`codec.rs`). What is cached is the pooled embedding of a text or pair: it
//! serves every function and every head over its body, where a result would serve one call. Its
//! `CacheKey` is all that its bits depend on: body, window, precision, instruction set, version of
//! Nightjar. `EncodePass` looks the distinct texts up by a BLAKE3 digest before anything is tokenised
//! (`functions/src/known_texts.rs`), and asks for the encoder only if some are missing: where all texts
//! are known, no weights are loaded. An entry says whether its text was cut, so `truncated_texts`
//! counts as without.
//!
//! Entries lie in segments, files in the store's `cache/` that never change (`catalog/src/cache`):
//! sorted records, then the first 8 bytes of each digest, which is all that a process keeps in memory;
//! a hit is one positioned read. The users of a key in one process, partitions of plans, share what is
//! open and what is new. At 16 MB of new entries, and when the last user ends, a segment is written
//! under a name of its own and renamed; then its writer merges segments of like size, eight into one,
//! and removes the least recently used beyond the bound (a file's time is set when a process first
//! reads an entry from it). A merged segment is published before its parts are removed, and who finds a
//! listed file gone lists again, so any number of processes may write, read, merge and die at any
//! moment: at worst an entry is there twice until the next merge. In a bucket a segment is an object,
//! of which a working folder keeps a copy; its age is that of its writing.
//!
//! Nothing here is synced: every entry has a checksum, and so has what finds it. Damage costs a
//! segment, a full disk or a lost bucket the cache; no statement fails of either, and no result
//! differs.

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
