//! What the engine refuses, and how any failure of ours is found inside DataFusion's errors.

use std::ops::Deref;

use datafusion::arrow::datatypes::DataType;
use datafusion::error::DataFusionError;
use nightjar_catalog::{CatalogError, ObjectStoreError};
use nightjar_functions::{
    CarriedFailure, FunctionError, find_failure, instead, plain_words, readable, told_failure,
};
use nightjar_models::{Failure, ModelError};
use nightjar_statements::{StatementError, quote_identifier};

/// The result of this crate's operations.
pub type Result<T, E = EngineError> = std::result::Result<T, E>;

/// Why a session can't do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A path in FROM leads nowhere.
    #[error("no file or folder '{path}'")]
    FileMissing {
        /// The path as written.
        path: String,
    },
    /// A folder or glob holds no files.
    #[error("no files in '{path}'")]
    NoFiles {
        /// The path as written.
        path: String,
    },
    /// A file's ending names no format that we read.
    #[error("can't tell the format of '{file}' in '{path}'")]
    UnknownFormat {
        /// The path as written.
        path: String,
        /// The file found there.
        file: String,
    },
    /// A path that is no path.
    #[error("'{path}' is no path or URL: {}", plain_words(reason))]
    FileName {
        /// The path as written.
        path: String,
        /// Why not.
        reason: String,
    },
    /// A LOCATION with a glob, which DataFusion reads in paths only.
    #[error("the location '{location}' is a glob")]
    LocationGlob {
        /// The location as written.
        location: String,
    },
    /// A stored table or view can't be built.
    #[error("{kind} '{name}' is in the catalog but can't be read: {}", told(.source))]
    TableBroken {
        /// The table's name.
        name: String,
        /// 'table' or 'view'.
        kind: String,
        /// Why.
        #[source]
        source: Box<DataFusionError>,
    },
    /// A view that would select from itself.
    #[error("view '{name}' would select from itself: {path}")]
    ViewCycle {
        /// The view's name.
        name: String,
        /// The chain of views that leads back.
        path: String,
    },
    /// A place that a statement is to write to can't be written.
    #[error("can't write to '{to}': {}", plain_words(reason))]
    Unwritable {
        /// The place.
        to: String,
        /// Why not.
        reason: String,
    },
    /// A statement has happened, and its files could not all be brought to where they belong.
    #[error("what was written to '{to}' is not yet all in place: {}", plain_words(reason))]
    Unfinished {
        /// The place.
        to: String,
        /// Why not.
        reason: String,
    },
    /// INSERT OVERWRITE of a table that can't be replaced.
    #[error("can't overwrite the table {table}: {}", plain_words(reason))]
    NotOverwritable {
        /// The table.
        table: String,
        /// Why not.
        reason: String,
    },
    /// A file that does not say what its columns are.
    #[error("can't tell the columns of '{file}': {}", message(.source))]
    FileColumns {
        /// The file.
        file: String,
        /// Why not.
        #[source]
        source: Box<DataFusionError>,
    },
    /// A column of a table of files whose types in two of them don't go together.
    #[error("the column '{column}' is {found} in '{file}' and {other_found} in '{other}'")]
    ColumnTypes {
        /// The column.
        column: String,
        /// A file.
        file: String,
        /// The column's type there.
        found: DataType,
        /// Another file.
        other: String,
        /// The column's type there.
        other_found: DataType,
    },
    /// A column of a file that can't be read as what the table has.
    #[error("the column '{column}' is {found} in '{file}' and {wanted} in the table")]
    ColumnUnlike {
        /// The column.
        column: String,
        /// The file.
        file: String,
        /// Its type in the file.
        found: DataType,
        /// Its type in the table.
        wanted: DataType,
    },
    /// A file without a column that is never NULL in the table.
    #[error("'{file}' has no column '{column}', which is NOT NULL in the table")]
    ColumnMissing {
        /// The column.
        column: String,
        /// The file.
        file: String,
    },
    /// An option of the format for files in Arrow's format, which has none.
    #[error("files in Arrow's format have no option '{option}'")]
    ArrowOption {
        /// The option.
        option: String,
    },
    /// Rows without a value in a column that names the folders that they are written to.
    #[error("the partition column '{column}' has NULLs, and no folder is named by them")]
    UnnamedPartition {
        /// The column.
        column: String,
    },
    /// A materialized view whose query has two columns of one name.
    #[error("the materialized view '{name}' would have two columns called '{column}'")]
    ViewColumnTwice {
        /// The view.
        name: String,
        /// The column.
        column: String,
    },
    /// A session that can't read what the rows of materialized views are kept in.
    #[error("this session has no Parquet format, in which materialized views are kept")]
    ViewFormat,
    /// EXECUTE with other than the parameters of the prepared statement.
    #[error("the prepared statement {name} takes {expected} parameters, and EXECUTE gives {found}")]
    Parameters {
        /// The prepared statement.
        name: String,
        /// How many it has.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A TABLESAMPLE clause that can't be followed.
    #[error("can't follow {clause}: {reason}")]
    Sample {
        /// The clause.
        clause: String,
        /// Why not.
        reason: String,
    },
    /// A write to the schema of system tables.
    #[error("the schema '{schema}' holds system tables and is read-only")]
    SystemSchema {
        /// The schema.
        schema: String,
    },
    /// A catalog that somebody wants to make or to drop.
    #[error("there is one catalog, {}, and no other can be made", crate::registration::CATALOG)]
    OneCatalog,
    /// A statement of ours failed.
    #[error(transparent)]
    Statement(StatementError),
    /// The store failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// DataFusion failed, or carried a failure of ours.
    #[error("{}", message(.0))]
    DataFusion(#[source] Box<DataFusionError>),
}

impl From<StatementError> for EngineError {
    fn from(error: StatementError) -> Self {
        match error {
            // The same failure as that of a query, with the same search for ours inside.
            StatementError::DataFusion(error) => Self::DataFusion(error),
            other => Self::Statement(other),
        }
    }
}

impl From<DataFusionError> for EngineError {
    fn from(error: DataFusionError) -> Self {
        Self::DataFusion(Box::new(error))
    }
}

impl EngineError {
    /// Returns the failure to tell a file's columns. What is ours, or a store's, tells where already.
    pub(crate) fn of_columns(file: &str, error: DataFusionError) -> DataFusionError {
        if inner(&error).is_some() || is_gone(&error) {
            return error;
        }
        Self::FileColumns { file: file.to_owned(), source: Box::new(error) }.into_datafusion()
    }

    /// Returns the error as DataFusion carries it.
    pub(crate) fn into_datafusion(self) -> DataFusionError {
        DataFusionError::External(Box::new(self))
    }
}

/// Returns the failure of ours inside a DataFusion error, if there's one.
fn inner(error: &DataFusionError) -> Option<Found<'_>> {
    whole(error).map(Found::Whole).or_else(|| told_failure(error).map(Found::Told))
}

/// A failure of ours inside another error.
enum Found<'a> {
    Whole(&'a dyn Failure),
    /// Of an object store, found by its words.
    Told(ObjectStoreError),
}

impl<'a> Deref for Found<'a> {
    type Target = dyn Failure + 'a;

    fn deref(&self) -> &(dyn Failure + 'a) {
        match self {
            Self::Whole(failure) => *failure,
            Self::Told(failure) => failure,
        }
    }
}

fn whole(error: &DataFusionError) -> Option<&dyn Failure> {
    let engine = find_failure::<EngineError>(error).map(|found| found as &dyn Failure);
    engine
        .or_else(|| find_failure::<StatementError>(error).map(|found| found as &dyn Failure))
        .or_else(|| find_failure::<FunctionError>(error).map(|found| found as &dyn Failure))
        .or_else(|| find_failure::<CatalogError>(error).map(|found| found as &dyn Failure))
        .or_else(|| find_failure::<CarriedFailure>(error).map(|found| found as &dyn Failure))
        .or_else(|| find_failure::<ModelError>(error).map(|found| found as &dyn Failure))
}

/// Returns what a person should read: our own message where one is inside, else DataFusion's, readable.
fn message(error: &DataFusionError) -> String {
    inner(error).map_or_else(|| readable(error), |failure| failure.to_string())
}

/// Returns why a table or view is broken: as [`message`] does.
fn told(error: &DataFusionError) -> String {
    message(error)
}

/// Returns what a person should read of an error, and what to type next.
pub fn in_words(error: &DataFusionError) -> (String, Option<String>) {
    (message(error), hint(error))
}

/// Whether the same may end well another time: the disk was full, a store did not answer.
pub fn may_pass(error: &DataFusionError) -> bool {
    inner(error)
        .map_or(matches!(error.find_root(), DataFusionError::IoError(_)), |failure| failure.retryable())
}

fn hint(error: &DataFusionError) -> Option<String> {
    match inner(error) {
        Some(failure) => failure.hint(),
        None if is_unknown_table(&message(error)) => Some(unknown_table_hint(&message(error))),
        None if instead(error).is_some() => instead(error),
        None if is_gone(error) => Some(
            "it was there when the query was planned, and another statement may have replaced it since: run the query again"
                .to_owned(),
        ),
        None => None,
    }
}

/// Whether a file was not there when it was read.
fn is_gone(error: &DataFusionError) -> bool {
    matches!(find_failure::<object_store::Error>(error), Some(object_store::Error::NotFound { .. }))
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

impl Failure for EngineError {
    fn code(&self) -> &'static str {
        match self {
            Self::FileMissing { .. } => "engine.file_missing",
            Self::NoFiles { .. } => "engine.no_files",
            Self::UnknownFormat { .. } => "engine.unknown_format",
            Self::FileName { .. } => "engine.file_name",
            Self::LocationGlob { .. } => "engine.location_glob",
            Self::TableBroken { .. } => "engine.table_broken",
            Self::ViewCycle { .. } => "engine.view_cycle",
            Self::Unwritable { .. } => "engine.unwritable",
            Self::Unfinished { .. } => "engine.unfinished",
            Self::NotOverwritable { .. } => "engine.not_overwritable",
            Self::FileColumns { .. } => "engine.file_columns",
            Self::ColumnTypes { .. } => "engine.column_types",
            Self::ColumnUnlike { .. } => "engine.column_unlike",
            Self::ColumnMissing { .. } => "engine.column_missing",
            Self::ArrowOption { .. } => "engine.arrow_option",
            Self::UnnamedPartition { .. } => "engine.unnamed_partition",
            Self::ViewColumnTwice { .. } => "engine.view_column_twice",
            Self::ViewFormat => "engine.view_format",
            Self::Parameters { .. } => "engine.parameters",
            Self::Sample { .. } => "engine.sample",
            Self::SystemSchema { .. } => "engine.system_schema",
            Self::OneCatalog => "engine.one_catalog",
            Self::Statement(error) => error.code(),
            Self::Catalog(error) => error.code(),
            Self::DataFusion(error) => inner(error).map_or("datafusion", |failure| failure.code()),
        }
    }

    fn retryable(&self) -> bool {
        match self {
            Self::Statement(error) => error.retryable(),
            Self::Catalog(error) => error.retryable(),
            Self::DataFusion(error) | Self::FileColumns { source: error, .. } => may_pass(error),
            _ => false,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::FileMissing { path } if path.starts_with('~') => {
                Some("write the home folder out, SQL does not expand ~".to_owned())
            }
            Self::FileMissing { path } | Self::NoFiles { path } if path.contains("://") => {
                Some("check the bucket and the name".to_owned())
            }
            Self::FileMissing { .. } | Self::NoFiles { .. } => {
                Some("a relative path starts at the folder that nightjar was started in".to_owned())
            }
            Self::UnknownFormat { .. } => Some(
                "endings that are read: parquet, avro, arrow; csv, tsv, json, jsonl, ndjson, these also with .gz, \
                 .bz2, .xz or .zst; otherwise: CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '…'"
                    .to_owned(),
            ),
            Self::TableBroken { name, kind, source } => Some(match inner(source).and_then(|failure| failure.hint()) {
                Some(hint) => hint,
                None if kind == "materialized view" => format!(
                    "restore what its query reads, or make it anew: CREATE OR REPLACE MATERIALIZED VIEW {} AS …",
                    quote_identifier(name)
                ),
                None if kind == "view" => {
                    let name = quote_identifier(name);
                    format!("make it anew (CREATE OR REPLACE VIEW {name} AS …) or DROP VIEW {name}")
                }
                None => format!("restore its files, or DROP TABLE {}", quote_identifier(name)),
            }),
            Self::Unwritable { .. } => {
                Some("nothing of it is there: name another place, or mend this one and run the statement again".to_owned())
            }
            Self::Unfinished { .. } => {
                Some("the statement has happened, don't run it again: mend the place, and whoever reads or writes there next finishes it".to_owned())
            }
            Self::NotOverwritable { .. } => Some(
                "what can be replaced is a table of Parquet, CSV, JSON or Arrow files whose LOCATION is one folder, which ends with '/', or one file"
                    .to_owned(),
            ),
            Self::UnnamedPartition { column } => {
                let column = quote_identifier(column);
                Some(format!("give them a value, COALESCE({column}, 'none'), or leave them out, WHERE {column} IS NOT NULL"))
            }
            Self::ColumnTypes { column, .. } => Some(format!(
                "declare what it is to be, CREATE EXTERNAL TABLE t ({column} VARCHAR, …) STORED AS …, or write the files alike, CAST({column} AS …)"
            )),
            Self::ColumnUnlike { column, .. } => {
                Some(format!("declare it as the files have it, or write them with CAST({column} AS …)"))
            }
            Self::ColumnMissing { column, .. } => {
                Some(format!("declare {} without NOT NULL", quote_identifier(column)))
            }
            Self::ArrowOption { .. } => Some(
                "leave it out: batches are compressed by LZ4 as it is; other compressions are for STORED AS PARQUET, CSV and JSON"
                    .to_owned(),
            ),
            Self::LocationGlob { location } => Some(format!(
                "name the folder, which ends with '/', or make a view: CREATE VIEW t AS SELECT * FROM '{location}'"
            )),
            Self::Statement(error) => error.hint(),
            Self::Catalog(error) => error.hint(),
            Self::DataFusion(error) | Self::FileColumns { source: error, .. } => hint(error),
            Self::Parameters { name, expected, .. } => {
                let values: Vec<_> = (1..=*expected).map(|number| format!("value{number}")).collect();
                Some(match values.is_empty() {
                    true => format!("EXECUTE {}", quote_identifier(name)),
                    false => format!("EXECUTE {}({})", quote_identifier(name), values.join(", ")),
                })
            }
            Self::Sample { .. } => Some(
                "write TABLESAMPLE (5 PERCENT) or TABLESAMPLE (100 ROWS); REPEATABLE (42) after it gives the same rows each time"
                    .to_owned(),
            ),
            Self::ViewColumnTwice { column, .. } => {
                Some(format!("name one of them otherwise: {} AS other", quote_identifier(column)))
            }
            Self::OneCatalog => Some("tables are grouped by schemas: CREATE SCHEMA name".to_owned()),
            Self::SystemSchema { .. } => Some("make it in another schema, such as public".to_owned()),
            Self::FileName { .. } | Self::ViewCycle { .. } | Self::ViewFormat => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::parquet::errors::ParquetError;

    use super::*;

    #[test]
    fn a_file_that_went_while_it_was_read_has_a_hint() {
        let gone = || object_store::Error::NotFound { path: "t/a.parquet".to_owned(), source: "no".into() };
        let of_parquet = ParquetError::External(Box::new(gone()));
        for error in [DataFusionError::from(gone()), DataFusionError::ParquetError(Box::new(of_parquet))] {
            assert!(hint(&error).unwrap().ends_with("run the query again"), "{error}");
        }
        let other = object_store::Error::NotImplemented { operation: "x".into(), implementer: "y".into() };
        assert_eq!(hint(&DataFusionError::from(other)), None);
    }
}
