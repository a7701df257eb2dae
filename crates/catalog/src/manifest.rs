//! The manifest of an artifact: its files with their sizes and digests.

use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use crate::ids::Digest;

/// One file of an artifact.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Path inside the artifact, with `/` between its parts.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the content.
    pub sha256: Digest,
}

/// The files of an artifact, sorted by path. Its canonical JSON, which is also what
/// `manifest.json` holds byte for byte, is what an artifact's digest is the SHA-256 of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Sorted by path, each path once.
    pub files: Vec<ManifestFile>,
}

impl Manifest {
    /// The file inside an artifact that holds its manifest; no other file may bear that name.
    pub const FILE: &str = "manifest.json";

    /// The manifest of these files.
    pub fn new(mut files: Vec<ManifestFile>) -> Manifest {
        files.sort();
        Manifest { files }
    }

    /// The artifact's digest.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }

    /// Total bytes of the files.
    pub fn size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// The file at `path`, or `None`.
    pub fn file(&self, path: &str) -> Option<&ManifestFile> {
        self.files.iter().find(|file| file.path == path)
    }

    /// The canonical bytes: compact JSON, keys in the order of the struct. Strings and integers
    /// cannot fail to serialise, so the empty fallback is never seen.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// Whether a path from outside may be joined to a folder of ours: relative, with `/` between its
/// parts, each a plain name. Refuses `..`, absolute paths, drive letters, backslashes and NUL.
pub(crate) fn is_plain_relative(path: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    !path.contains(['\\', '\0', ':'])
        && path.split('/').all(plain)
        && Path::new(path).components().all(|component| matches!(component, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_of_files_does_not_change_the_digest() {
        let file =
            |path: &str| ManifestFile { path: path.into(), size: 1, sha256: Digest::of(path.as_bytes()) };
        let ab = Manifest::new(vec![file("a"), file("b")]);
        assert_eq!(ab.digest(), Manifest::new(vec![file("b"), file("a")]).digest());
        assert_ne!(ab.digest(), Manifest::new(vec![file("a"), file("c")]).digest());
        // The digest names artifacts for good: a change of the canonical form must show here.
        let text = String::from_utf8(ab.to_bytes()).unwrap();
        assert!(text.starts_with(r#"{"files":[{"path":"a","size":1,"sha256":"ca978112"#), "{text}");
    }

    #[test]
    fn hostile_paths_are_seen() {
        for good in ["a", "1_Pooling/config.json", "a/b/c.d", "..a", ".gitattributes"] {
            assert!(is_plain_relative(good), "{good}");
        }
        for bad in ["", "/a", "../a", "a/../b", "a/..", "a//b", "./a", "a/", "C:/a", "a\\b", "a\0"] {
            assert!(!is_plain_relative(bad), "{bad:?}");
        }
    }
}
