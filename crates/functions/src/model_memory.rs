//! What this process has loaded of models, under a bound: what no statement uses is dropped, least recently used first.

use std::any::Any;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use nightjar_catalog::Digest;

use crate::models::{BodyKey, EncoderKey};
use crate::{FunctionError, Result};

/// A part of a model that is loaded by itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    Encoder(EncoderKey),
    Tokenizer(BodyKey),
    Head(Digest),
    Regression(Digest),
}

type Loaded = Arc<dyn Any + Send + Sync>;

/// Filled by the first caller while the others wait, so that eight partitions read the weights once.
type Slot = Arc<Mutex<Option<Loaded>>>;

#[derive(Default)]
struct Entry {
    slot: Slot,
    /// Of the part, once it is loaded.
    bytes: u64,
    /// The memory's clock at its last use.
    used: u64,
}

/// Parts of models, each loaded once.
#[derive(Default)]
pub(crate) struct ModelMemory {
    parts: Mutex<Parts>,
    /// Bytes that the parts may take together; 0 where none was stated.
    bound: AtomicU64,
}

#[derive(Default)]
struct Parts {
    entries: HashMap<Part, Entry>,
    clock: u64,
}

/// The memory of this process.
pub(crate) static MEMORY: LazyLock<ModelMemory> = LazyLock::new(ModelMemory::default);

/// States how many bytes the parts of models may take in this process; None for half of the machine's memory.
///
/// The last statement that says so counts, for all sessions of the process.
pub fn bound_model_memory(bytes: Option<u64>) {
    MEMORY.set_bound(bytes.unwrap_or(*HALF_OF_THE_MACHINE));
}

/// Half of what the machine has, or the process's control group allows.
static HALF_OF_THE_MACHINE: LazyLock<u64> = LazyLock::new(|| {
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let group = read("/sys/fs/cgroup/memory.max").and_then(|text| number(&text));
    let machine = read("/proc/meminfo").and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        Some(number(line.trim_end_matches("kB"))? * 1024)
    });
    [group, machine].into_iter().flatten().min().unwrap_or(ELSEWHERE) / 2
});

/// What machines are taken to have that do not say it.
const ELSEWHERE: u64 = 16 << 30;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Maps and slots are never left half-changed, so a panic elsewhere does not spoil them.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ModelMemory {
    fn set_bound(&self, bytes: u64) {
        // 0 stands for "not stated".
        if self.bound.swap(bytes.max(1), Ordering::Relaxed) != bytes.max(1) {
            self.drop_unused();
        }
    }

    fn bound(&self) -> u64 {
        match self.bound.load(Ordering::Relaxed) {
            0 => *HALF_OF_THE_MACHINE,
            bound => bound,
        }
    }

    /// Returns the part, loading it if it is not there; `bytes` says what it takes.
    pub(crate) fn get<T: Send + Sync + 'static>(
        &self,
        part: Part,
        load: impl FnOnce() -> Result<T>,
        bytes: impl FnOnce(&T) -> usize,
    ) -> Result<Arc<T>> {
        let slot = {
            let mut parts = lock(&self.parts);
            parts.clock += 1;
            let clock = parts.clock;
            let entry = parts.entries.entry(part.clone()).or_default();
            entry.used = clock;
            Arc::clone(&entry.slot)
        };
        let mut filled = lock(&slot);
        let known = filled.as_ref().map(Arc::clone);
        let is_new = known.is_none();
        let (loaded, size) = match known {
            Some(known) => {
                let known = known.downcast::<T>();
                (
                    known.map_err(|_| {
                        FunctionError::Internal("a part of a model of another type".to_owned())
                    })?,
                    0,
                )
            }
            None => {
                let loaded = Arc::new(load()?);
                *filled = Some(Arc::clone(&loaded) as Loaded);
                let size = bytes(&loaded);
                (loaded, size)
            }
        };
        drop(filled);
        drop(slot);
        if is_new {
            if let Some(entry) = lock(&self.parts).entries.get_mut(&part) {
                entry.bytes = size as u64;
            }
            self.drop_unused();
        }
        Ok(loaded)
    }

    /// Drops parts that nobody holds, least recently used first, until the others fit.
    fn drop_unused(&self) {
        let bound = self.bound();
        // Dropped at the end, when the lock is free: it takes a while to give gigabytes back.
        let mut dropped = Vec::new();
        let mut parts = lock(&self.parts);
        let mut total: u64 = parts.entries.values().map(|entry| entry.bytes).sum();
        while total > bound {
            let unused = parts.entries.iter().filter(|(_, entry)| entry.bytes > 0 && is_unused(&entry.slot));
            let Some(part) = unused.min_by_key(|(_, entry)| entry.used).map(|(part, _)| part.clone()) else {
                break;
            };
            if let Some(entry) = parts.entries.remove(&part) {
                total -= entry.bytes;
                dropped.push(entry);
            }
        }
        drop(parts);
    }

    #[cfg(test)]
    fn holds(&self, part: &Part) -> bool {
        lock(&self.parts).entries.contains_key(part)
    }
}

/// Whether only the memory holds what is in the slot. New holders come by the memory's lock alone.
fn is_unused(slot: &Slot) -> bool {
    Arc::strong_count(slot) == 1 && lock(slot).as_ref().is_none_or(|loaded| Arc::strong_count(loaded) == 1)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn part(name: u8) -> Part {
        Part::Head(Digest::of(&[name]))
    }

    fn get(memory: &ModelMemory, name: u8) -> Arc<Vec<u8>> {
        memory.get(part(name), || Ok(vec![name; 100]), Vec::len).unwrap()
    }

    #[test]
    fn the_least_recently_used_is_dropped_first() {
        let memory = ModelMemory::default();
        memory.set_bound(250);
        for name in [1, 2, 1, 3] {
            assert_eq!(get(&memory, name)[0], name);
        }
        assert_eq!([1, 2, 3].map(|name| memory.holds(&part(name))), [true, false, true]);
        // A smaller bound counts at once.
        memory.set_bound(100);
        assert_eq!([1, 3].map(|name| memory.holds(&part(name))), [false, true]);
    }

    #[test]
    fn what_is_in_use_stays_whatever_the_bound() {
        let memory = ModelMemory::default();
        memory.set_bound(1);
        let (first, second) = (get(&memory, 1), get(&memory, 2));
        assert!(Arc::ptr_eq(&first, &get(&memory, 1)), "loaded once while it is held");
        drop(first);
        // The next load makes room.
        let third = get(&memory, 3);
        assert_eq!([1, 2, 3].map(|name| memory.holds(&part(name))), [false, true, true]);
        drop((second, third));
    }

    #[test]
    fn eight_threads_load_once_and_a_failed_load_is_tried_again() {
        let (memory, loads) = (ModelMemory::default(), AtomicUsize::new(0));
        memory.set_bound(1 << 20);
        let failed =
            memory.get::<Vec<u8>>(part(1), || Err(FunctionError::Internal("no".to_owned())), Vec::len);
        assert!(failed.is_err());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let load = || {
                        loads.fetch_add(1, Ordering::Relaxed);
                        Ok(vec![7_u8; 10])
                    };
                    assert_eq!(memory.get(part(1), load, Vec::len).unwrap()[0], 7);
                });
            }
        });
        assert_eq!(loads.into_inner(), 1);
    }
}
