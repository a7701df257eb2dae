//! TensorBoard's event files: the metrics of a run, where TensorBoard looks for them.
//!
//! An event file is a list of records, each a length, its checksum, the bytes of an `Event` message, and their
//! checksum. The few fields of that message are encoded here by hand.
//!
//! Source: tensorflow/core/lib/io/record_writer.cc, tensorflow/core/util/event.proto, RFC 3720 (CRC-32C).

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use nightjar_catalog::CatalogError;

use crate::error::{Result, StatementError};

/// What the name of an event file begins with; the second it was begun follows.
const PREFIX: &str = "events.out.tfevents.";

/// What it ends with, where others write the name of their machine.
const SUFFIX: &str = ".nightjar";

/// What the first record of a file says. From this version on, a session's start tells of lost steps.
const FILE_VERSION: &str = "brain.Event:2";

/// The length and its checksum, before each message.
const HEADER: usize = 12;

/// The checksum after each message.
const FOOTER: usize = 4;

/// An event file that is open for writing. Its writer holds the run's folder.
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// Opens the newest event file of a run's folder to go on in it, or begins one.
    ///
    /// What an earlier process wrote stays, but for a record that it did not end. Where it wrote steps from
    /// `next_step` on, TensorBoard is told that they will come again. A file that is damaged within is left as it
    /// is, and another one begun.
    ///
    /// # Errors
    /// A folder or a file that cannot be read or written.
    pub fn open(folder: &Path, next_step: i64) -> Result<EventFile> {
        let newest = newest(folder).map_err(|error| failed("read", folder, error))?;
        if let Some((name, _)) = &newest {
            let path = folder.join(name);
            let bytes = fs::read(&path).map_err(|error| failed("read", &path, error))?;
            if let Tail::Whole(end) | Tail::Torn(end) = tail(&bytes) {
                return EventFile::go_on(path, end, next_step);
            }
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        // TensorBoard reads a folder's files in the order of their names.
        let seconds = newest.map_or(now, |(_, last)| now.max(last + 1));
        let path = folder.join(format!("{PREFIX}{seconds:010}{SUFFIX}"));
        let file = File::create_new(&path).map_err(|error| failed("create", &path, error))?;
        let mut begun = EventFile { path, file };
        begun.append(&event(0, &text_field(3, FILE_VERSION)))?;
        Ok(begun)
    }

    /// Opens a file whose records end at the byte `end`.
    fn go_on(path: PathBuf, end: usize, next_step: i64) -> Result<EventFile> {
        let opened = || -> io::Result<File> {
            let mut file = File::options().write(true).open(&path)?;
            file.set_len(end as u64)?;
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        };
        let file = opened().map_err(|error| failed("write", &path, error))?;
        let mut resumed = EventFile { path, file };
        if end == 0 {
            // Its process died within the first record.
            resumed.append(&event(0, &text_field(3, FILE_VERSION)))?;
        } else {
            // A session log whose status is START: TensorBoard forgets what it read of this step and later ones.
            resumed.append(&event(next_step, &bytes_field(7, &integer_field(1, 1))))?;
        }
        Ok(resumed)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds these values at a step, with the time of now. Each appears under its name; NaN stays NaN.
    ///
    /// # Errors
    /// A full disk; what was half written is cut off when the file is opened again.
    pub fn scalars(&mut self, step: i64, values: &[(&str, f64)]) -> Result<()> {
        let mut summary = Vec::new();
        for (tag, value) in values {
            let value = [text_field(1, tag), float_field(2, *value as f32)].concat();
            summary.extend(bytes_field(1, &value));
        }
        self.append(&event(step, &bytes_field(5, &summary)))
    }

    /// Brings what was added to the disk.
    ///
    /// # Errors
    /// A failing disk.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(|error| failed("write", &self.path, error))
    }

    fn append(&mut self, message: &[u8]) -> Result<()> {
        let length = (message.len() as u64).to_le_bytes();
        let mut record = Vec::with_capacity(HEADER + message.len() + FOOTER);
        record.extend(length);
        record.extend(masked_crc(&length).to_le_bytes());
        record.extend(message);
        record.extend(masked_crc(message).to_le_bytes());
        // One write: who reads at the same time sees records that are whole.
        self.file.write_all(&record).map_err(|error| failed("write", &self.path, error))
    }
}

/// How an event file ends.
#[derive(Debug, PartialEq, Eq)]
enum Tail {
    /// With a whole record, at this byte.
    Whole(usize),
    /// Its last whole record ends here, and another one was begun.
    Torn(usize),
    /// A record within is not what was written.
    Damaged,
}

/// Reads the records of a file by their lengths and checksums.
fn tail(bytes: &[u8]) -> Tail {
    let mut end = 0;
    while end < bytes.len() {
        let rest = &bytes[end..];
        let Some((length, sum)) = rest.first_chunk::<8>().zip(word(rest, 8)) else {
            return Tail::Torn(end);
        };
        if masked_crc(length) != sum {
            return Tail::Damaged;
        }
        let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let footer = HEADER.saturating_add(length);
        let (Some(message), Some(sum)) = (rest.get(HEADER..footer), word(rest, footer)) else {
            return Tail::Torn(end);
        };
        let after = footer + FOOTER;
        match masked_crc(message) == sum {
            true => end += after,
            // Space that was given to the file and never written to.
            false if after == rest.len() => return Tail::Torn(end),
            false => return Tail::Damaged,
        }
    }
    Tail::Whole(end)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_le_bytes(*word))
}

/// The name of a folder's newest event file of ours, and the second in it.
fn newest(folder: &Path) -> io::Result<Option<(String, u64)>> {
    let mut newest: Option<(String, u64)> = None;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let second =
            name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX)).and_then(|s| s.parse().ok());
        if let Some(second) = second
            && newest.as_ref().is_none_or(|(_, other)| *other < second)
        {
            newest = Some((name, second));
        }
    }
    Ok(newest)
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> StatementError {
    CatalogError::Io { action, path: path.into(), source }.into()
}

/// An `Event` message of now with what `what` holds.
fn event(step: i64, what: &[u8]) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    [double_field(1, now), integer_field(2, step), what.to_vec()].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A field's number and how its value is encoded.
fn key(field: u64, encoding: u64) -> Vec<u8> {
    varint(field << 3 | encoding)
}

fn integer_field(field: u64, value: i64) -> Vec<u8> {
    [key(field, 0), varint(value as u64)].concat()
}

fn double_field(field: u64, value: f64) -> Vec<u8> {
    [key(field, 1), value.to_le_bytes().to_vec()].concat()
}

fn float_field(field: u64, value: f32) -> Vec<u8> {
    [key(field, 5), value.to_le_bytes().to_vec()].concat()
}

fn bytes_field(field: u64, value: &[u8]) -> Vec<u8> {
    [key(field, 2), varint(value.len() as u64), value.to_vec()].concat()
}

fn text_field(field: u64, value: &str) -> Vec<u8> {
    bytes_field(field, value.as_bytes())
}

/// The remainders of all bytes by Castagnoli's polynomial, its bits reversed.
const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut remainder, mut bit) = (byte as u32, 0);
        while bit < 8 {
            remainder = if remainder & 1 == 1 { remainder >> 1 ^ 0x82f6_3b78 } else { remainder >> 1 };
            bit += 1;
        }
        table[byte] = remainder;
        byte += 1;
    }
    table
};

fn crc32c(bytes: &[u8]) -> u32 {
    let next = |crc: u32, byte: &u8| crc >> 8 ^ CRC_TABLE[usize::from(crc as u8 ^ byte)];
    !bytes.iter().fold(!0, next)
}

/// The checksum as records hold it: a checksum of bytes that contain their own would say little.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The messages of a file whose checksums all fit.
    fn messages(path: &Path) -> Vec<Vec<u8>> {
        let bytes = fs::read(path).unwrap();
        assert_eq!(tail(&bytes), Tail::Whole(bytes.len()));
        let (mut rest, mut messages) = (&bytes[..], Vec::new());
        while let Some(length) = rest.first_chunk::<8>() {
            let length = u64::from_le_bytes(*length) as usize;
            messages.push(rest[HEADER..HEADER + length].to_vec());
            rest = &rest[HEADER + length + FOOTER..];
        }
        messages
    }

    fn two_steps(folder: &Path) -> PathBuf {
        let mut events = EventFile::open(folder, 1).unwrap();
        events.scalars(1, &[("loss", 0.5)]).unwrap();
        events.scalars(300, &[("loss", f64::NAN), ("accuracy", 1.0)]).unwrap();
        events.sync().unwrap();
        events.path().to_path_buf()
    }

    #[test]
    fn checksums_are_those_of_the_standard() {
        // RFC 3720, B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(b""), 0);
    }

    #[test]
    fn a_file_says_its_version_and_then_the_values() {
        let folder = tempfile::tempdir().unwrap();
        let path = two_steps(folder.path());
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with(PREFIX) && name.ends_with(".nightjar") && name.len() == 39, "{name}");
        let messages = messages(&path);
        // The key and eight bytes of the time come first.
        assert!(messages.iter().all(|message| message[0] == 0x09));
        let rest: Vec<&[u8]> = messages.iter().map(|message| &message[9..]).collect();
        assert_eq!(rest[0], [&[0x10, 0, 0x1a, 13], FILE_VERSION.as_bytes()].concat());
        let loss = [&[0x10, 1, 0x2a, 13, 0x0a, 11, 0x0a, 4], &b"loss"[..], &[0x15, 0, 0, 0, 0x3f]].concat();
        assert_eq!(rest[1], loss);
        assert_eq!(rest[2][..5], [0x10, 0xac, 0x02, 0x2a, 30]);
    }

    #[test]
    fn a_run_that_goes_on_keeps_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = two_steps(folder.path());
        let before = fs::read(&path).unwrap();
        // Cut at every byte: the whole records stay, and what follows them is read.
        for cut in 0..=before.len() {
            fs::write(&path, &before[..cut]).unwrap();
            let whole = match tail(&before[..cut]) {
                Tail::Whole(end) | Tail::Torn(end) => end,
                Tail::Damaged => panic!("{cut}"),
            };
            let mut events = EventFile::open(folder.path(), 200).unwrap();
            assert_eq!(events.path(), path);
            events.scalars(200, &[("loss", 0.25)]).unwrap();
            let after = fs::read(&path).unwrap();
            assert_eq!(after[..whole], before[..whole], "{cut}");
            let messages = messages(&path);
            let started = &messages[messages.len() - 2][9..];
            if whole == 0 {
                assert!(started.ends_with(FILE_VERSION.as_bytes()));
            } else {
                assert_eq!(started, [0x10, 0xc8, 0x01, 0x3a, 2, 0x08, 1]);
            }
        }
    }

    #[test]
    fn a_damaged_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = two_steps(folder.path());
        let mut bytes = fs::read(&path).unwrap();
        bytes[20] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let events = EventFile::open(folder.path(), 2).unwrap();
        assert!(events.path() > path.as_path());
        assert_eq!(fs::read(&path).unwrap(), bytes);
        assert_eq!(messages(events.path()).len(), 1);
        // A length of hostile size is no reason to look for that many bytes.
        let huge = u64::MAX.to_le_bytes();
        let record = [&huge[..], &masked_crc(&huge).to_le_bytes()].concat();
        assert_eq!(tail(&record), Tail::Torn(0));
        assert_eq!(tail(&[0; 40]), Tail::Damaged);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = EventFile::open(&folder.path().join("none"), 0).unwrap_err();
        assert!(error.to_string().contains("none"), "{error}");
    }
}
