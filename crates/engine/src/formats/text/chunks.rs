//! The bytes of a file, or of a piece of it that has whole lines, decompressed.

use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::error::{DataFusionError, Result};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, GetResultPayload, ObjectStore};

use super::Unreadable;
use crate::error::EngineError;

/// How much is read at once.
const CHUNK: usize = 1 << 18;

/// What is looked at to find a table's columns: so much of one file, at least so much of each, and of all together.
const LOOK_FILE: u64 = 16 << 20;
const LOOK_LEAST: u64 = 256 << 10;
const LOOK_ALL: u64 = 128 << 20;

/// Returns how many bytes of each of so many files are looked at to find the table's columns.
pub(crate) fn look_bytes(files: usize) -> u64 {
    (LOOK_ALL / (files as u64).max(1)).clamp(LOOK_LEAST, LOOK_FILE)
}

/// A file, or a piece of one: the lines that begin in a range of its bytes.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) location: Path,
    /// Its name, for messages.
    pub(crate) file: String,
    pub(crate) range: Option<(u64, u64)>,
    pub(crate) compression: FileCompressionType,
    /// What ends a line.
    pub(crate) terminator: u8,
}

impl Place {
    /// Whether it begins in the middle of a file.
    pub(crate) fn is_later(&self) -> bool {
        self.range.is_some_and(|(start, _)| start > 0)
    }

    /// Returns the place of the whole file.
    pub(crate) fn whole(&self) -> Self {
        Self { range: None, ..self.clone() }
    }

    /// Returns the line of the file that is the `line`-th of the piece. Cost: reads what is before the piece.
    async fn line(&self, line: u64) -> Result<u64> {
        let Some((start, _)) = self.range.filter(|(start, _)| *start > 0) else { return Ok(line) };
        let mut before = Chunks::open(&Self { range: Some((0, start)), ..self.clone() }).await?;
        let mut lines = 0;
        while let Some(chunk) = before.next().await? {
            lines += chunk.iter().filter(|byte| **byte == self.terminator).count() as u64;
        }
        Ok(lines + line)
    }

    /// Returns the error of a line that isn't a record of the format.
    pub(crate) async fn broken(&self, line: u64, reason: String) -> DataFusionError {
        match self.line(line).await {
            Ok(line) => EngineError::TextLine { file: self.file.clone(), line, reason }.into_datafusion(),
            Err(error) => error,
        }
    }

    /// Returns the error of a value that its column doesn't hold.
    pub(crate) async fn unreadable(&self, line: u64, column: &str, error: Unreadable) -> DataFusionError {
        let Unreadable { value, wanted, .. } = error;
        match self.line(line).await {
            Ok(line) => {
                let (file, column) = (self.file.clone(), column.to_owned());
                EngineError::TextValue { file, line, column, value, wanted }.into_datafusion()
            }
            Err(error) => error,
        }
    }
}

/// The bytes of a place, one chunk after the other.
pub(crate) struct Chunks {
    source: Source,
    /// Where the next chunk begins in the file.
    position: u64,
    /// Whether the line that is under way belongs to the piece before.
    skips: bool,
    end: Option<u64>,
    terminator: u8,
    /// Where the first line of the piece begins, once it is known.
    begins: u64,
    /// What was read beyond the end of the piece, once that was reached.
    beyond: Option<Bytes>,
}

enum Source {
    File(Box<dyn Read + Send>),
    Stream(BoxStream<'static, Result<Bytes>>),
    Ended,
}

impl Chunks {
    /// Opens a place. A piece ends with the line that its last byte is in, and begins after that of the byte before it.
    pub(crate) async fn open(place: &Place) -> Result<Self> {
        let (start, end) = place.range.map_or((0, None), |(start, end)| (start, Some(end)));
        let position = start.saturating_sub(1);
        let range = (position > 0).then_some(GetRange::Offset(position));
        let found =
            place.store.get_opts(&place.location, GetOptions { range, ..GetOptions::default() }).await?;
        let source = match found.payload {
            GetResultPayload::File(mut file, _) => {
                file.seek(SeekFrom::Start(position))?;
                Source::File(place.compression.convert_read(file)?)
            }
            GetResultPayload::Stream(bytes) => Source::Stream(
                place.compression.convert_stream(bytes.map_err(DataFusionError::from).boxed())?,
            ),
        };
        let (skips, terminator) = (start > 0, place.terminator);
        Ok(Self { source, position, skips, end, terminator, begins: position, beyond: None })
    }

    /// Where the first chunk begins in the file.
    pub(crate) fn begins(&self) -> u64 {
        self.begins
    }

    /// Returns the next chunk of what is beyond the end of the piece, once [`Chunks::next`] has returned all of it.
    pub(crate) async fn next_beyond(&mut self) -> Result<Option<Bytes>> {
        match self.beyond.replace(Bytes::new()) {
            Some(chunk) if !chunk.is_empty() => Ok(Some(chunk)),
            Some(_) => self.read().await,
            None => Ok(None),
        }
    }

    /// Returns the next chunk, which is never empty.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if self.beyond.is_some() {
                return Ok(None);
            }
            let Some(mut chunk) = self.read().await? else { return Ok(None) };
            let mut begins = self.position;
            self.position += chunk.len() as u64;
            if self.skips {
                let Some(ended) = chunk.iter().position(|byte| *byte == self.terminator) else { continue };
                self.skips = false;
                begins += ended as u64 + 1;
                self.begins = begins;
                chunk = chunk.slice(ended + 1..);
                if self.end.is_some_and(|end| begins >= end) {
                    self.source = Source::Ended;
                    return Ok(None);
                }
            }
            if let Some(end) = self.end
                && self.position >= end
            {
                let from = usize::try_from((end - 1).saturating_sub(begins)).unwrap_or(usize::MAX);
                let rest = chunk.get(from..).unwrap_or_default();
                if let Some(last) = rest.iter().position(|byte| *byte == self.terminator) {
                    self.beyond = Some(chunk.slice(from + last + 1..));
                    chunk = chunk.slice(..=from + last);
                }
            }
            if !chunk.is_empty() {
                return Ok(Some(chunk));
            }
        }
    }

    async fn read(&mut self) -> Result<Option<Bytes>> {
        match &mut self.source {
            Source::File(file) => {
                let mut chunk = Vec::with_capacity(CHUNK);
                let read = file.as_mut().take(CHUNK as u64).read_to_end(&mut chunk)?;
                Ok((read > 0).then(|| Bytes::from(chunk)))
            }
            Source::Stream(stream) => stream.try_next().await,
            Source::Ended => Ok(None),
        }
    }
}

/// The rows of a place.
pub(crate) type Batches = BoxStream<'static, Result<RecordBatch>>;
