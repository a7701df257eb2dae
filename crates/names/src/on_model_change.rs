//! What a refresh does with rows that an earlier version of a model made.

use std::fmt;
use std::str::FromStr;

/// What a refresh does with rows that an earlier version of a model made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnModelChange {
    /// Makes them anew.
    #[default]
    Full,
    /// Keeps them: only rows of new files are made by the new version.
    Keep,
}

impl OnModelChange {
    /// `full` or `keep`.
    pub fn as_str(self) -> &'static str {
        match self {
            OnModelChange::Full => "full",
            OnModelChange::Keep => "keep",
        }
    }
}

impl fmt::Display for OnModelChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for OnModelChange {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let all = [OnModelChange::Full, OnModelChange::Keep];
        all.into_iter().find(|known| text.eq_ignore_ascii_case(known.as_str())).ok_or(())
    }
}
