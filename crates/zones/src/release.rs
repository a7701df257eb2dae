//! Releases of the IANA's database.

use std::fmt;

/// A release such as `2026f`. Later releases are greater.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    year: u16,
    /// How many letters come before this one: after `z` comes `za`.
    letters: (usize, String),
}

impl Release {
    /// Reads a release: a year, then lower-case letters. Anything after them, such as `-dirty`, makes it none.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (year, letters) = text.split_at_checked(4)?;
        let is_plain = year.bytes().all(|byte| byte.is_ascii_digit())
            && (1..=2).contains(&letters.len())
            && letters.bytes().all(|byte| byte.is_ascii_lowercase());
        Some(Self {
            year: year.parse().ok().filter(|_| is_plain)?,
            letters: (letters.len(), letters.to_owned()),
        })
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.year, self.letters.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_releases_are_greater() {
        let order = ["1996a", "2025b", "2026a", "2026f", "2026z", "2026za", "2027a"];
        let releases: Vec<_> = order.iter().map(|text| Release::parse(text).unwrap()).collect();
        assert!(releases.is_sorted());
        assert_eq!(releases[3].to_string(), "2026f");
        for wrong in ["", "2026", "26f", "2026F", "2026f-dirty", "unknown", "éééé"] {
            assert_eq!(Release::parse(wrong), None, "{wrong}");
        }
    }
}
