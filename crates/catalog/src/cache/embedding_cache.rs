//! The cache of one key, open: looking texts up, collecting new entries, publishing them.

use std::collections::{HashMap, HashSet};
use std::io;
use std::mem;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{
    Arc, LazyLock, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak,
};

use nightjar_models::Sequence;
use rayon::prelude::*;

use super::folder::{CacheFolder, Stored};
use super::key::{CacheKey, TextDigest};
use super::merge::{keep_within, merge_small};
use super::record::{append_record, read_record, record_bytes};
use super::segment::{Segment, SegmentError, SegmentWriter};
use crate::error::{CatalogError, Result};
use crate::store::StoreFiles;

/// New entries are published when they have so many bytes, or an eighth of the cache's bound.
const PUBLISH_BYTES: u64 = 16 << 20;

/// A listing that names segments which are gone was taken while somebody merged; so often one is taken anew.
const LISTINGS: usize = 8;

/// What a user of the cache of one key holds: a partition of a running plan.
///
/// Users of one process share what is open and what is new. The last of them publishes, at its end; whatever fails is logged
/// once, and the cache does without it.
#[derive(Debug)]
pub struct EmbeddingCache {
    shared: Arc<Shared>,
    max_bytes: u64,
    is_finished: AtomicBool,
}

#[derive(Debug)]
struct Shared {
    key: CacheKey,
    folder: CacheFolder,
    segments: RwLock<Vec<(String, Arc<Segment>)>>,
    /// Entries, as bytes, that are not published yet.
    new: RwLock<HashMap<TextDigest, Vec<u8>>>,
    users: AtomicUsize,
    /// Whether the store has failed it: nothing more is asked of the store then, which may take long to fail, and nothing is collected.
    is_closed: AtomicBool,
    has_told: AtomicBool,
    /// Held while segments are opened, so that partitions which begin together open each once.
    opening: Mutex<()>,
}

/// By the folder and the key.
type Opened = HashMap<(PathBuf, CacheKey), Weak<Shared>>;

/// What is open in this process.
static OPEN: LazyLock<Mutex<Opened>> = LazyLock::new(Mutex::default);

// Nothing here is left half-changed, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

impl StoreFiles {
    /// Opens the inference cache of a key, which may have `max_bytes` in all, over all keys.
    ///
    /// Cost: lists the segments and reads 8 bytes an entry, if no other user of this process has them open; those of a store in a
    /// bucket are fetched whole into the working folder, each once.
    pub fn open_cache(&self, key: CacheKey, max_bytes: u64) -> EmbeddingCache {
        let folder = CacheFolder::of(self);
        let shared = {
            let mut open = lock(&OPEN);
            open.retain(|_, shared| shared.strong_count() > 0);
            let slot = open.entry((folder.path().to_owned(), key.clone())).or_default();
            let shared = slot.upgrade().unwrap_or_else(|| Arc::new(Shared::new(key, folder)));
            *slot = Arc::downgrade(&shared);
            shared.users.fetch_add(1, Ordering::AcqRel);
            shared
        };
        shared.refresh();
        EmbeddingCache { shared, max_bytes, is_finished: AtomicBool::new(false) }
    }
}

impl EmbeddingCache {
    /// Values in an embedding.
    pub fn dim(&self) -> usize {
        self.shared.key.dim
    }

    /// Writes the embeddings of the texts that are known to their rows of `out` (`[texts, dim]`), and returns each text's digest
    /// and, if it is known, whether it was cut. Runs on the calling thread's rayon pool.
    pub fn look_up(&self, texts: &[Sequence<'_>], out: &mut [f32]) -> Vec<(TextDigest, Option<bool>)> {
        let segments = read(&self.shared.segments).clone();
        let rows = texts.par_iter().zip(out.par_chunks_exact_mut(self.dim().max(1)));
        rows.map_init(Vec::new, |record, (text, out)| {
            let digest = TextDigest::of(*text);
            (digest, self.shared.find(&segments, &digest, record, out))
        })
        .collect()
    }

    /// Adds an entry: the embedding of a text, and whether the text was cut.
    pub fn add(&self, digest: TextDigest, truncated: bool, embedding: &[f32]) {
        if self.shared.is_closed() {
            return;
        }
        let mut record = Vec::with_capacity(record_bytes(embedding.len()));
        append_record(&digest, truncated, embedding, &mut record);
        write(&self.shared.new).insert(digest, record);
    }

    /// Publishes the new entries once there are many. Blocks on the disk or the bucket.
    pub fn settle(&self) {
        let bytes = (read(&self.shared.new).len() * record_bytes(self.dim())) as u64;
        if bytes > 0 && bytes >= PUBLISH_BYTES.min(self.max_bytes / 8) {
            self.shared.publish(self.max_bytes);
        }
    }

    /// Ends this use; the last user of this process publishes the new entries. Blocks on the disk or the bucket.
    pub fn finish(&self) {
        if self.leave() {
            self.shared.publish(self.max_bytes);
        }
    }

    /// Returns whether this was the last user.
    fn leave(&self) -> bool {
        !self.is_finished.swap(true, Ordering::AcqRel)
            && self.shared.users.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

impl Drop for EmbeddingCache {
    /// A statement that was given up keeps what it has computed, where that takes no network.
    fn drop(&mut self) {
        if self.leave() && !self.shared.folder.is_in_bucket() {
            self.shared.publish(self.max_bytes);
        }
    }
}

impl Shared {
    fn new(key: CacheKey, folder: CacheFolder) -> Self {
        Self {
            key,
            folder,
            segments: RwLock::default(),
            new: RwLock::default(),
            users: AtomicUsize::new(0),
            is_closed: AtomicBool::new(false),
            has_told: AtomicBool::new(false),
            opening: Mutex::default(),
        }
    }

    fn find(
        &self,
        segments: &[(String, Arc<Segment>)],
        digest: &TextDigest,
        record: &mut Vec<u8>,
        out: &mut [f32],
    ) -> Option<bool> {
        if let Some(new) = read(&self.new).get(digest) {
            return Some(read_record(new, out));
        }
        for (name, segment) in segments {
            match segment.find(digest, record, out) {
                Ok(Some(truncated)) => return Some(truncated),
                Ok(None) => {}
                Err(error) => self.put_aside(name, error),
            }
        }
        None
    }

    /// Reads no more of a segment; a damaged one is removed.
    fn put_aside(&self, name: &str, error: SegmentError) {
        let mut segments = write(&self.segments);
        let before = segments.len();
        segments.retain(|(known, _)| known != name);
        if segments.len() == before {
            // Another thread has met it too.
            return;
        }
        drop(segments);
        match error {
            SegmentError::Io(error) => {
                self.tell(&CatalogError::io("read", self.folder.path().join(name))(error));
            }
            // The copy may be what is damaged: the next listing fetches it again.
            SegmentError::Damaged if self.folder.forget(name) => {}
            SegmentError::Damaged => self.discard(name),
        }
    }

    fn discard(&self, name: &str) {
        log::warn!("the inference cache leaves out {name}, which is damaged");
        if let Err(error) = self.folder.remove([name.to_owned()].iter()) {
            self.tell(&error);
        }
    }

    /// Says what failed, the first time.
    fn tell(&self, error: &CatalogError) {
        if !self.has_told.swap(true, Ordering::Relaxed) {
            log::warn!("the inference cache does without: {error}");
        }
    }

    /// Opens what there is and is not open, and lets go of what is gone.
    fn refresh(&self) {
        let _one_at_a_time = lock(&self.opening);
        if !self.is_closed()
            && let Err(error) = self.try_refresh()
        {
            self.close(&error);
        }
    }

    fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    fn close(&self, error: &CatalogError) {
        self.is_closed.store(true, Ordering::Relaxed);
        self.tell(error);
    }

    fn try_refresh(&self) -> Result<()> {
        let (mut gone, mut forgotten) = (HashSet::new(), HashSet::new());
        for _ in 0..LISTINGS {
            let open = read(&self.segments).clone();
            let listed = self.folder.list_of(&self.key)?;
            let is_listed = |name: &String| listed.iter().any(|stored| &stored.name == name);
            // A listing may be too old for what a segment was merged into. One taken after it was missed is not.
            let missed = open.iter().filter(|(name, _)| !is_listed(name));
            let mut is_stale = missed.fold(false, |stale, (name, _)| gone.insert(name.clone()) || stale);
            for stored in &listed {
                if !open.iter().any(|(name, _)| name == &stored.name) {
                    is_stale |= self.open_segment(stored, &mut forgotten)?;
                }
            }
            if !is_stale {
                write(&self.segments).retain(|(name, _)| !gone.contains(name));
                break;
            }
        }
        Ok(())
    }

    /// Opens a segment that was listed; returns whether it is worth to list anew, because it is gone or its copy was damaged.
    fn open_segment(&self, stored: &Stored, forgotten: &mut HashSet<String>) -> Result<bool> {
        let Some(path) = self.folder.fetch(stored)? else { return Ok(true) };
        match Segment::open(&path, &self.key) {
            Ok(segment) => write(&self.segments).push((stored.name.clone(), Arc::new(segment))),
            Err(SegmentError::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            Err(SegmentError::Io(error)) => self.tell(&CatalogError::io("open", path)(error)),
            Err(SegmentError::Damaged) => {
                // The copy of an object is fetched once more.
                if forgotten.insert(stored.name.clone()) && self.folder.forget(&stored.name) {
                    return Ok(true);
                }
                self.discard(&stored.name);
            }
        }
        Ok(false)
    }

    /// Publishes the new entries as a segment, and puts the cache in order.
    fn publish(&self, max_bytes: u64) {
        let new = mem::take(&mut *write(&self.new));
        if new.is_empty() || self.is_closed() {
            return;
        }
        if let Err(error) = self.write_segment(new) {
            self.close(&error);
            return;
        }
        let kept = merge_small(&self.folder, &self.key, max_bytes);
        if let Err(error) = kept.and_then(|()| keep_within(&self.folder, max_bytes)) {
            self.tell(&error);
        }
        self.refresh();
    }

    fn write_segment(&self, new: HashMap<TextDigest, Vec<u8>>) -> Result<()> {
        let mut entries: Vec<(TextDigest, Vec<u8>)> = new.into_iter().collect();
        entries.par_sort_unstable_by_key(|(digest, _)| *digest);
        let staged = self.folder.stage()?;
        let written = || {
            let mut writer = SegmentWriter::begin(staged.as_file(), &self.key)?;
            entries.iter().try_for_each(|(digest, record)| writer.add(digest, record))?;
            writer.finish()
        };
        written().map_err(CatalogError::io("write", staged.path()))?;
        // Opened before anybody else can merge and remove it.
        let segment = Segment::open(staged.path(), &self.key);
        let name = self.folder.publish(staged, &self.key)?;
        if let Ok(segment) = segment {
            write(&self.segments).push((name, Arc::new(segment)));
        }
        Ok(())
    }
}
