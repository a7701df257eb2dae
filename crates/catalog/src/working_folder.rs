//! The local folder of a store in a bucket.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::NamedTempFile;

use crate::artifacts::sync_folder;
use crate::error::{CatalogError, Result};
use crate::ids::Digest;
use crate::object_stores::ObjectStoreSettings;

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
/// first call. Of several that make it at once one does, and the others get the same.
pub(crate) fn mark(root: &Path) -> Result<String> {
    let path = root.join(MARK);
    let damaged = match fs::read_to_string(&path) {
        Ok(mark) if is_mark(&mark) => return Ok(mark),
        Ok(_) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(CatalogError::io("read", &path)(error)),
    };
    let mut random = [0; 8];
    let failed = |error| CatalogError::io("write", &path)(error);
    getrandom::getrandom(&mut random).map_err(|error| failed(io::Error::other(error.to_string())))?;
    let mark: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut file = NamedTempFile::new_in(root).map_err(failed)?;
    file.write_all(mark.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    let kept = if damaged { file.persist(&path) } else { file.persist_noclobber(&path) };
    match kept {
        Ok(_) => sync_folder(root)?,
        Err(kept) if kept.error.kind() == io::ErrorKind::AlreadyExists => return self::mark(root),
        Err(kept) => return Err(failed(kept.error)),
    }
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
    fn all_who_make_a_mark_at_once_get_the_same() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let marks: Vec<_> = std::thread::scope(|scope| {
                let made: Vec<_> = (0..8).map(|_| scope.spawn(|| mark(folder.path()).unwrap())).collect();
                made.into_iter().map(|made| made.join().unwrap()).collect()
            });
            assert!(marks.iter().all(|other| *other == marks[0] && is_mark(other)), "{marks:?}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
            fs::write(folder.path().join(MARK), "damaged").unwrap();
            assert!(is_mark(&mark(folder.path()).unwrap()));
        }
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
