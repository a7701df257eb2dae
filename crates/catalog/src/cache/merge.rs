//! How segments stay few and the cache within its bound.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Write};
use std::time::SystemTime;

use super::folder::{CacheFolder, Stored};
use super::key::{CacheKey, TextDigest};
use super::segment::{Entry, Segment, SegmentError, SegmentWriter};
use crate::error::{CatalogError, Result};

/// So many segments of like size are merged into one.
const MERGED: usize = 8;

/// Segments are of like size if they are as many times eight from the size at which they are no longer merged.
fn tier(bytes: u64, largest: u64) -> Option<u32> {
    let mut bound = largest;
    let mut tier = 0;
    while bytes < bound / MERGED as u64 {
        bound /= MERGED as u64;
        tier += 1;
    }
    (bytes < largest).then_some(tier)
}

/// Returns the segments to merge next: the oldest of a size of which there are enough.
fn choose(listed: &[Stored], largest: u64) -> Option<Vec<Stored>> {
    let tiers = listed.iter().filter_map(|stored| tier(stored.bytes, largest));
    let full = tiers.clone().find(|wanted| tiers.clone().filter(|tier| tier == wanted).count() >= MERGED)?;
    let mut bytes = 0;
    let fits = |stored: &&Stored| {
        bytes += stored.bytes;
        bytes <= 2 * largest
    };
    let of_size = listed.iter().filter(|stored| tier(stored.bytes, largest) == Some(full));
    let chosen: Vec<Stored> = of_size.take(MERGED * 2).take_while(fits).cloned().collect();
    (chosen.len() > 1).then_some(chosen)
}

/// Merges small segments of a key, as long as there are many of like size.
///
/// The new one is published before the old ones are removed: a process that is killed in between leaves entries twice, and the
/// next merge drops them.
pub(super) fn merge_small(folder: &CacheFolder, key: &CacheKey, max_bytes: u64) -> Result<()> {
    let Some(_turn) = folder.lock()? else { return Ok(()) };
    while let Some(chosen) = choose(&folder.list_of(key)?, max_bytes / 16) {
        let mut segments = Vec::with_capacity(chosen.len());
        for stored in &chosen {
            let opened = folder.fetch(stored)?.map(|path| Segment::open(&path, key));
            match opened {
                Some(Ok(segment)) => segments.push(segment),
                Some(Err(SegmentError::Io(error))) => {
                    return Err(CatalogError::io("read", folder.path().join(&stored.name))(error));
                }
                // Nothing is lost that could be read.
                Some(Err(SegmentError::Damaged)) | None => {}
            }
        }
        let staged = folder.stage()?;
        merge(&segments, key, staged.as_file()).map_err(|error| match error {
            SegmentError::Io(error) => CatalogError::io("merge segments in", folder.path())(error),
            SegmentError::Damaged => CatalogError::io("merge segments in", folder.path())(io::Error::other(
                "one of them is cut off",
            )),
        })?;
        // As old as the youngest of them.
        let used = chosen.iter().map(|stored| stored.used).max().unwrap_or_else(SystemTime::now);
        let _ = staged.as_file().set_modified(used);
        folder.publish(staged, key)?;
        folder.remove(chosen.iter().map(|stored| &stored.name))?;
    }
    Ok(())
}

/// Writes the entries of segments as one, each once and without the damaged ones.
fn merge(segments: &[Segment], key: &CacheKey, out: impl Write) -> Result<(), SegmentError> {
    let mut writer = SegmentWriter::begin(out, key)?;
    let mut inputs = segments.iter().map(Segment::records).collect::<Result<Vec<_>, _>>()?;
    let mut heap = BinaryHeap::new();
    for input in 0..inputs.len() {
        advance(&mut inputs, input, &mut heap)?;
    }
    let mut last = None;
    while let Some(Reverse((digest, input, record))) = heap.pop() {
        if last != Some(digest) {
            writer.add(&digest, &record)?;
            last = Some(digest);
        }
        advance(&mut inputs, input, &mut heap)?;
    }
    Ok(writer.finish()?)
}

type Next = Reverse<(TextDigest, usize, Vec<u8>)>;

/// Puts an input's next sound entry into the heap.
fn advance<I>(inputs: &mut [I], input: usize, heap: &mut BinaryHeap<Next>) -> io::Result<()>
where
    I: Iterator<Item = io::Result<Option<Entry>>>,
{
    for entry in inputs[input].by_ref() {
        if let Some((digest, record)) = entry? {
            heap.push(Reverse((digest, input, record)));
            break;
        }
    }
    Ok(())
}

/// Removes the least recently used segments of all keys beyond the bound, and what killed processes have left.
pub(super) fn keep_within(folder: &CacheFolder, max_bytes: u64) -> Result<()> {
    let listed = folder.list()?;
    let mut bytes: u64 = listed.iter().map(|stored| stored.bytes).sum();
    let beyond = listed.iter().take_while(|stored| {
        let is_beyond = bytes > max_bytes;
        bytes -= stored.bytes;
        is_beyond
    });
    let beyond: Vec<&String> = beyond.map(|stored| &stored.name).collect();
    folder.remove(beyond.into_iter())?;
    folder.sweep(&listed, SystemTime::now());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(bytes: u64, count: usize) -> Vec<Stored> {
        (0..count)
            .map(|n| Stored { name: format!("{bytes}-{n}"), bytes, used: SystemTime::UNIX_EPOCH })
            .collect()
    }

    #[test]
    fn segments_are_merged_with_those_of_their_size() {
        assert_eq!((tier(64, 64), tier(63, 64), tier(8, 64), tier(7, 64)), (None, Some(0), Some(0), Some(1)));
        assert_eq!(choose(&stored(10, 7), 64), None);
        assert_eq!(choose(&stored(64, 100), 64), None, "large ones stay");
        assert_eq!(choose(&stored(0, 100), 0), None);
        let mixed = [stored(10, 7), stored(2, 8)].concat();
        assert_eq!(choose(&mixed, 64).unwrap(), stored(2, 8));
        // No more at a time than make twice the largest.
        assert_eq!(choose(&stored(60, 30), 64).unwrap().len(), 2);
    }
}
