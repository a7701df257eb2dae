//! Reading the JSON files of a model directory.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{ModelError, Result};

/// A parsed JSON object and the file that it came from, for errors.
pub struct ConfigFile {
    path: PathBuf,
    root: Value,
}

impl ConfigFile {
    /// Returns the parsed file.
    ///
    /// # Errors
    /// `FileMissing`, `FileAccess`, or `ConfigInvalid` where it is no UTF-8 JSON.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|source| ModelError::access(path, "read", source))?;
        let invalid = |reason: String| ModelError::ConfigInvalid { path: path.to_owned(), reason };
        let text = std::str::from_utf8(&bytes).map_err(|error| invalid(format!("not UTF-8: {error}")))?;
        // Some editors leave a byte order mark, which JSON forbids.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let root = serde_json::from_str(text).map_err(|error| invalid(format!("not JSON: {error}")))?;
        Ok(ConfigFile { path: path.to_owned(), root })
    }

    /// Returns the parsed file, or none where it does not exist.
    ///
    /// # Errors
    /// As [`ConfigFile::read`], but for `FileMissing`.
    pub fn read_if_there(path: &Path) -> Result<Option<Self>> {
        match ConfigFile::read(path) {
            Ok(file) => Ok(Some(file)),
            Err(ModelError::FileMissing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the whole value.
    pub fn root(&self) -> &Value {
        &self.root
    }

    /// Returns an error about this file.
    pub fn invalid(&self, reason: impl Into<String>) -> ModelError {
        ModelError::ConfigInvalid { path: self.path.clone(), reason: reason.into() }
    }

    /// Returns an error about something in this file that is not supported.
    pub fn unsupported(&self, what: &'static str, found: &str, known: &[&str]) -> ModelError {
        let known = known.iter().map(|name| (*name).to_owned()).collect();
        ModelError::Unsupported { path: self.path.clone(), what, found: found.to_owned(), known }
    }

    /// Returns an error about a setting that would be left undone; `advice` says what to do instead.
    pub(crate) fn refused(
        &self,
        key: &str,
        found: &str,
        reason: &'static str,
        advice: impl Into<String>,
    ) -> ModelError {
        ModelError::SettingUnsupported {
            path: self.path.clone(),
            key: key.to_owned(),
            found: found.to_owned(),
            reason,
            advice: advice.into(),
        }
    }

    /// Returns the value of `key`, or none where it is absent or null.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.root.get(key).filter(|value| !value.is_null())
    }

    /// Returns the text of `key`.
    ///
    /// # Errors
    /// `ConfigInvalid` where it is absent or no string.
    pub fn text(&self, key: &str) -> Result<&str> {
        let value = self.get(key).ok_or_else(|| self.invalid(format!("{key} is missing")))?;
        value.as_str().ok_or_else(|| self.invalid(format!("{key} is {value}, expected a string")))
    }

    /// Returns the count of `key`, between 1 and `most`.
    ///
    /// # Errors
    /// `ConfigInvalid` where it is absent, no whole number, or out of range.
    pub fn count(&self, key: &str, most: usize) -> Result<usize> {
        let value = self.get(key).ok_or_else(|| self.invalid(format!("{key} is missing")))?;
        let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
        count.filter(|count| (1..=most).contains(count)).ok_or_else(|| {
            self.invalid(format!("{key} is {value}, expected a whole number from 1 to {most}"))
        })
    }

    /// Returns whether `key` is true; absent means false.
    ///
    /// # Errors
    /// `ConfigInvalid` where it is no boolean.
    pub fn flag(&self, key: &str) -> Result<bool> {
        let Some(value) = self.get(key) else {
            return Ok(false);
        };
        value.as_bool().ok_or_else(|| self.invalid(format!("{key} is {value}, expected true or false")))
    }
}
