//! The one place where our errors become DataFusion's, and are found again inside them.

use std::io;

use datafusion::error::DataFusionError;
use nightjar_catalog::{CatalogError, ObjectStoreError, object_store_failure};
use nightjar_errors::{Failure, plain_words};
use nightjar_models::ModelError;

use crate::FunctionError;
use crate::translation::translate;

/// Returns `error` as DataFusion carries it.
///
/// A failure that a retry can help becomes an `IoError`, because Ballista retries only those; any other
/// travels whole as `External`, so that its code and hint can be shown at the end.
pub fn into_datafusion<E>(error: E) -> DataFusionError
where
    E: Failure + Send + Sync + 'static,
{
    if error.retryable() {
        DataFusionError::IoError(io::Error::other(error))
    } else {
        DataFusionError::External(Box::new(error))
    }
}

/// A failure of a crate above the engine, as it travels through DataFusion: its code and hint are found again at the end.
#[derive(Debug)]
pub struct CarriedFailure(pub Box<dyn Failure + Send + Sync>);

impl std::fmt::Display for CarriedFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for CarriedFailure {}

impl Failure for CarriedFailure {
    fn code(&self) -> &'static str {
        self.0.code()
    }

    fn retryable(&self) -> bool {
        self.0.retryable()
    }

    fn hint(&self) -> Option<String> {
        self.0.hint()
    }
}

/// The catalog and the schema that hold the user's tables: DataFusion's messages name them, and nobody typed them.
pub const CATALOG: &str = "nightjar_catalog";
/// See [`CATALOG`].
pub const SCHEMA: &str = "public";

/// Returns DataFusion's message without its prefixes, its backtrace and the names that nobody typed; the message of a
/// function, of the catalog or of a model where one of those is inside.
pub fn readable(error: &DataFusionError) -> String {
    let ours = find_failure::<FunctionError>(error).map(ToString::to_string);
    let ours = ours.or_else(|| find_failure::<CatalogError>(error).map(ToString::to_string));
    let ours = ours.or_else(|| find_failure::<ModelError>(error).map(ToString::to_string));
    if let Some(ours) = ours.or_else(|| told_failure(error).map(|told| told.to_string())) {
        return ours;
    }
    let message = error.find_root().strip_backtrace();
    let told = if unplanned_subquery(&message) {
        UNPLANNED_SUBQUERY.to_owned()
    } else if message.contains("does not support logical expression Wildcard") {
        "* stands where one column must".to_owned()
    } else {
        translate(error).map_or_else(|| plain_words(&message), |translation| translation.message)
    };
    told.replace(&format!("{CATALOG}.{SCHEMA}."), "").replace(&format!("{CATALOG}."), "")
}

const UNPLANNED_SUBQUERY: &str =
    "this subquery uses columns of the outer query in a way that can't be planned";

/// Whether a subquery was left over that DataFusion could not turn into a join.
fn unplanned_subquery(message: &str) -> bool {
    message.contains("OuterReferenceColumn")
        || (message.contains("Physical plan does not support logical expression")
            && ["Subquery", "Exists"].iter().any(|kind| message.contains(kind)))
}

/// Returns what to type instead of what DataFusion can't do, where that is known.
pub fn instead(error: &DataFusionError) -> Option<String> {
    let message = error.find_root().strip_backtrace();
    if unplanned_subquery(&message) {
        return Some(
            "write it as a join: SELECT a.id, max(b.id) FROM t a JOIN t b ON b.id <> a.id GROUP BY a.id; a call needs no LATERAL: SELECT classify(a.review) FROM t a"
                .to_owned(),
        );
    }
    if is_unknown_table(&message) {
        return Some(unknown_table_hint(&readable(error)));
    }
    translate(error)?.hint
}

fn is_unknown_table(message: &str) -> bool {
    let message = message.to_lowercase();
    message.contains("table '") && message.contains("not found")
}

fn unknown_table_hint(message: &str) -> String {
    let named = message.split('\'').nth(1).unwrap_or_default();
    match path_called(named) {
        Some(path) => {
            format!("'{path}' is a file or folder here, and only a name in quotes is read as one: '{path}'")
        }
        None => "SHOW TABLES lists the tables; a file is named in quotes: FROM 'reviews.parquet'".to_owned(),
    }
}

/// Returns what the working folder has under a name, which SQL may have put in small letters.
fn path_called(name: &str) -> Option<String> {
    let entries = std::fs::read_dir(".").ok()?.flatten();
    let mut found: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|entry| entry.to_lowercase() == name.to_lowercase())
        .collect();
    found.sort_by_key(|entry| entry != name);
    found.into_iter().next()
}

/// Returns the error of type `E` inside `error`, however deep DataFusion has wrapped it.
pub fn find_failure<E: std::error::Error + 'static>(error: &DataFusionError) -> Option<&E> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = source {
        if let Some(found) = current.downcast_ref::<E>() {
            return Some(found);
        }
        // io::Error hides its payload behind get_ref, and DataFusion's shared errors behind an Arc.
        if let Some(found) = current
            .downcast_ref::<io::Error>()
            .and_then(|io| io.get_ref())
            .and_then(|inner| inner.downcast_ref::<E>())
        {
            return Some(found);
        }
        source = current.source();
    }
    None
}

/// Returns the failure of an object store that `error` has in its words only: so pass readers of Parquet files some of them on.
pub fn told_failure(error: &DataFusionError) -> Option<ObjectStoreError> {
    object_store_failure(&error.to_string())
}

impl From<FunctionError> for DataFusionError {
    fn from(error: FunctionError) -> Self {
        into_datafusion(error)
    }
}
