//! The name by which a plan carries a model: version and digest, never just a name.

use std::fmt;
use std::str::FromStr;

use nightjar_catalog::{Digest, ModelVersion};
use nightjar_models::Precision;

use crate::{FunctionError, Result};

/// One immutable model version and how it is computed, written `name@version#digest`, then `~window` where the call
/// reads fewer tokens than the model could, then `+precision` where that is not f32.
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
    /// The numbers that the encoder multiplies. Part of the name, because it is part of the result: wherever the plan
    /// runs, it runs in this precision.
    pub precision: Precision,
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
        Self {
            name: version.name.clone(),
            version: version.version,
            digest: version.digest,
            window: None,
            precision: Precision::F32,
        }
    }
}

impl fmt::Display for PinnedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}#{}", self.name, self.version, self.digest)?;
        self.window.map_or(Ok(()), |window| write!(f, "~{window}"))?;
        match self.precision {
            Precision::F32 => Ok(()),
            precision => write!(f, "+{precision}"),
        }
    }
}

impl FromStr for PinnedModel {
    type Err = FunctionError;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = || FunctionError::Unresolved { model: text.to_owned() };
        let (label, digest) = text.rsplit_once('#').ok_or_else(invalid)?;
        let (digest, precision) = match digest.split_once('+') {
            Some((digest, precision)) => (digest, precision.parse().map_err(|_| invalid())?),
            None => (digest, Precision::F32),
        };
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
            precision,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_model_reads_back_what_it_prints_even_with_hostile_names() {
        for name in ["sentiment", "all-MiniLM-L6-v2", "a@2", "x#y", "été \"quoted\""] {
            for (window, precision) in [None, Some(128)].into_iter().zip(Precision::ALL) {
                let (name, digest) = (name.to_owned(), Digest([9; 32]));
                let pinned = PinnedModel { name, version: 7, digest, window, precision };
                assert_eq!(pinned.to_string().parse::<PinnedModel>().unwrap(), pinned);
                assert!(PinnedModel::is_pinned(&pinned.to_string()));
            }
            assert!(!PinnedModel::is_pinned(name));
        }
    }
}
