//! What is in the cache, for people.

use std::collections::HashMap;
use std::time::SystemTime;

use super::folder::CacheFolder;
use super::key::CacheKey;
use crate::error::Result;
use crate::store::StoreFiles;

/// What the cache has of one body, computed in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedBody {
    /// What its entries depend on.
    pub key: CacheKey,
    /// How many entries there are. A text that two processes computed at the same time counts twice until its segments are merged.
    pub entries: u64,
    /// The bytes of its segments.
    pub bytes: u64,
    /// When an entry was last of use, in microseconds since 1970; in a bucket, when one was last written.
    pub last_used: i64,
}

impl StoreFiles {
    /// Returns what is in the inference cache, the most recently used body first. Damaged segments are left out.
    ///
    /// Cost: a read of a few kB for each segment.
    pub fn cached_bodies(&self) -> Result<Vec<CachedBody>> {
        let folder = CacheFolder::of(self);
        let mut bodies: HashMap<CacheKey, CachedBody> = HashMap::new();
        for stored in folder.list()? {
            let Some(head) = folder.head(&stored)? else { continue };
            let since = stored.used.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let body = bodies.entry(head.key.clone()).or_insert_with(|| CachedBody {
                key: head.key,
                entries: 0,
                bytes: 0,
                last_used: 0,
            });
            body.entries += head.entries;
            body.bytes += stored.bytes;
            body.last_used = body.last_used.max(i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
        }
        let mut bodies: Vec<CachedBody> = bodies.into_values().collect();
        bodies.sort_by(|a, b| (b.last_used, a.key.name()).cmp(&(a.last_used, b.key.name())));
        Ok(bodies)
    }

    /// Removes all of the inference cache, and returns how many bytes it had.
    ///
    /// A statement that has it open goes on reading what it has opened. Errors: segments that can't be removed.
    pub fn clear_cache(&self) -> Result<u64> {
        let folder = CacheFolder::of(self);
        let listed = folder.list()?;
        folder.remove(listed.iter().map(|stored| &stored.name))?;
        Ok(listed.iter().map(|stored| stored.bytes).sum())
    }
}
