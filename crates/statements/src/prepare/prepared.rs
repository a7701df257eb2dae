//! What preparing leaves: the feature files, and what is known of them.

use std::fs;
use std::path::{Path, PathBuf};

use nightjar_catalog::{Digest, Task, TrainingWarning, write_whole};
use serde::{Deserialize, Serialize};

use crate::error::{Result, StatementError};

/// The file that says that a folder's features are complete: written last.
const PREPARED_FILE: &str = "prepared.json";

/// The features of a training, in files that are complete and stay as they are.
///
/// Columns of each file: `shard` Int32 (0 in the validation file), `position` Int64 (0, 1, 2 … the order of the rows),
/// `ids` List\<Int32\> (what the model reads, special tokens included), `first_tokens` Int32 for text pairs only (the
/// tokens up to the end of the first text, special tokens included; the second text has its own where the task is to embed), `target` (Int32, the index of the label;
/// List\<Int32\>, those of the labels, where a row has any number; Float64 for numbers), `truncated` Boolean, `text_hash` and `plain_hash` Int64, `excerpt` Utf8.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prepared {
    /// Labels, numbers, or pairs to embed.
    pub task: Task,
    /// Whether a row has any number of labels.
    #[serde(default)]
    pub multi_label: bool,
    /// Whether the rows have two texts.
    pub pairs: bool,
    /// Whether the rows have a target: pairs to embed may have none, and then it is 1 in all of them.
    pub scored: bool,
    /// The names of the text columns.
    pub inputs: Vec<String>,
    /// The name of the column to learn, if there is one.
    pub target: Option<String>,
    /// The labels of the training query's rows in sorted order; none for numbers.
    pub labels: Vec<String>,
    /// The rows of each label in the training files; none for numbers, and where a row has any number of labels.
    pub class_counts: Vec<u64>,
    /// A file for each shard.
    pub train: Vec<FeatureFile>,
    /// The rows to validate on. The target of a label that training never sees is -1: such a row counts as wrong.
    pub validation: Option<FeatureFile>,
    /// The rows of the training query that can be learned from, those that were split off to validate on included.
    pub rows: u64,
    /// Rows left out, of both queries, because a text or the target is NULL.
    pub skipped: u64,
    /// Rows, of both queries, with more tokens than the window.
    pub truncated: u64,
    /// The digest of the training query's rows, whatever their order: the one that a head on them would have.
    pub data_digest: Digest,
    /// What the user should know of the rows.
    pub warnings: Vec<TrainingWarning>,
}

/// A file of features.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureFile {
    /// The file; where the run's files are in a bucket, its URL.
    pub path: PathBuf,
    /// Its rows.
    pub rows: u64,
    /// The token ids of all its rows.
    pub tokens: u64,
    /// Its length, by which a file cut short is told.
    pub bytes: u64,
}

/// What `prepared.json` holds.
#[derive(Serialize, Deserialize)]
struct Record {
    fingerprint: String,
    prepared: Prepared,
}

impl Prepared {
    /// Returns what an earlier call has prepared in `folder` for the same fingerprint; none if anything is missing.
    pub(crate) fn find(folder: &Path, fingerprint: &str) -> Option<Prepared> {
        let bytes = fs::read(folder.join(PREPARED_FILE)).ok()?;
        let record: Record = serde_json::from_slice(&bytes).ok()?;
        let mut prepared = record.prepared;
        for file in prepared.train.iter_mut().chain(&mut prepared.validation) {
            // Names on disk, so that a folder that has moved is found complete.
            file.path = folder.join(&file.path);
            let whole = fs::metadata(&file.path).is_ok_and(|found| found.len() == file.bytes);
            if !whole {
                return None;
            }
        }
        (record.fingerprint == fingerprint).then_some(prepared)
    }

    /// Writes `prepared.json`, at once or not at all.
    pub(crate) fn save(&self, folder: &Path, fingerprint: &str) -> Result<()> {
        let mut prepared = self.clone();
        for file in prepared.train.iter_mut().chain(&mut prepared.validation) {
            file.path = file.path.file_name().map(PathBuf::from).unwrap_or_default();
        }
        let record = Record { fingerprint: fingerprint.to_owned(), prepared };
        let json = serde_json::to_vec_pretty(&record)
            .map_err(|error| StatementError::Internal(format!("writing {PREPARED_FILE}: {error}")))?;
        write_whole(&folder.join(PREPARED_FILE), |path| {
            fs::write(path, &json).map_err(|error| file_error(path, error))
        })
    }

    /// Removes the word that a folder is complete, before its files are written anew.
    pub(crate) fn forget(folder: &Path) -> Result<()> {
        match fs::remove_file(folder.join(PREPARED_FILE)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(file_error(folder, error)),
            _ => Ok(()),
        }
    }
}

/// An error of the file system in a run's folder.
pub(crate) fn file_error(path: &Path, source: std::io::Error) -> StatementError {
    crate::training_error::TrainingError::Folder { path: path.to_owned(), source }.into()
}
