//! A file of objects, read as far as it is asked for.

use bytes::{Buf, Bytes};
use datafusion::error::Result;

use super::super::text::{Chunks, Place};
use super::objects::{Finder, Objects, Stray};

const UTF_8: &[u8] = b"\xef\xbb\xbf";
const UTF_16: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// So many bytes of objects are read together.
const BATCH_BYTES: usize = 16 << 20;

/// Reads a place object by object.
pub(super) struct Reader {
    pub(super) place: Place,
    chunks: Chunks,
    rest: Bytes,
    finder: Finder,
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
        Ok(Self { place, chunks, rest, finder: Finder::default(), bytes: 0 })
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
                    None => {
                        if let Err(Stray { line, reason }) = self.finder.finish() {
                            return Err(self.place.broken(line, reason).await);
                        }
                        return Ok((!objects.starts.is_empty()).then_some(objects));
                    }
                }
            }
            let taken = match self.finder.feed(&self.rest, &mut objects, most, BATCH_BYTES) {
                Ok(taken) => taken,
                Err(Stray { line, reason }) => return Err(self.place.broken(line, reason).await),
            };
            self.bytes += taken as u64;
            self.rest.advance(taken);
            if self.finder.is_between()
                && (objects.starts.len() >= most || objects.bytes.len() >= BATCH_BYTES)
            {
                return Ok(Some(objects));
            }
        }
    }
}
