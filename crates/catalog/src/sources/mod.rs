//! Where base models come from: a model that we know, a repository of the hub, or a directory.

mod directory;
mod hub;
mod known;
mod pull;
mod reach;
mod selection;
mod weights;
mod wheel;

use std::fmt;
use std::path::PathBuf;

pub use hub::HubSettings;
pub use known::{KNOWN_MODELS, KnownFile, KnownModel, KnownWheel};
pub use pull::{PullProgress, PullSettings, Pulled, Silent, pull, pull_with};

use crate::error::{CatalogError, Result};
use crate::manifest::is_plain_relative;

/// A place that a base model can be pulled from. Prints as the text that parses to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A model whose files we have pinned: the hub, then a wheel, are tried for them.
    Known(&'static KnownModel),
    /// A repository of the hub: `hf://org/repo` or `hf://org/repo@revision`.
    Hub {
        /// `org/repo`.
        repo: String,
        /// A branch, tag or commit; `None` means `main`.
        revision: Option<String>,
    },
    /// A local directory in the Hugging Face layout.
    Directory(PathBuf),
}

impl Source {
    /// Reads a source: a known name (with or without its organisation, in any case),
    /// `hf://org/repo[@revision]`, a `file://` URI, or a path. A path has a separator in it or
    /// begins with `.`, so that no folder that happens to lie about takes a known name's place.
    ///
    /// Errors: unknown names with the nearest known one, other schemes, malformed repositories.
    pub fn parse(text: &str) -> Result<Source> {
        let invalid = |reason: &str| CatalogError::SourceInvalid {
            text: without_password(text),
            reason: reason.into(),
        };
        if let Some(model) = known::find(text) {
            return Ok(Source::Known(model));
        }
        if let Some(repo) = text.strip_prefix("hf://") {
            return parse_hub(repo)
                .ok_or_else(|| invalid("hf://org/repo or hf://org/repo@revision was expected"));
        }
        if text.starts_with("file://") {
            let url = url::Url::parse(text).map_err(|error| invalid(&error.to_string()))?;
            let path = url.to_file_path().map_err(|()| invalid("it does not name an absolute path"))?;
            return Ok(Source::Directory(path));
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(invalid(&format!("the scheme '{scheme}' is not supported")));
        }
        if text.contains(['/', '\\']) || text.starts_with('.') {
            return Ok(Source::Directory(PathBuf::from(text)));
        }
        let names = KNOWN_MODELS.iter().map(|model| model.name);
        let nearest = nightjar_errors::nearest(text, names).map(str::to_string);
        Err(CatalogError::SourceUnknown { text: text.into(), nearest })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Known(model) => model.name.fmt(f),
            Source::Hub { repo, revision: Some(revision) } => write!(f, "hf://{repo}@{revision}"),
            Source::Hub { repo, revision: None } => write!(f, "hf://{repo}"),
            Source::Directory(path) => path.display().fmt(f),
        }
    }
}

/// Reads `org/repo[@revision]`. The parts end up in URLs and paths, so only what the hub itself
/// allows passes.
fn parse_hub(text: &str) -> Option<Source> {
    let allowed = |text: &str| {
        is_plain_relative(text) && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
    };
    let (repo, revision) = match text.split_once('@') {
        Some((repo, revision)) => (repo, Some(revision)),
        None => (text, None),
    };
    let good = allowed(repo) && repo.split('/').count() == 2 && revision.is_none_or(allowed);
    good.then(|| Source::Hub { repo: repo.into(), revision: revision.map(str::to_string) })
}

/// The names of the known models, for hints.
pub(crate) fn known_names() -> String {
    KNOWN_MODELS.iter().map(|model| model.name).collect::<Vec<_>>().join(", ")
}

/// A URI fit for a message: user name and password are left out.
pub(crate) fn without_password(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once("://") else {
        return uri.to_string();
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.rfind('@') {
        Some(at) if scheme != "hf" => format!("{scheme}://{}", &rest[at + 1..]),
        _ => uri.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use nightjar_errors::Failure;

    use super::*;

    #[test]
    fn sources_are_read_and_print_back() {
        let hub = |repo: &str, revision: Option<&str>| Source::Hub {
            repo: repo.into(),
            revision: revision.map(str::to_string),
        };
        for (text, expected) in [
            ("all-MiniLM-L6-v2", Source::Known(&KNOWN_MODELS[0])),
            ("hf://org/repo", hub("org/repo", None)),
            ("hf://org/repo@v1.0", hub("org/repo", Some("v1.0"))),
            ("hf://org/repo@refs/pr/3", hub("org/repo", Some("refs/pr/3"))),
            ("./model", Source::Directory("./model".into())),
            ("/models/a", Source::Directory("/models/a".into())),
        ] {
            let source = Source::parse(text).unwrap();
            assert_eq!(source, expected);
            assert_eq!(source.to_string(), text);
        }
        for text in ["ALL-minilm-l6-v2", "sentence-transformers/all-MiniLM-L6-v2"] {
            assert_eq!(Source::parse(text).unwrap(), Source::Known(&KNOWN_MODELS[0]));
        }
        assert_eq!(Source::parse("file:///a%20b").unwrap(), Source::Directory("/a b".into()));
    }

    #[test]
    fn what_is_no_source_is_refused() {
        for text in
            ["hf://repo", "hf://a/b/c", "hf://a/../b", "hf://a/b@", "hf://a/b@../c", "hf://a/b?x=1", "hf://"]
        {
            assert!(matches!(Source::parse(text), Err(CatalogError::SourceInvalid { .. })), "{text}");
        }
        let error = Source::parse("https://user:secret@example.org/model").unwrap_err();
        assert!(error.to_string().contains("'https'") && !error.to_string().contains("secret"), "{error}");
        let error = Source::parse("all-MiniLM-L6-v3").unwrap_err();
        assert_eq!(error.hint().unwrap(), "did you mean 'all-MiniLM-L6-v2'?");
        let error = Source::parse("model").unwrap_err();
        assert!(error.hint().unwrap().contains("./model"), "{:?}", error.hint());
    }
}
