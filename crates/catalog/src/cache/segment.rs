//! A segment: a file of entries, sorted by digest, that never changes.
//!
//! ```text
//! magic | length of the key | key, as JSON | entries … | first 8 bytes of each digest … | entries | checksum | magic
//! ```
//! The checksum is over all but the entries, which have their own: to open a segment reads half a percent of it.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use super::key::{CacheKey, TextDigest};
use super::record::{digest_of, read_record, record_bytes};

/// What a segment begins and ends with; the last byte is the version of the format.
const MAGIC: &[u8; 8] = b"njcache\x02";

/// Bytes behind the digests' beginnings: how many entries there are, the checksum, the magic.
pub(super) const TAIL_BYTES: u64 = 8 + 8 + 8;

/// Bytes from which a segment's key can be read; one is some 300 bytes long.
pub(super) const START_BYTES: u64 = 4096;

/// More values than any embedding has.
const MAX_DIM: usize = 1 << 20;

/// Why a segment gives nothing.
#[derive(Debug)]
pub(super) enum SegmentError {
    /// It can't be read.
    Io(io::Error),
    /// What it holds is not what was written, or is not for this key.
    Damaged,
}

impl From<io::Error> for SegmentError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Damaged,
            _ => Self::Io(error),
        }
    }
}

/// What a segment says of itself.
#[derive(Debug)]
pub(super) struct SegmentHead {
    pub(super) key: CacheKey,
    pub(super) entries: u64,
    records_at: u64,
    /// The checksum of what came before, and what it must be in the end.
    hasher: blake3::Hasher,
    checksum: [u8; 8],
}

impl SegmentHead {
    /// Reads what a segment of this length says of itself from its first [`START_BYTES`] and last [`TAIL_BYTES`], and checks that
    /// its parts fit; the checksum is not looked at.
    pub(super) fn parse(start: &[u8], tail: &[u8], bytes: u64) -> Option<Self> {
        let (magic, rest) = start.split_first_chunk::<8>()?;
        let (key_bytes, rest) = rest.split_first_chunk::<4>()?;
        let key_bytes = u32::from_le_bytes(*key_bytes) as usize;
        let key: CacheKey = serde_json::from_slice(rest.get(..key_bytes)?).ok()?;
        let (entries, rest) = tail.split_first_chunk::<8>()?;
        let (checksum, end) = rest.split_first_chunk::<8>()?;
        let (entries, records_at) = (u64::from_le_bytes(*entries), 12 + key_bytes as u64);
        if magic != MAGIC || end != MAGIC || key.dim > MAX_DIM {
            return None;
        }
        let expected = entries.checked_mul(record_bytes(key.dim) as u64 + 8)?;
        if expected.checked_add(records_at + TAIL_BYTES)? != bytes {
            return None;
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(&start[..records_at as usize]);
        Some(Self { key, entries, records_at, hasher, checksum: *checksum })
    }

    /// Reads what a file says of itself.
    pub(super) fn read(file: &mut File) -> Result<Self, SegmentError> {
        let bytes = file.metadata()?.len();
        let (mut start, mut tail) = (Vec::new(), Vec::new());
        file.seek(SeekFrom::Start(0))?;
        (&*file).take(START_BYTES).read_to_end(&mut start)?;
        file.seek(SeekFrom::Start(bytes.saturating_sub(TAIL_BYTES)))?;
        (&*file).take(TAIL_BYTES).read_to_end(&mut tail)?;
        Self::parse(&start, &tail, bytes).ok_or(SegmentError::Damaged)
    }
}

/// An entry as bytes, and its digest.
pub(super) type Entry = (TextDigest, Vec<u8>);

/// A segment that is open for reading. Stays readable when its file is removed.
#[derive(Debug)]
pub(super) struct Segment {
    file: File,
    dim: usize,
    records_at: u64,
    /// The beginnings of the digests, in order.
    prefixes: Vec<u64>,
    used: AtomicBool,
}

impl Segment {
    /// Opens a file. Cost: reads 8 bytes an entry.
    pub(super) fn open(path: &Path, key: &CacheKey) -> Result<Self, SegmentError> {
        let mut file = File::open(path)?;
        let SegmentHead { key: found, entries, records_at, mut hasher, checksum } =
            SegmentHead::read(&mut file)?;
        if &found != key {
            return Err(SegmentError::Damaged);
        }
        file.seek(SeekFrom::Start(records_at + entries * record_bytes(key.dim) as u64))?;
        let mut list = vec![0; entries as usize * 8];
        file.read_exact(&mut list)?;
        hasher.update(&list).update(&entries.to_le_bytes());
        let prefixes: Vec<u64> = list
            .chunks_exact(8)
            .map(|bytes| {
                let mut prefix = [0; 8];
                prefix.copy_from_slice(bytes);
                u64::from_be_bytes(prefix)
            })
            .collect();
        if hasher.finalize().as_bytes()[..8] != checksum || !prefixes.is_sorted() {
            return Err(SegmentError::Damaged);
        }
        Ok(Self { file, dim: key.dim, records_at, prefixes, used: AtomicBool::new(false) })
    }

    /// Writes the embedding of a text to `out` (`[dim]`) and returns whether the text was cut, if it has that text. `record` is
    /// memory to work with, used again from text to text.
    pub(super) fn find(
        &self,
        digest: &TextDigest,
        record: &mut Vec<u8>,
        out: &mut [f32],
    ) -> Result<Option<bool>, SegmentError> {
        let prefix = digest.prefix();
        let first = lower_bound(&self.prefixes, prefix);
        let same = self.prefixes[first..].iter().take_while(|&&known| known == prefix).count();
        for position in first..first + same {
            let bytes = record_bytes(self.dim);
            record.resize(bytes, 0);
            read_exact_at(&self.file, record, self.records_at + (position * bytes) as u64)?;
            match digest_of(record) {
                None => return Err(SegmentError::Damaged),
                Some(found) if found == *digest => {
                    self.mark_used();
                    return Ok(Some(read_record(record, out)));
                }
                Some(_) => {}
            }
        }
        Ok(None)
    }

    /// Notes on the file that it was of use, once: what was of no use for longest goes first. A file of another user can't be
    /// noted on, and counts by its age.
    fn mark_used(&self) {
        if !self.used.swap(true, Ordering::Relaxed) {
            let _ = self.file.set_modified(SystemTime::now());
        }
    }

    /// Returns its entries as bytes, in their order, None for those that are damaged.
    pub(super) fn records(&self) -> Result<impl Iterator<Item = io::Result<Option<Entry>>>, SegmentError> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(self.records_at))?;
        let mut reader = BufReader::with_capacity(256 << 10, file);
        let (bytes, count) = (record_bytes(self.dim), self.prefixes.len());
        Ok((0..count).map(move |_| {
            let mut record = vec![0; bytes];
            reader.read_exact(&mut record)?;
            Ok(digest_of(&record).map(|digest| (digest, record)))
        }))
    }
}

/// Returns the first place whose prefix is not smaller. Prefixes are spread evenly, so it is looked for near where
/// it would be.
fn lower_bound(prefixes: &[u64], prefix: u64) -> usize {
    let guess = ((u128::from(prefix) * prefixes.len() as u128) >> 64) as usize;
    let (mut low, mut high, mut step) = (guess, guess, 16);
    while low > 0 && prefixes[low - 1] >= prefix {
        low = low.saturating_sub(step);
        step *= 2;
    }
    step = 16;
    while high < prefixes.len() && prefixes[high] < prefix {
        high = (high + step).min(prefixes.len());
        step *= 2;
    }
    low + prefixes[low..high].partition_point(|&known| known < prefix)
}

#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => (bytes, at) = (&mut bytes[read..], at + read as u64),
        }
    }
    Ok(())
}

/// Writes a segment, entry after entry.
pub(super) struct SegmentWriter<W: Write> {
    out: BufWriter<W>,
    hasher: blake3::Hasher,
    list: Vec<u8>,
}

impl<W: Write> SegmentWriter<W> {
    /// Begins a segment of a key.
    pub(super) fn begin(out: W, key: &CacheKey) -> io::Result<Self> {
        let key_json = serde_json::to_vec(key)?;
        let mut start = MAGIC.to_vec();
        start.extend_from_slice(&(key_json.len() as u32).to_le_bytes());
        start.extend_from_slice(&key_json);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&start);
        let mut out = BufWriter::with_capacity(256 << 10, out);
        out.write_all(&start)?;
        Ok(Self { out, hasher, list: Vec::new() })
    }

    /// Adds an entry; they come in the order of their digests.
    pub(super) fn add(&mut self, digest: &TextDigest, record: &[u8]) -> io::Result<()> {
        self.list.extend_from_slice(&digest.prefix().to_be_bytes());
        self.out.write_all(record)
    }

    /// Ends the segment.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let entries = (self.list.len() as u64 / 8).to_le_bytes();
        self.hasher.update(&self.list).update(&entries);
        self.out.write_all(&self.list)?;
        self.out.write_all(&entries)?;
        self.out.write_all(&self.hasher.finalize().as_bytes()[..8])?;
        self.out.write_all(MAGIC)?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lower_bound_is_found_wherever_it_is() {
        let spread: Vec<u64> = (0..1000).map(|n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        let mut even = spread.clone();
        even.sort_unstable();
        let low: Vec<u64> = (0..1000).collect();
        let high: Vec<u64> = (0..1000).map(|n| u64::MAX - 999 + n).collect();
        for prefixes in [&[][..], &[7], &even, &low, &high, &[5; 100]] {
            for wanted in [0, 1, 5, 6, 7, 500, u64::MAX / 2, u64::MAX - 5, u64::MAX]
                .into_iter()
                .chain(spread.iter().copied())
            {
                let expected = prefixes.partition_point(|&known| known < wanted);
                assert_eq!(lower_bound(prefixes, wanted), expected, "{wanted} of {}", prefixes.len());
            }
        }
    }
}
