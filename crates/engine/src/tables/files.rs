//! Files as tables: `SELECT * FROM 'reviews.parquet'`, folders and globs too.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use datafusion::datasource::TableProvider;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::session_state::SessionState;
use futures::TryStreamExt;
use nightjar_catalog::check_url;
use nightjar_functions::into_datafusion;

use super::columns::{columns, says_columns};
use super::lake::SessionHandle;
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

/// Returns a path or URL with its glob, which DataFusion knows in paths only.
fn parse(text: &str) -> Result<ListingTableUrl> {
    let Some(at) = glob_in_url(text) else {
        return ListingTableUrl::parse(text);
    };
    let folder = text[..at].rfind('/').map_or(at, |slash| slash + 1);
    ListingTableUrl::parse(&text[..folder])?.with_glob(&text[folder..])
}

/// Returns where a URL's glob begins, if it has one.
pub(crate) fn glob_in_url(text: &str) -> Option<usize> {
    let (scheme, rest) = text.split_once("://")?;
    // What http servers have, they don't list.
    if scheme.starts_with("http") {
        return None;
    }
    let path = text.len() - rest.len() + rest.find('/')?;
    text[path..].find(['*', '?', '[']).map(|at| path + at)
}

pub(crate) async fn open(text: &str, state: &SessionState) -> Result<Arc<dyn TableProvider>> {
    let failure = |error: EngineError| DataFusionError::External(Box::new(error));
    // Before anything could repeat what the URL should not hold.
    check_url(text).map_err(into_datafusion)?;
    let url = parse(text).map_err(|error| {
        failure(EngineError::FileName { path: text.to_owned(), reason: error.to_string() })
    })?;
    if url.scheme() == "file"
        && url.get_glob().is_none()
        && !Path::new(text.trim_start_matches("file://")).exists()
    {
        return Err(failure(EngineError::FileMissing { path: text.to_owned() }));
    }
    let store = state.runtime_env().object_store(&url)?;
    settle(state.runtime_env(), &url).await?;
    let mut files = url.list_all_files(state, store.as_ref(), "").await?;
    let mut seen = None;
    let found = loop {
        let Some(file) = files.try_next().await? else {
            break None;
        };
        let name = file.location.filename().unwrap_or_default().to_owned();
        // Markers and checksums that writers leave beside the data (_SUCCESS, .part.crc) are not data.
        if name.starts_with(['_', '.']) {
            continue;
        }
        match ending(&name) {
            Some(ending) => break Some(ending),
            None => seen = Some(name),
        }
    };
    drop(files);
    let Some(found) = found else {
        let path = text.to_owned();
        return Err(failure(match seen {
            None => EngineError::NoFiles { path },
            Some(file) => EngineError::UnknownFormat { path, file },
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
    let mut listing =
        ListingOptions::new(factory.create(state, &options)?).with_file_extension(&found.extension);
    if !url.is_collection() {
        // A single file is read whatever the case of its ending.
        listing = listing.with_file_extension("");
    }
    let places = [url.clone()];
    let config = ListingTableConfig::new(url).with_listing_options(listing);
    let mut config = config.infer_partitions_from_path(state).await?;
    if let (true, Some(listing)) = (says_columns(found.format), &config.options) {
        let found = columns(state, listing, &places).await?;
        config = config.with_schema(found);
    }
    let config = config.infer_schema(state).await?;
    Ok(Arc::new(ListingTable::try_new(config)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_are_found_in_urls() {
        let url = parse("s3://bucket/a b/c=1/*.parquet").unwrap();
        assert_eq!((url.prefix().as_ref(), url.is_collection()), ("a b/c=1", true));
        assert_eq!(url.get_glob().as_ref().map(|glob| glob.as_str()), Some("*.parquet"));
        let url = parse("s3://bucket/*/part-?.csv").unwrap();
        assert_eq!(url.get_glob().as_ref().map(|glob| glob.as_str()), Some("*/part-?.csv"));
        for plain in ["s3://bucket/a/b.parquet", "s3://bucket", "http://[::1]:80/a[1].csv", "/tmp/*.csv"] {
            assert_eq!(glob_in_url(plain), None, "{plain}");
        }
    }

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
