//! The name by which a plan carries a model: version and digest, never just a name.

use std::fmt;
use std::str::FromStr;

use nightjar_catalog::{Digest, ModelVersion};

use crate::{FunctionError, Result};

/// One immutable model version, written `name@version#digest`, or `name@version#digest~window` where the call
/// reads fewer tokens than the model could.
///
/// A resolved plan holds this text as the model argument of each call, so that an executor finds the
/// artifact by its digest and a running job can't see a model change under it (ARCHITECTURE.md, invariant
/// "plans name immutable things").
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PinnedModel {
    /// The model's name in the catalog when the plan was made.
    pub name: String,
    /// The version number of that name.
    pub version: u32,
    /// The digest of the version's artifact.
    pub digest: Digest,
    /// The most tokens that the call reads of a text; None means the model's own window.
    pub window: Option<usize>,
}

impl PinnedModel {
    /// Returns whether `text` is a pinned model rather than a name that a person wrote.
    pub fn is_pinned(text: &str) -> bool {
        text.parse::<Self>().is_ok()
    }

    /// Returns `name@version`, as people write it.
    pub fn label(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}

impl From<&ModelVersion> for PinnedModel {
    fn from(version: &ModelVersion) -> Self {
        Self { name: version.name.clone(), version: version.version, digest: version.digest, window: None }
    }
}

impl fmt::Display for PinnedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}#{}", self.name, self.version, self.digest)?;
        self.window.map_or(Ok(()), |window| write!(f, "~{window}"))
    }
}

impl FromStr for PinnedModel {
    type Err = FunctionError;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = || FunctionError::Unresolved { model: text.to_owned() };
        let (label, digest) = text.rsplit_once('#').ok_or_else(invalid)?;
        let (digest, window) = match digest.split_once('~') {
            Some((digest, window)) => (digest, Some(window.parse().map_err(|_| invalid())?)),
            None => (digest, None),
        };
        let (name, version) = label.rsplit_once('@').ok_or_else(invalid)?;
        Ok(Self {
            name: name.to_owned(),
            version: version.parse().map_err(|_| invalid())?,
            digest: digest.parse().map_err(|_| invalid())?,
            window,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_model_reads_back_what_it_prints_even_with_hostile_names() {
        for name in ["sentiment", "all-MiniLM-L6-v2", "a@2", "x#y", "été \"quoted\""] {
            for window in [None, Some(128)] {
                let pinned =
                    PinnedModel { name: name.to_owned(), version: 7, digest: Digest([9; 32]), window };
                assert_eq!(pinned.to_string().parse::<PinnedModel>().unwrap(), pinned);
                assert!(PinnedModel::is_pinned(&pinned.to_string()));
            }
            assert!(!PinnedModel::is_pinned(name));
        }
    }
}
