//! Which objects below a place are a table's data.

use datafusion::catalog::Session;
use datafusion::datasource::listing::ListingTableUrl;
use datafusion::error::Result;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};

use super::foreign::check_listed;

/// Returns the data files at a place whose names end with `ending`, in the order of their paths.
///
/// Names that begin with an underscore or a dot are no data, neither files nor what is in such folders: writers leave
/// `_SUCCESS`, `_temporary/…`, `_metadata` and `.part.crc` there. Folders of a partition column are data, `_x=1/` too.
///
/// Errors: data files that belong to a table of another format (see [`super::foreign`]). Cost: a listing.
pub(crate) async fn data_files(
    session: &dyn Session,
    place: &ListingTableUrl,
    ending: &str,
) -> Result<Vec<ObjectMeta>> {
    let store = session.runtime_env().object_store(place)?;
    if !place.is_collection() && place.get_glob().is_none() {
        match store.head(place.prefix()).await {
            Ok(file) => return Ok(vec![file]),
            // It may be a folder whose name was written without the slash.
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let listed: Vec<ObjectMeta> = store.list(Some(place.prefix())).try_collect().await?;
    let ignores_subfolders = session.config_options().execution.listing_table_ignore_subdirectory;
    let mut files: Vec<ObjectMeta> = listed
        .iter()
        .filter(|file| {
            file.location.as_ref().ends_with(ending) && is_data(place, &file.location, ignores_subfolders)
        })
        .cloned()
        .collect();
    check_listed(place, &listed, &files)?;
    files.sort_unstable_by(|one, other| one.location.cmp(&other.location));
    Ok(files)
}

/// Returns whether an object is one of a place's data files, its ending aside.
pub(crate) fn is_data(place: &ListingTableUrl, file: &Path, ignores_subfolders: bool) -> bool {
    let Some(segments) = below(place, file) else { return false };
    let Some((name, folders)) = segments.split_last() else { return false };
    let glob = place.get_glob().as_ref();
    let asked = glob.map(|glob| glob.as_str()).unwrap_or_default();
    let (asked_folders, asked_name) = asked.rsplit_once('/').unwrap_or(("", asked));
    let names_hidden = |pattern: &str| pattern.split('/').any(|part| part.starts_with(['_', '.']));
    let hidden =
        |folder: &&&str| folder.starts_with('.') || (folder.starts_with('_') && !folder.contains('='));
    if (name.starts_with(['_', '.']) && !names_hidden(asked_name))
        || (folders.iter().any(|folder| hidden(&folder)) && !names_hidden(asked_folders))
    {
        return false;
    }
    let plain: Vec<&str> = folders.iter().copied().filter(|folder| !folder.contains('=')).collect();
    let Some(glob) = glob else { return !ignores_subfolders || plain.is_empty() };
    // The pattern's own `*` crosses folders; a path with as many slashes as the pattern is matched folder by folder.
    let matches = |path: &[&str]| {
        let path = [path, &[*name]].concat().join("/");
        let same_depth = path.matches('/').count() == asked.matches('/').count();
        glob.matches(&path) && (same_depth || asked.contains("**") || !ignores_subfolders)
    };
    matches(folders) || matches(&plain)
}

/// Returns the names on the way from a place to an object in it.
pub(super) fn below<'a>(place: &ListingTableUrl, object: &'a Path) -> Option<Vec<&'a str>> {
    let prefix: &str = place.prefix().as_ref();
    let rest = object.as_ref().strip_prefix(prefix)?;
    let rest = if prefix.is_empty() || rest.is_empty() { rest } else { rest.strip_prefix('/')? };
    Some(rest.split_terminator('/').collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(folder: &str, glob: Option<&str>) -> ListingTableUrl {
        let place = ListingTableUrl::parse(folder).unwrap();
        glob.map_or(place.clone(), |glob| place.with_glob(glob).unwrap())
    }

    #[test]
    fn markers_are_no_data_at_any_level() {
        let table = place("s3://bucket/t/", None);
        for (path, data) in [
            ("t/a.parquet", true),
            ("t/a=b.parquet", true),
            ("t/day=1/a.parquet", true),
            ("t/_day=1/a.parquet", true),
            ("t", false),
            ("tt/a.parquet", false),
            ("t/_SUCCESS", false),
            ("t/_metadata", false),
            ("t/.a.parquet.crc", false),
            ("t/day=1/_SUCCESS", false),
            ("t/day=1/.part.crc", false),
            ("t/_temporary/0/a.parquet", false),
            ("t/day=1/_temporary/a.parquet", false),
            ("t/.tmp/day=1/a.parquet", false),
            ("t/.day=1/a.parquet", false),
            ("t/sub/a.parquet", false),
        ] {
            assert_eq!(is_data(&table, &Path::parse(path).unwrap(), true), data, "{path}");
        }
        assert!(is_data(&table, &Path::from("t/sub/a.parquet"), false));
        assert!(!is_data(&table, &Path::from("t/_sub/a.parquet"), false));
    }

    #[test]
    fn patterns_are_of_folders_and_names() {
        let found =
            |glob: &str, path: &str| is_data(&place("s3://b/t/", Some(glob)), &Path::from(path), true);
        assert!(found("*.csv", "t/a.csv") && found("*.csv", "t/day=1/a.csv"));
        assert!(found("day=*/*.csv", "t/day=1/a.csv") && !found("day=1*/*.csv", "t/day=2/a.csv"));
        assert!(found("*/a-?.csv", "t/x/a-1.csv") && !found("*.csv", "t/x/a.csv"));
        assert!(found("**/*.csv", "t/x/y/a.csv"));
        assert!(!found("*.csv", "t/_a.csv") && found("_*.csv", "t/_a.csv"));
        assert!(!found("*/*.csv", "t/_x/a.csv"));
    }
}
