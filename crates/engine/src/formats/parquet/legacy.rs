//! Which columns of a file are stored otherwise than they are read, as its footer says.

use datafusion::parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type};
use datafusion::parquet::file::metadata::{KeyValue, ParquetMetaData};
use datafusion::parquet::file::statistics::Statistics;
use datafusion::parquet::schema::types::ColumnDescriptor;

use super::calendar::{is_gregorian, is_of_known_offset};
use super::stored::Stored;

/// Returns how each column of a file is stored, None for those that are read as they are. Dates and timestamps whose
/// statistics say that they are new enough are the same in both calendars.
pub(super) fn stored_columns(metadata: &ParquetMetaData) -> Vec<Option<Stored>> {
    let writer = SparkWriter::of(metadata.file_metadata().key_value_metadata());
    let columns = metadata.file_metadata().schema_descr().columns().iter().enumerate();
    columns
        .map(|(at, column)| {
            if column.converted_type() == ConvertedType::INTERVAL {
                return Some(Stored::Interval);
            }
            let stored = writer.calendar_of(column)?;
            (!is_new(metadata, at, column)).then_some(stored)
        })
        .collect()
}

/// What a footer says of the Spark that wrote it.
struct SparkWriter {
    hybrid_dates: bool,
    hybrid_int96: bool,
    in_utc: bool,
}

impl SparkWriter {
    fn of(pairs: Option<&Vec<KeyValue>>) -> Self {
        let find = |key: &str| pairs.into_iter().flatten().find(|pair| pair.key == key);
        let value = |key: &str| find(key).and_then(|pair| pair.value.as_deref());
        let version = value("org.apache.spark.version").and_then(major_and_minor);
        let older = |than: (u32, u32)| version.is_some_and(|version| version < than);
        Self {
            hybrid_dates: find("org.apache.spark.legacyDateTime").is_some() || older((3, 0)),
            hybrid_int96: find("org.apache.spark.legacyINT96").is_some() || older((3, 1)),
            in_utc: value("org.apache.spark.timeZone")
                .is_some_and(|zone| ["UTC", "Etc/UTC", "GMT", "Z", "+00:00", "Etc/GMT"].contains(&zone)),
        }
    }

    fn calendar_of(&self, column: &ColumnDescriptor) -> Option<Stored> {
        let instant = if self.in_utc { Stored::HybridTimestamp } else { Stored::HybridTimestampOfZone };
        match column.physical_type() {
            Type::INT96 => self.hybrid_int96.then_some(instant),
            _ if !self.hybrid_dates => None,
            Type::INT32 => (column.converted_type() == ConvertedType::DATE
                || matches!(column.logical_type_ref(), Some(LogicalType::Date)))
            .then_some(Stored::HybridDate),
            Type::INT64 => per_second(column).map(|_| instant),
            _ => None,
        }
    }
}

fn major_and_minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(['.', '-']).map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

/// Returns how many units a second has of a column of instants.
fn per_second(column: &ColumnDescriptor) -> Option<i64> {
    match (column.logical_type_ref(), column.converted_type()) {
        // Those without a zone Spark never moved.
        (Some(LogicalType::Timestamp(time)), _) if !time.is_adjusted_to_u_t_c => None,
        (Some(LogicalType::Timestamp(time)), _) => Some(match time.unit {
            TimeUnit::MILLIS => 1_000,
            TimeUnit::MICROS => 1_000_000,
            TimeUnit::NANOS => 1_000_000_000,
        }),
        (_, ConvertedType::TIMESTAMP_MILLIS) => Some(1_000),
        (_, ConvertedType::TIMESTAMP_MICROS) => Some(1_000_000),
        _ => None,
    }
}

/// Whether the least value of a column is one that both calendars agree on.
fn is_new(metadata: &ParquetMetaData, at: usize, column: &ColumnDescriptor) -> bool {
    metadata.row_groups().iter().all(|group| {
        match group.columns().get(at).and_then(|chunk| chunk.statistics()) {
            Some(Statistics::Int32(values)) => {
                values.min_opt().is_some_and(|min| is_gregorian((*min).into()))
            }
            Some(Statistics::Int64(values)) => values
                .min_opt()
                .zip(per_second(column))
                .is_some_and(|(min, per_second)| is_of_known_offset(*min, per_second)),
            _ => false,
        }
    })
}
