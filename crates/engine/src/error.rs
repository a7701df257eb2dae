//! What the engine refuses, and how any failure of ours is found inside DataFusion's errors.

mod failure;

use std::ops::Deref;

use datafusion::arrow::datatypes::DataType;
use datafusion::error::DataFusionError;
use nightjar_catalog::{CatalogError, ObjectStoreError};
use nightjar_errors::Failure;
use nightjar_functions::{
    CarriedFailure, FunctionError, find_failure, instead, plain_words, readable, told_failure,
};
use nightjar_models::ModelError;
use nightjar_statements::StatementError;

/// The result of this crate's operations.
pub type Result<T, E = EngineError> = std::result::Result<T, E>;

/// Why a session can't do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A time zone that is unknown, or that not all rules at hand have.
    #[error(transparent)]
    Zone(#[from] nightjar_zones::ZoneError),
    /// What can't be done in a zone whose rules differ between the two releases at hand.
    #[error(
        "{what} in time zone '{zone}' is not supported: its rules differ between release {decides}, which decides, and {}, which this would use",
        nightjar_zones::ARROW_RELEASE
    )]
    ZoneRules {
        /// What was asked for.
        what: String,
        /// The zone.
        zone: String,
        /// The rules that decide.
        decides: String,
    },
    /// A time that is no moment in a zone.
    #[error("can't convert a time in time zone '{zone}': {reason}")]
    ZonedTime {
        /// The zone.
        zone: String,
        /// Which time, and why.
        reason: String,
    },
    /// An executor with other rules than its coordinator.
    #[error(
        "the statement was planned with release {planned_by} of the time zones, and this executor has {here}"
    )]
    OtherZoneRules {
        /// The coordinator's release.
        planned_by: String,
        /// The executor's rules.
        here: String,
    },
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
    /// A column that a table is declared with, and that none of its files has.
    #[error("no file of the table has the column '{column}': '{file}' has {}", columns.join(", "))]
    ColumnInNoFile {
        /// The column.
        column: String,
        /// One of the files.
        file: String,
        /// The columns that it has.
        columns: Vec<String>,
    },
    /// Files that a query reads were replaced while it ran.
    #[error("the files of '{table}' were replaced while it was read: '{file}' is gone")]
    FilesReplaced {
        /// The table, or the path as written.
        table: String,
        /// A file that it had when the query was planned.
        file: String,
    },
    /// Another process took the turn of a statement over that was to replace files of a bucket, and had not been heard of for too long.
    #[error("can't replace the files in '{to}': another process took over meanwhile")]
    TurnLost {
        /// The folder.
        to: String,
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
    /// A column of a Parquet file of a type that Arrow doesn't have.
    #[error("can't read the column '{column}' of the Parquet file '{file}': {reason}")]
    ParquetColumn {
        /// The column.
        column: String,
        /// The file.
        file: String,
        /// Why not.
        reason: String,
    },
    /// A timestamp before 1900 of the calendar that Spark 2 had, in a zone whose offset then isn't agreed on.
    #[error(
        "the column '{column}' of '{file}' has a timestamp before 1900 in Spark's legacy calendar, which depends on the writer's time zone"
    )]
    LegacyCalendar {
        /// The column.
        column: String,
        /// The file.
        file: String,
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
    /// A line of a CSV or JSON file that is no record.
    #[error("line {line} of '{file}': {reason}")]
    TextLine {
        /// The file.
        file: String,
        /// The line that the record begins in, from 1.
        line: u64,
        /// Why not.
        reason: String,
    },
    /// A value of a CSV or JSON file that its column's type would change or doesn't hold.
    #[error("line {line} of '{file}': the column '{column}' is {wanted}, which does not hold '{value}'")]
    TextValue {
        /// The file.
        file: String,
        /// The line that the record begins in, from 1.
        line: u64,
        /// The column.
        column: String,
        /// The value as it is written.
        value: String,
        /// The column's type.
        wanted: DataType,
    },
    /// A header that lacks a column that is declared.
    #[error("'{file}' has no column '{column}': its header is {}", header.join(", "))]
    TextHeader {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// The columns that the file has.
        header: Vec<String>,
    },
    /// A key of JSON objects with a value in one of them and a list or an object in another.
    #[error(
        "the column '{column}' is {found} in line {line} of '{file}' and {other_found} in line {other_line} of '{other}'"
    )]
    TextShapes {
        /// The keys that lead there.
        column: String,
        /// What was found first.
        found: &'static str,
        /// The file.
        file: String,
        /// The line.
        line: u64,
        /// What was found then.
        other_found: &'static str,
        /// The file.
        other: String,
        /// The line.
        other_line: u64,
    },
    /// A text in a partition column that no folder's name can stand for.
    #[error("the partition column '{column}' has the text '{value}', which a folder can't be named by")]
    UnnamedPartition {
        /// The column.
        column: String,
        /// The text: the empty one, or that which means NULL.
        value: String,
    },
    /// A partition column whose values are no names of folders.
    #[error("the partition column '{column}' is {found}, whose values can't name folders")]
    PartitionType {
        /// The column.
        column: String,
        /// Its type.
        found: DataType,
    },
    /// A folder whose value is none of its partition column's type.
    #[error(
        "the folder '{folder}' has the value '{value}' for the partition column '{column}', which is no {wanted}"
    )]
    PartitionValue {
        /// The folder's name.
        folder: String,
        /// The column.
        column: String,
        /// The value.
        value: String,
        /// The column's type.
        wanted: DataType,
    },
    /// A folder for NULL of a partition column that is declared NOT NULL.
    #[error(
        "the folder '{folder}' has NULL for the partition column '{column}', which is NOT NULL in the table"
    )]
    PartitionNull {
        /// The folder's name.
        folder: String,
        /// The column.
        column: String,
    },
    /// Two files whose folders name different partition columns.
    #[error("the folders of '{file}' name the columns ({}), those of '{other}' ({})", .columns.join(", "), .other_columns.join(", "))]
    PartitionFolders {
        /// A file.
        file: String,
        /// The columns that its folders name.
        columns: Vec<String>,
        /// Another file.
        other: String,
        /// The columns that its folders name.
        other_columns: Vec<String>,
    },
    /// Partition columns that are declared, where the folders name others.
    #[error("the folders in '{location}' name the columns ({}), the table is PARTITIONED BY ({})", .found.join(", "), .declared.join(", "))]
    PartitionNames {
        /// The location.
        location: String,
        /// The columns as declared.
        declared: Vec<String>,
        /// The columns that a file's folders name.
        found: Vec<String>,
    },
    /// A folder that is a table of a format that isn't supported.
    #[error(
        "'{folder}' is the folder of a table in the format {format} (it has '{marker}'), which Nightjar can't read or write yet"
    )]
    ForeignTable {
        /// The table's folder.
        folder: String,
        /// The format.
        format: &'static str,
        /// What makes it one.
        marker: &'static str,
    },
    /// Rows without a value in a column that is never NULL.
    #[error("column '{column}' of '{table}' is NOT NULL, and a row to write has no value for it")]
    NullInNotNullColumn {
        /// The table, or the place that is written to.
        table: String,
        /// The column, or the path of a field below one.
        column: String,
    },
    /// A file whose name says something else than what is to be written to it.
    #[error("'{to}' would hold {written}, which its ending '{says}' contradicts")]
    MisnamedFile {
        /// The file.
        to: String,
        /// Its ending.
        says: String,
        /// What would be written.
        written: String,
        /// A name for it.
        better: String,
    },
    /// A COPY that says nowhere which format it writes.
    #[error("unknown format of '{to}'")]
    UntoldFormat {
        /// The place to write to.
        to: String,
    },
    /// A format that does not exist.
    #[error("unknown format '{format}': expected PARQUET, CSV, JSON or ARROW")]
    UnknownStoredAs {
        /// The format as written.
        format: String,
    },
    /// A column of a type that a format can't hold.
    #[error("column '{column}' is {kind}, which {format} has no form for")]
    UnwritableType {
        /// The column, or the path of a field below one.
        column: String,
        /// Its type.
        kind: DataType,
        /// The format.
        format: &'static str,
        /// What to write in its place.
        instead: String,
    },
    /// A number that JSON can't hold.
    #[error("column '{column}' has NaN or infinity, which JSON has no number for")]
    NotFinite {
        /// The column.
        column: String,
        /// Whether the number is inside a list or struct.
        nested: bool,
    },
    /// A NULL text in a CSV file of one column: its line would be that of an empty text, or no line.
    #[error("column '{column}' is the only one and has NULLs, which CSV can't tell from empty texts there")]
    LoneNull {
        /// The column.
        column: String,
    },
    /// Options of Parquet's encryption.
    #[error("files are written and read without encryption: '{option}' can't be followed")]
    Encryption {
        /// The option.
        option: String,
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

    /// Returns the failure of what can't be done by the rules of a zone.
    pub(crate) fn zone_rules(what: impl Into<String>, zone: &str) -> Self {
        let decides = nightjar_zones::rules().to_string();
        Self::ZoneRules { what: what.into(), zone: zone.to_owned(), decides }
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
