//! A model in a local directory.

use std::fs::{self, File};
use std::path::Path;

use super::known::KnownModel;
use super::pull::PullProgress;
use super::selection::select;
use crate::error::{CatalogError, Result};
use crate::staging::Staging;

/// Copies the files of `known`, or else the needed ones, from the directory `dir`. Symbolic links
/// are followed, because the hub's own cache consists of them. Returns the directory's
/// `file://` URI.
pub(crate) fn copy(
    dir: &Path,
    known: Option<&KnownModel>,
    staging: &mut Staging,
    progress: &dyn PullProgress,
) -> Result<String> {
    let root = fs::canonicalize(dir).map_err(|error| DirectoryProblem::of(dir, error.to_string()))?;
    if !root.is_dir() {
        return Err(DirectoryProblem::of(dir, "it is not a directory".into()));
    }
    let names = list(&root)?;
    let origin = dir.display().to_string();
    let taken = match known {
        Some(model) => model.files.iter().map(|file| file.path.to_string()).collect(),
        None => select(&origin, &names)?,
    };
    for name in &taken {
        let path = root.join(name);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(CatalogError::FileMissing { origin, file: name.clone() });
            }
            Err(error) => return Err(CatalogError::io("open", &path)(error)),
        };
        progress.start(name, file.metadata().ok().map(|metadata| metadata.len()));
        staging.copy(name, &mut file, |bytes| progress.advance(bytes))?;
    }
    Ok(url::Url::from_file_path(&root).map_or(origin, String::from))
}

struct DirectoryProblem;

impl DirectoryProblem {
    fn of(dir: &Path, reason: String) -> CatalogError {
        // `org/repo` without a scheme reads as a relative path; the hint tells how to mean the hub.
        let text = dir.to_string_lossy();
        let is_repo =
            matches!(super::parse_hub(&text), Some(super::Source::Hub { .. })) && !text.starts_with('.');
        let hub_like = is_repo.then(|| text.into_owned());
        CatalogError::DirectoryInvalid { path: dir.into(), reason, hub_like }
    }
}

/// The files at the top and one folder below, as relative names. Deeper ones are never needed.
fn list(root: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root).map_err(CatalogError::io("list", root))? {
        let entry = entry.map_err(CatalogError::io("list", root))?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let path = entry.path();
        if path.is_file() {
            names.push(name);
        } else if path.is_dir() && path.join("config.json").is_file() {
            names.push(format!("{name}/config.json"));
        }
    }
    // Names with a backslash or colon are fine on Unix disks, but none that is needed has one.
    names.retain(|name| crate::manifest::is_plain_relative(name));
    Ok(names)
}
