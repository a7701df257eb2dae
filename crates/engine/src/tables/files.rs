//! Files as tables: `SELECT * FROM 'reviews.parquet'`, folders and globs too.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use datafusion::datasource::TableProvider;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::session_state::SessionState;
use nightjar_catalog::check_url;
use nightjar_functions::into_datafusion;

use super::columns::file_columns;
use super::data_files::data_files;
use super::file_table::FileTable;
use super::foreign::check_place;
use super::lake::SessionHandle;
use super::partitions::{PartitionColumns, infer_partitions};
use super::place::place;
use crate::error::EngineError;
use crate::write::settle;

/// The endings that name a format, and the format's name in DataFusion.
const FORMATS: &[(&str, &str)] = &[
    ("parquet", "parquet"),
    ("csv", "csv"),
    ("tsv", "csv"),
    ("json", "json"),
    ("jsonl", "json"),
    ("ndjson", "json"),
    ("avro", "avro"),
    ("arrow", "arrow"),
];

/// The endings that name a compression, and its name in DataFusion.
const COMPRESSIONS: &[(&str, &str)] = &[("gz", "gzip"), ("bz2", "bzip2"), ("xz", "xz"), ("zst", "zstd")];

/// Makes a table of a path, folder, glob or URL that stands where a table name would.
#[derive(Debug)]
pub(crate) struct FileTables {
    session: SessionHandle,
}

impl FileTables {
    pub(crate) fn new(session: SessionHandle) -> Self {
        Self { session }
    }
}

impl FileTables {
    /// Returns the table at `text`, or None where it doesn't look like a path.
    pub(crate) async fn table(&self, text: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if !looks_like_path(text) {
            return Ok(None);
        }
        let state = self.session.state()?;
        Ok(Some(open(text, &state).await?))
    }
}

/// Whether a name in FROM is meant as a file: it has a separator, a glob or a known ending, or such a file is
/// there.
pub(super) fn looks_like_path(text: &str) -> bool {
    text.contains(['/', '*', '?', '[']) || ending(text).is_some() || Path::new(text).exists()
}

/// The format and compression that a file name's endings say.
pub(crate) struct Ending {
    /// All of it, in lower case: `csv.gz`.
    pub(crate) extension: String,
    pub(crate) format: &'static str,
    pub(crate) compression: Option<&'static str>,
    pub(crate) delimiter: Option<&'static str>,
}

/// Returns the compression that a file name's last ending says.
pub(crate) fn compression_of(name: &str) -> Option<&'static str> {
    let last = name.rsplit('/').next()?.rsplit_once('.')?.1.to_ascii_lowercase();
    COMPRESSIONS.iter().find(|(known, _)| *known == last).map(|(_, compression)| *compression)
}

/// Returns what a file name's endings say, or None where they name no format.
pub(crate) fn ending(name: &str) -> Option<Ending> {
    let name = name.rsplit('/').next()?.to_ascii_lowercase();
    let lookup = |table: &[(&'static str, &'static str)], ending: &str| {
        table.iter().find(|(known, _)| *known == ending).map(|(_, meaning)| *meaning)
    };
    let (stem, last) = name.rsplit_once('.')?;
    let (last, compression, extension) = match lookup(COMPRESSIONS, last) {
        Some(compression) => {
            let (_, inner) = stem.rsplit_once('.')?;
            (inner, Some(compression), format!("{inner}.{last}"))
        }
        None => (last, None, last.to_owned()),
    };
    let format = lookup(FORMATS, last)?;
    // The others compress inside, and read their end first.
    if compression.is_some() && !["csv", "json"].contains(&format) {
        return None;
    }
    Some(Ending { extension, format, compression, delimiter: (last == "tsv").then_some("\t") })
}

pub(crate) async fn open(text: &str, state: &SessionState) -> Result<Arc<dyn TableProvider>> {
    let failure = |error: EngineError| DataFusionError::External(Box::new(error));
    // Before anything could repeat what the URL should not hold.
    check_url(text).map_err(into_datafusion)?;
    let place = place(state.runtime_env(), text).await.map_err(|error| {
        failure(EngineError::FileName { path: text.to_owned(), reason: error.to_string() })
    })?;
    if place.scheme() == "file"
        && place.get_glob().is_none()
        && !Path::new(text.trim_start_matches("file://")).exists()
    {
        return Err(failure(EngineError::FileMissing { path: text.to_owned() }));
    }
    check_place(state.runtime_env(), &place).await?;
    settle(state.runtime_env(), &place).await?;
    let files = data_files(state, &place, "").await?;
    let mut names = files.iter().map(|file| file.location.filename().unwrap_or_default());
    let Some(found) = names.clone().find_map(ending) else {
        let path = text.to_owned();
        return Err(failure(match names.next_back() {
            None => EngineError::NoFiles { path },
            Some(file) => EngineError::UnknownFormat { path, file: file.to_owned() },
        }));
    };
    let mut options = HashMap::new();
    if let Some(compression) = found.compression {
        options.insert("format.compression".to_owned(), compression.to_owned());
    }
    if let Some(delimiter) = found.delimiter {
        options.insert("format.delimiter".to_owned(), delimiter.to_owned());
    }
    let factory = state
        .get_file_format_factory(found.format)
        .ok_or_else(|| DataFusionError::Internal(format!("no format factory for {}", found.format)))?;
    let format = factory.create(state, &options)?;
    // A single file is read whatever the case of its ending.
    let is_folder = place.is_collection() || place.get_glob().is_some();
    let ending = if is_folder { found.extension } else { String::new() };
    let read = files.iter().map(|file| &file.location).filter(|file| file.as_ref().ends_with(&ending));
    let names = infer_partitions(&place, read).map_err(failure)?;
    let partitions = PartitionColumns::inferred(names);
    let places = [place];
    let columns = file_columns(state, &format, found.format, &ending, &places, &partitions).await?;
    let table = FileTable::new(places.to_vec(), format, ending, columns, partitions)
        .with_statistics_cache(state.runtime_env().cache_manager.get_file_statistic_cache());
    Ok(Arc::new(table))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_name_formats_and_compressions() {
        let of = |name: &str| ending(name).map(|found| (found.extension, found.format, found.compression));
        assert_eq!(of("a/b/Reviews.PARQUET"), Some(("parquet".to_owned(), "parquet", None)));
        assert_eq!(of("x.csv.gz"), Some(("csv.gz".to_owned(), "csv", Some("gzip"))));
        assert_eq!(of("x.jsonl"), Some(("jsonl".to_owned(), "json", None)));
        assert_eq!(of("x.parquet.gz"), None);
        assert_eq!(of("x.gz"), None);
        assert_eq!(of("plain"), None);
        assert_eq!(of("x.pdf"), None);
    }
}
