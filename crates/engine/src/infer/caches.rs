//! The inference caches that a partition has open, one a body.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nightjar_catalog::EmbeddingCache;
use nightjar_functions::{BoundCall, EncoderKey};

/// Opened with the first rows, so that a partition without any opens none.
#[derive(Debug)]
pub(super) struct Caches {
    max_bytes: u64,
    opened: Mutex<Vec<(EncoderKey, Arc<EmbeddingCache>)>>,
}

impl Caches {
    pub(super) fn new(max_bytes: u64) -> Self {
        Self { max_bytes, opened: Mutex::default() }
    }

    fn opened(&self) -> MutexGuard<'_, Vec<(EncoderKey, Arc<EmbeddingCache>)>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the cache of each call's body; blocks on the store the first time.
    pub(super) fn open(&self, calls: &[Arc<BoundCall>]) {
        for call in calls {
            let encoder_key = call.encoder_key();
            if self.of(&encoder_key).is_none() {
                let cache = Arc::new(call.open_cache(self.max_bytes));
                self.opened().push((encoder_key, cache));
            }
        }
    }

    /// Returns the cache of a body.
    pub(super) fn of(&self, encoder_key: &EncoderKey) -> Option<Arc<EmbeddingCache>> {
        let opened = self.opened();
        opened.iter().find(|(known, _)| known == encoder_key).map(|(_, cache)| Arc::clone(cache))
    }

    /// Publishes what is new, once there is much of it; blocks on the store then.
    pub(super) fn settle(&self) {
        self.all().iter().for_each(|cache| cache.settle());
    }

    /// Ends the partition's use of them; blocks on the store.
    pub(super) fn finish(&self) {
        self.all().iter().for_each(|cache| cache.finish());
    }

    fn all(&self) -> Vec<Arc<EmbeddingCache>> {
        self.opened().iter().map(|(_, cache)| Arc::clone(cache)).collect()
    }
}
