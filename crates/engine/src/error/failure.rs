//! The code of each failure of the engine, whether another attempt may end well, and what to type next.

use datafusion::arrow::datatypes::DataType;
use nightjar_errors::Failure;
use nightjar_statements::quote_identifier;

use super::{EngineError, hint, inner, may_pass};

impl Failure for EngineError {
    fn code(&self) -> &'static str {
        match self {
            Self::Zone(_) => "engine.time_zone",
            Self::ZoneRules { .. } => "engine.time_zone_rules",
            Self::ZonedTime { .. } => "engine.zoned_time",
            Self::OtherZoneRules { .. } => "engine.other_time_zone_rules",
            Self::FileMissing { .. } => "engine.file_missing",
            Self::NoFiles { .. } => "engine.no_files",
            Self::UnknownFormat { .. } => "engine.unknown_format",
            Self::FileName { .. } => "engine.file_name",
            Self::LocationGlob { .. } => "engine.location_glob",
            Self::TableBroken { .. } => "engine.table_broken",
            Self::ViewCycle { .. } => "engine.view_cycle",
            Self::Unwritable { .. } => "engine.unwritable",
            Self::ColumnInNoFile { .. } => "engine.column_in_no_file",
            Self::FilesReplaced { .. } => "engine.files_replaced",
            Self::TurnLost { .. } => "engine.turn_lost",
            Self::Unfinished { .. } => "engine.unfinished",
            Self::NotOverwritable { .. } => "engine.not_overwritable",
            Self::FileColumns { .. } => "engine.file_columns",
            Self::ParquetColumn { .. } => "engine.parquet_column",
            Self::LegacyCalendar { .. } => "engine.legacy_calendar",
            Self::ColumnTypes { .. } => "engine.column_types",
            Self::ColumnUnlike { .. } => "engine.column_unlike",
            Self::ColumnMissing { .. } => "engine.column_missing",
            Self::ArrowOption { .. } => "engine.arrow_option",
            Self::TextLine { .. } => "engine.text_line",
            Self::TextValue { .. } => "engine.text_value",
            Self::TextHeader { .. } => "engine.text_header",
            Self::TextShapes { .. } => "engine.text_shapes",
            Self::UnnamedPartition { .. } => "engine.unnamed_partition",
            Self::PartitionType { .. } => "engine.partition_type",
            Self::PartitionValue { .. } => "engine.partition_value",
            Self::PartitionNull { .. } => "engine.partition_null",
            Self::PartitionFolders { .. } => "engine.partition_folders",
            Self::PartitionNames { .. } => "engine.partition_names",
            Self::ForeignTable { .. } => "engine.foreign_table",
            Self::NullInNotNullColumn { .. } => "engine.null_in_not_null_column",
            Self::MisnamedFile { .. } => "engine.misnamed_file",
            Self::UntoldFormat { .. } => "engine.untold_format",
            Self::UnknownStoredAs { .. } => "engine.unknown_stored_as",
            Self::UnwritableType { .. } => "engine.unwritable_type",
            Self::NotFinite { .. } => "engine.not_finite",
            Self::LoneNull { .. } => "engine.lone_null",
            Self::Encryption { .. } => "engine.encryption",
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
            Self::TurnLost { .. } | Self::FilesReplaced { .. } => true,
            Self::DataFusion(error) | Self::FileColumns { source: error, .. } => may_pass(error),
            _ => false,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Zone(error) => Some(error.hint()),
            Self::ZoneRules { .. } => Some(
                "take the wall clock first, to_local_time(ts), or the instant in UTC, ts AT TIME ZONE 'UTC'".to_owned(),
            ),
            Self::ZonedTime { .. } => Some("give the time with its offset, such as '2026-11-01T01:30:00-07:00'".to_owned()),
            Self::OtherZoneRules { .. } => {
                Some("install the same release of nightjar and of tzdata on all machines".to_owned())
            }
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
            Self::ColumnInNoFile { column, .. } => Some(format!(
                "declare the columns by their names in the files; one that only files to come have is declared with a DEFAULT: {} … DEFAULT NULL",
                quote_identifier(column)
            )),
            Self::FilesReplaced { .. } => Some("run it again".to_owned()),
            Self::TurnLost { .. } => Some("nothing of it is there: run it again".to_owned()),
            Self::Unfinished { .. } => {
                Some("the statement has happened, don't run it again: mend the place, and whoever reads or writes there next finishes it".to_owned())
            }
            Self::NotOverwritable { .. } => Some(
                "what can be replaced is a table of Parquet, CSV, JSON or Arrow files whose LOCATION is one folder, which ends with '/', or one file"
                    .to_owned(),
            ),
            Self::UnnamedPartition { column, value } => Some(format!(
                "write NULL in its place, NULLIF({}, '{value}'), or leave these rows out, WHERE {} <> '{value}'",
                quote_identifier(column),
                quote_identifier(column)
            )),
            Self::NullInNotNullColumn { column, .. } => Some(format!(
                "give every row a value, COALESCE({column}, …), leave those without one out, WHERE {column} IS NOT NULL, or declare {column} with a DEFAULT or without NOT NULL"
            )),
            Self::MisnamedFile { better, .. } => {
                Some(format!("name it '{better}', or leave out what contradicts the name in STORED AS and OPTIONS"))
            }
            Self::UntoldFormat { to } => Some(format!(
                "say it, COPY … TO '{to}' STORED AS PARQUET, or by an ending: parquet, arrow; csv, tsv, json, jsonl, ndjson, these also with .gz, .bz2, .xz or .zst"
            )),
            Self::UnknownStoredAs { .. } => Some("STORED AS PARQUET".to_owned()),
            Self::UnwritableType { instead, .. } => Some(instead.clone()),
            Self::NotFinite { nested: true, .. } => {
                Some("STORED AS PARQUET keeps such numbers; in JSON leave those rows out".to_owned())
            }
            Self::NotFinite { column, nested: false } => Some(format!(
                "write it as text, CAST({column} AS VARCHAR), or as NULL, CASE WHEN abs({column}) < 'Infinity'::DOUBLE THEN {column} END; STORED AS PARQUET keeps such numbers"
            )),
            Self::LoneNull { column } => Some(format!(
                "leave them out, WHERE {column} IS NOT NULL, add a column, or STORED AS PARQUET or JSON"
            )),
            Self::Encryption { .. } => {
                Some("leave the option out, and encrypt the disk or the bucket".to_owned())
            }
            Self::PartitionType { column, .. } => {
                Some(format!("name the folders by a text, CAST({} AS VARCHAR)", quote_identifier(column)))
            }
            Self::ParquetColumn { .. } => {
                Some("write the file without that column, or with it cast to another type".to_owned())
            }
            Self::LegacyCalendar { .. } => Some(
                "write the file anew with Spark 3 or later, spark.sql.parquet.datetimeRebaseModeInWrite = 'CORRECTED' and spark.sql.parquet.int96RebaseModeInWrite = 'CORRECTED', or leave the column out"
                    .to_owned(),
            ),
            Self::ColumnTypes { column, found, other_found, .. } => Some(match (quote_identifier(column), common_ground([found, other_found])) {
                (column, Some(ground)) => format!(
                    "declare it as {ground}, which loses nothing: CREATE EXTERNAL TABLE t ({column} {ground}, …) STORED AS …, or write the files alike, CAST({column} AS …)"
                ),
                (column, None) => format!("write the files alike: CAST({column} AS …)"),
            }),
            Self::ColumnUnlike { column, .. } => {
                Some(format!("declare it as the files have it, or write them with CAST({column} AS …)"))
            }
            Self::PartitionValue { column, folder, .. } => Some(format!(
                "declare {name} as VARCHAR and convert it in the query, TRY_CAST({name} AS …), or move '{folder}' out of the table's folder",
                name = quote_identifier(column)
            )),
            Self::PartitionNull { column, .. } => Some(format!("declare {column} without NOT NULL")),
            Self::PartitionFolders { .. } => Some(
                "declare the columns of the folders that you want, CREATE EXTERNAL TABLE t (…) STORED AS … PARTITIONED BY (…), or name one of the folders"
                    .to_owned(),
            ),
            Self::PartitionNames { found, .. } => Some(match found.as_slice() {
                [] => "leave PARTITIONED BY out: the files lie in no such folders".to_owned(),
                found => format!(
                    "PARTITIONED BY ({})",
                    found.iter().map(|name| quote_identifier(name)).collect::<Vec<_>>().join(", ")
                ),
            }),
            Self::ForeignTable { .. } => Some(
                "write its rows to plain Parquet files in another folder with the tool that it is from, and name that folder".to_owned(),
            ),
            Self::ColumnMissing { column, .. } => Some(format!("declare {} without NOT NULL", quote_identifier(column))),
            Self::TextLine { .. } => Some(
                "mend the line; CSV with rows that lack values at their ends: OPTIONS ('format.truncated_rows' 'true'), with \
                 another delimiter: OPTIONS ('format.delimiter' ';'), without quotes: OPTIONS ('format.quote' '|')"
                    .to_owned(),
            ),
            Self::TextValue { column, .. } => Some(format!(
                "declare it as text, CREATE EXTERNAL TABLE t (\"{column}\" VARCHAR, …) STORED AS …, or have more rows looked at, \
                 OPTIONS ('format.schema_infer_max_rec' '10000000')"
            )),
            Self::TextHeader { .. } => Some(
                "declare the columns by the names in the header, in any order; for files without one: OPTIONS ('format.has_header' \
                 'false'), which reads columns by their places"
                    .to_owned(),
            ),
            Self::TextShapes { .. } => {
                Some("write it alike in all objects, a value as a list of one: [\"x\"]".to_owned())
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
            Self::FileName { .. } | Self::SystemSchema { .. } | Self::ViewCycle { .. } | Self::ViewFormat => None,
        }
    }
}

/// Returns the type that values of both types can be declared as without a loss, though it isn't the type of either.
fn common_ground(types: [&DataType; 2]) -> Option<&'static str> {
    let is_binary =
        |data_type: &DataType| data_type.is_binary() || matches!(data_type, DataType::FixedSizeBinary(_));
    if types.iter().any(|data_type| data_type.is_nested()) {
        return None;
    }
    if !types.iter().any(|data_type| is_binary(data_type)) {
        return Some("VARCHAR");
    }
    types.iter().all(|data_type| is_binary(data_type) || data_type.is_string()).then_some("BYTEA")
}
