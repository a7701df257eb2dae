//! Folders that are tables of another format: their files alone are not their rows.
//!
//! A Delta, Iceberg or Hudi table says in files of its own which data files are part of it. Read as bare Parquet it shows
//! deleted rows; what is written into its folder nobody else sees.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::datasource::listing::ListingTableUrl;
use datafusion::error::Result;
use datafusion::execution::runtime_env::RuntimeEnv;
use futures::{StreamExt, future};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};

use crate::error::EngineError;

/// A format of tables that isn't supported yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Delta,
    Iceberg,
    Hudi,
}

impl Format {
    const ALL: [Self; 3] = [Self::Delta, Self::Iceberg, Self::Hudi];

    fn name(self) -> &'static str {
        match self {
            Self::Delta => "Delta Lake",
            Self::Iceberg => "Iceberg",
            Self::Hudi => "Hudi",
        }
    }

    /// The folder inside the table's that makes it one.
    fn folder(self) -> &'static str {
        match self {
            Self::Delta => "_delta_log",
            Self::Iceberg => "metadata",
            Self::Hudi => ".hoodie",
        }
    }

    /// Whether a file of that folder says so. Folders called `metadata` are common.
    fn is_marked_by(self, file: &str) -> bool {
        self != Self::Iceberg || file.ends_with(".metadata.json") || file.ends_with(".metadata.json.gz")
    }

    /// Whether what lies below the table's folder, on the way that begins with `first`, is the table's.
    fn owns(self, first: Option<&str>) -> bool {
        match (self, first) {
            (_, None) => true,
            (Self::Iceberg, Some(first)) => first == "data" || first.contains('='),
            (_, Some(_)) => true,
        }
    }
}

/// Refuses a place that is, or lies in, a table of another format.
///
/// Errors: such a table, by name. Cost: on a file system some looks for folders, in a bucket some listings that are
/// nearly always empty, all at once. A place that can't be listed is for the reader to report.
pub(crate) async fn check_place(runtime: &RuntimeEnv, place: &ListingTableUrl) -> Result<()> {
    if place.scheme().starts_with("http") {
        return Ok(());
    }
    let Ok(store) = runtime.object_store(place) else { return Ok(()) };
    let names: Vec<&str> = place.prefix().as_ref().split_terminator('/').collect();
    let is_local = place.scheme() == "file";
    let mut looks = Vec::new();
    for depth in 0..=names.len() {
        let (above, rest) = names.split_at(depth);
        for format in Format::ALL {
            // Whoever names the log itself reads the log.
            if rest.first() == Some(&format.folder()) || !format.owns(rest.first().copied()) {
                continue;
            }
            let marker: Vec<&str> = above.iter().copied().chain([format.folder()]).collect();
            let Ok(marker) = Path::parse(marker.join("/")) else { continue };
            // A look that costs nothing, before a listing.
            if is_local && !std::path::Path::new(&format!("/{marker}")).is_dir() {
                continue;
            }
            let (store, above) = (Arc::clone(&store), above.join("/"));
            looks.push(async move { is_marked(&store, &marker, format).await.then_some((above, format)) });
        }
    }
    match future::join_all(looks).await.into_iter().flatten().last() {
        Some((folder, format)) => Err(refused(place, &folder, format)),
        None => Ok(()),
    }
}

async fn is_marked(store: &Arc<dyn ObjectStore>, marker: &Path, format: Format) -> bool {
    let found = store.list(Some(marker));
    let mut found = std::pin::pin!(found);
    while let Some(Ok(file)) = found.next().await {
        if file.location.filename().is_some_and(|name| format.is_marked_by(name)) {
            return true;
        }
    }
    false
}

/// Refuses data files that lie in a table of another format below a place. `listed` is all that is there.
pub(super) fn check_listed(
    place: &ListingTableUrl,
    listed: &[ObjectMeta],
    files: &[ObjectMeta],
) -> Result<()> {
    let mut tables = BTreeMap::new();
    for object in listed {
        let names: Vec<&str> = object.location.as_ref().split('/').collect();
        let [above @ .., marker, name] = names.as_slice() else { continue };
        let format = Format::ALL.into_iter().find(|format| format.folder() == *marker);
        if let Some(format) = format.filter(|format| format.is_marked_by(name)) {
            tables.insert(above.join("/"), format);
        }
    }
    for (folder, format) in tables {
        let owned = |file: &&ObjectMeta| {
            let rest = file.location.as_ref().strip_prefix(folder.as_str());
            rest.and_then(|rest| if folder.is_empty() { Some(rest) } else { rest.strip_prefix('/') })
                .is_some_and(|rest| {
                    let first = rest.split_once('/').map(|(first, _)| first);
                    first != Some(format.folder()) && format.owns(first)
                })
        };
        if files.iter().any(|file| owned(&file)) {
            return Err(refused(place, &folder, format));
        }
    }
    Ok(())
}

fn refused(place: &ListingTableUrl, folder: &str, format: Format) -> datafusion::error::DataFusionError {
    let store = place.object_store();
    let root = store.as_str().trim_start_matches("file://");
    EngineError::ForeignTable {
        folder: format!("{root}{folder}"),
        format: format.name(),
        marker: format.folder(),
    }
    .into_datafusion()
}
