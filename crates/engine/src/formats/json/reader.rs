//! A file of objects, read as far as it is asked for.

use bytes::{Buf, Bytes};
use datafusion::error::Result;
use object_store::ObjectStoreExt;

use super::super::text::{Chunks, Place};
use super::objects::{Finder, Objects, Stray};

const UTF_8: &[u8] = b"\xef\xbb\xbf";
const UTF_16: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// So much before a piece is looked at first for what it begins in.
const LOOK_BACK: u64 = 256;

/// So many bytes of objects are read together.
const BATCH_BYTES: usize = 16 << 20;

/// Reads a place object by object.
pub(super) struct Reader {
    pub(super) place: Place,
    chunks: Chunks,
    rest: Bytes,
    finder: Finder,
    /// Whether an object is read to its end beyond the piece.
    is_beyond: bool,
    /// How many bytes have been read, decompressed.
    pub(super) bytes: u64,
}

impl Reader {
    pub(super) async fn open(place: Place) -> Result<Self> {
        let mut chunks = Chunks::open(&place).await?;
        let mut rest = Bytes::new();
        // The mark may be cut.
        while rest.len() < UTF_8.len() {
            let Some(chunk) = chunks.next().await? else { break };
            rest = if rest.is_empty() { chunk } else { Bytes::from([rest, chunk].concat()) };
        }
        if !place.is_later() {
            if UTF_16.iter().any(|mark| rest.starts_with(mark)) {
                return Err(place.broken(1, "the text is UTF-16 and not UTF-8".to_owned()).await);
            }
            if rest.starts_with(UTF_8) {
                rest.advance(UTF_8.len());
            }
        }
        let finder = match place.is_later() {
            true => Finder::inside(before(&place, chunks.begins()).await?),
            false => Finder::default(),
        };
        Ok(Self { place, chunks, rest, finder, is_beyond: false, bytes: 0 })
    }

    /// Returns the next objects, `most` or fewer; None at the end.
    ///
    /// Errors: what is no object.
    pub(super) async fn objects(&mut self, most: usize) -> Result<Option<Objects>> {
        let mut objects = Objects::default();
        loop {
            if self.rest.is_empty() {
                match self.chunks.next().await? {
                    Some(chunk) => self.rest = chunk,
                    None if !self.finder.is_between()
                        && let Some(chunk) = self.chunks.next_beyond().await? =>
                    {
                        (self.rest, self.is_beyond) = (chunk, true);
                    }
                    None => {
                        if let Err(Stray { line, reason }) = self.finder.finish() {
                            return Err(self.place.broken(line, reason).await);
                        }
                        return Ok((!objects.starts.is_empty()).then_some(objects));
                    }
                }
            }
            let more = if self.is_beyond { 0 } else { most };
            let taken = match self.finder.feed(&self.rest, &mut objects, more, BATCH_BYTES) {
                Ok(taken) => taken,
                Err(Stray { line, reason }) => return Err(self.place.broken(line, reason).await),
            };
            self.bytes += taken as u64;
            self.rest.advance(taken);
            if self.is_beyond && self.finder.is_between() {
                // What follows is another piece's.
                self.rest.clear();
                return Ok(Some(objects));
            }
            if self.finder.is_between()
                && (objects.starts.len() >= most || objects.bytes.len() >= BATCH_BYTES)
            {
                return Ok(Some(objects));
            }
        }
    }
}

/// Returns the last byte before a place in a file that isn't blank.
async fn before(place: &Place, end: u64) -> Result<Option<u8>> {
    let mut least = LOOK_BACK;
    loop {
        let start = end.saturating_sub(least);
        let bytes = place.store.get_range(&place.location, start..end).await?;
        let last = bytes.iter().rfind(|byte| !byte.is_ascii_whitespace());
        if last.is_some() || start == 0 {
            return Ok(last.copied());
        }
        least *= 16;
    }
}
