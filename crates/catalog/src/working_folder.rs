//! The local folder of a store in a bucket.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::artifacts::sync_folder;
use crate::error::{CatalogError, Result};
use crate::ids::Digest;
use crate::object_stores::ObjectStoreSettings;
use crate::run_folder::write_whole;

/// What was fetched of a run that nobody has touched for so long is removed.
const STALE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// The file with the mark of the coordinator that works in a folder.
const MARK: &str = "coordinator";

/// Returns where a process keeps the catalog of a store in a bucket, and copies of what it has read: a folder for each store,
/// in the folder of the settings, or else under the platform's data directory.
pub(crate) fn working_folder(name: &str, settings: &ObjectStoreSettings) -> Result<PathBuf> {
    let stores = match &settings.cache {
        Some(folder) => folder.clone(),
        None => crate::store::default_root()?.join("stores"),
    };
    let digest = Digest::of(name.as_bytes()).to_string();
    Ok(stores.join(&digest[..32]))
}

/// Returns what tells the runs of the catalog in this folder from those of other catalogs that share a bucket; made by the
/// first call.
pub(crate) fn mark(root: &Path) -> Result<String> {
    let path = root.join(MARK);
    match fs::read_to_string(&path) {
        Ok(mark) if is_mark(&mark) => return Ok(mark),
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(CatalogError::io("read", &path)(error));
        }
        _ => {}
    }
    let mut random = [0; 8];
    let failed = CatalogError::io("name", &path);
    getrandom::getrandom(&mut random).map_err(|error| failed(io::Error::other(error.to_string())))?;
    let mark: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    write_whole::<CatalogError>(&path, |path| {
        fs::write(path, &mark).map_err(CatalogError::io("write", path))
    })?;
    sync_folder(root)?;
    Ok(mark)
}

fn is_mark(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Removes copies of runs' files that nobody has touched for a day. What can't be removed is left for the next time.
pub(crate) fn sweep_runs(runs: &Path, now: SystemTime) {
    for entry in fs::read_dir(runs).into_iter().flatten().flatten() {
        let is_copy = entry.file_name().to_str().and_then(|name| name.split_once('-')).is_some();
        if is_copy && now.duration_since(touched(&entry.path(), now)).unwrap_or_default() > STALE_AFTER {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Returns when a file was last put into a run's folder or one of its folders, or removed from it.
fn touched(run: &Path, now: SystemTime) -> SystemTime {
    let folders = fs::read_dir(run).into_iter().flatten().flatten().map(|entry| entry.path());
    let modified = |path: PathBuf| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    folders.chain([run.to_owned()]).filter_map(modified).max().unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_keeps_its_mark_and_stores_have_folders_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let first = mark(folder.path()).unwrap();
        assert!(is_mark(&first) && mark(folder.path()).unwrap() == first);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(mark(other.path()).unwrap(), first);
        let mut settings = ObjectStoreSettings::new([]);
        settings.cache = Some(folder.path().to_owned());
        let of = |name| working_folder(name, &settings).unwrap();
        assert!(of("s3://a/one").starts_with(folder.path()) && of("s3://a/one") != of("s3://a/two"));
    }

    #[test]
    fn old_copies_of_runs_go_and_runs_stay() {
        let runs = tempfile::tempdir().unwrap();
        for name in ["0123456789abcdef-7", "7"] {
            fs::create_dir(runs.path().join(name)).unwrap();
        }
        sweep_runs(runs.path(), SystemTime::now());
        assert_eq!(fs::read_dir(runs.path()).unwrap().count(), 2);
        sweep_runs(runs.path(), SystemTime::now() + STALE_AFTER + Duration::from_secs(60));
        assert!(runs.path().join("7").exists() && !runs.path().join("0123456789abcdef-7").exists());
    }
}
