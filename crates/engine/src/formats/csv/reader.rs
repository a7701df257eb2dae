//! A file of records, read as far as it is asked for.

use bytes::{Buf, Bytes};
use datafusion::common::config::CsvOptions;
use datafusion::error::Result;

use super::super::text::{Chunks, Place};
use super::columns::{Batch, Columns};
use super::header::{First, names};
use super::records::{Records, Sink};

/// The marks that texts begin with.
const UTF_8: &[u8] = b"\xef\xbb\xbf";
const UTF_16: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// Reads a place record by record.
pub(super) struct Reader {
    pub(super) place: Place,
    chunks: Chunks,
    rest: Bytes,
    records: Records,
    ended: bool,
    /// How many bytes have been read, decompressed.
    pub(super) bytes: u64,
}

impl Reader {
    pub(super) async fn open(place: Place, options: &CsvOptions) -> Result<Self> {
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
        Ok(Self { place, chunks, rest, records: Records::new(options), ended: false, bytes: 0 })
    }

    /// Reads until the sink has enough, or the file ends.
    async fn fill(&mut self, sink: &mut (impl Sink + Send)) -> Result<()> {
        loop {
            if self.rest.is_empty() {
                match self.chunks.next().await? {
                    Some(chunk) => self.rest = chunk,
                    None => return self.finish(sink).await,
                }
            }
            let taken = self.records.feed(&self.rest, sink);
            self.bytes += taken as u64;
            self.rest.advance(taken);
            if sink.has_enough() {
                return Ok(());
            }
        }
    }

    async fn finish(&mut self, sink: &mut (impl Sink + Send)) -> Result<()> {
        self.ended = true;
        match self.records.finish(sink) {
            Ok(()) => Ok(()),
            Err(line) => {
                let reason = "a quoted value that begins in this record doesn't end".to_owned();
                Err(self.place.broken(line, reason).await)
            }
        }
    }

    /// Returns the names of the first record's columns; None for a file without one.
    pub(super) async fn header(&mut self) -> Result<Option<Vec<String>>> {
        let mut first = First::default();
        self.fill(&mut first).await?;
        Ok((!first.fields.is_empty()).then(|| names(&first.fields)))
    }

    /// Returns how many fields the first record has, which is still to be read; None for a file without one.
    pub(super) async fn width(place: Place, options: &CsvOptions) -> Result<Option<usize>> {
        Ok(Self::open(place, options).await?.header().await?.map(|names| names.len()))
    }

    /// Returns the next rows, of the fields that `columns` gathers; None at the end.
    ///
    /// Errors: a record with another number of fields; text that isn't UTF-8.
    pub(super) async fn batch(
        &mut self,
        columns: &mut Columns,
        null: Option<&str>,
        name: impl Fn(usize) -> String,
    ) -> Result<Option<Batch>> {
        if !self.ended {
            self.fill(columns).await?;
        }
        if let Some((line, found)) = columns.ragged {
            let width = columns.width();
            let reason = format!("this record has {found} values, and there are {width} columns");
            return Err(self.place.broken(line, reason).await);
        }
        if columns.is_empty() {
            return Ok(None);
        }
        match columns.take(null)? {
            Ok(batch) => Ok(Some(batch)),
            Err(found) => {
                let reason = format!("the value of '{}' is not UTF-8", name(found.column));
                Err(self.place.broken(found.line, reason).await)
            }
        }
    }
}
