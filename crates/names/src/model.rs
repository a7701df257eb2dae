//! What models are called: a name, or a name with a version.

use std::fmt;
use std::str::FromStr;

use crate::NameError;

/// The number of a model version, from 1 and never given twice under one name.
pub type VersionNumber = u32;

/// A checked model name: not empty, at most 128 bytes, no `@`, `/`, `\`, `:` or control
/// character, no blank at either end. Names are case-sensitive; SQL has normalised them already.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelName(String);

impl ModelName {
    /// The most bytes a name may have.
    pub const LONGEST: usize = 128;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ModelName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<ModelName, NameError> {
        let reason = if text.is_empty() {
            "it is empty"
        } else if text.len() > ModelName::LONGEST {
            "it is longer than 128 bytes"
        } else if text.trim() != text {
            "it begins or ends with a blank"
        } else if text.contains(['@', '/', '\\', ':']) {
            "it contains '@', '/', '\\' or ':'"
        } else if text.chars().any(char::is_control) {
            "it contains a control character"
        } else {
            return Ok(ModelName(text.to_string()));
        };
        Err(NameError::Model { name: text.to_string(), reason })
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A model as SQL names it: `name` (the current version) or `name@3`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelReference {
    /// The model.
    pub name: String,
    /// The version, or `None` for the current one.
    pub version: Option<VersionNumber>,
}

impl ModelReference {
    /// The current version of `name`.
    pub fn current(name: impl Into<String>) -> ModelReference {
        ModelReference { name: name.into(), version: None }
    }

    /// Version `version` of `name`.
    pub fn at(name: impl Into<String>, version: VersionNumber) -> ModelReference {
        ModelReference { name: name.into(), version: Some(version) }
    }
}

impl FromStr for ModelReference {
    type Err = NameError;

    fn from_str(text: &str) -> Result<ModelReference, NameError> {
        let Some((name, number)) = text.split_once('@') else {
            let name: ModelName = text.parse()?;
            return Ok(ModelReference::current(name.0));
        };
        let name: ModelName = name.parse()?;
        // `+3` and `03` parse as numbers but don't print back to what was written.
        let plain = number.starts_with(|c: char| c.is_ascii_digit() && c != '0');
        match number.parse() {
            Ok(version) if plain => Ok(ModelReference::at(name.0, version)),
            _ => Err(NameError::Reference { text: text.to_string() }),
        }
    }
}

impl fmt::Display for ModelReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            Some(version) => write!(f, "{}@{version}", self.name),
            None => self.name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_print_back() {
        for text in ["sentiment", "sentiment@3", "all-MiniLM-L6-v2@12", "a b"] {
            assert_eq!(text.parse::<ModelReference>().unwrap().to_string(), text);
        }
        for wrong in [
            "",
            "@1",
            "a@",
            "a@0",
            "a@-1",
            "a@x",
            "a@1@2",
            "a@+1",
            "a@01",
            "a/b",
            " a",
            "a\n",
            "a@99999999999",
        ] {
            assert!(wrong.parse::<ModelReference>().is_err(), "{wrong:?}");
        }
        assert!("x".repeat(129).parse::<ModelName>().is_err());
    }
}
