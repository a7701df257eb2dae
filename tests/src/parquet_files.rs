//! Parquet files as other tools write them, column by column, because Arrow's own writer can't.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use datafusion::parquet::data_type::{
    ByteArrayType, DataType, FixedLenByteArrayType, Int32Type, Int64Type, Int96, Int96Type,
};
use datafusion::parquet::file::metadata::KeyValue;
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use datafusion::parquet::schema::parser::parse_message_type;

/// An Arrow schema of one column `k`, an integer of 128 bits, which Arrow doesn't have.
const SCHEMA_OF_NO_TYPE: &str = "/////3gAAAAQAAAAAAAKAAwABgAFAAgACgAAAAABBAAMAAAACAAIAAAABAAIAAAABAAAAAEAAAAUAAAAEAAUAAgABgAHAAwAAAAQABAAAAAAAAECEAAAABwAAAAEAAAAAAAAAAEAAABrAAAACAAMAAgABwAIAAAAAAAAAYAAAAA=";

/// 1000-01-01, as a day.
const YEAR_1000: i32 = -354_285;

/// The same date in the calendar that Spark 2 had, as a day.
const HYBRID_YEAR_1000: i32 = -354_280;

/// Writes them all into a folder.
pub(crate) fn write_parquet_files(folder: &Path) {
    let at = |name: &str| folder.join(name);
    let days = [-719_162, YEAR_1000, 0, 2_932_896];
    let instants = days.map(|day| int96(day, 3_600_000_001_000));
    write(
        &at("int96.parquet"),
        "message spark_schema { required int64 k; optional int96 t; }",
        &[],
        |group| {
            column::<Int64Type>(group, &[1, 2, 3, 4, 5], &[]);
            column::<Int96Type>(group, &instants, &[1, 1, 1, 1, 0]);
        },
    );
    for (name, zone) in [("spark_legacy.parquet", "UTC"), ("spark_legacy_paris.parquet", "Europe/Paris")] {
        let pairs = [
            ("org.apache.spark.version", "3.5.0"),
            ("org.apache.spark.legacyDateTime", ""),
            ("org.apache.spark.legacyINT96", ""),
            ("org.apache.spark.timeZone", zone),
        ];
        let schema = "message spark_schema { required int64 k; optional int32 d (DATE);
            optional int64 t (TIMESTAMP_MICROS); optional int96 i; optional group s { optional int32 d (DATE); } }";
        let micros = [i64::from(HYBRID_YEAR_1000) * 86_400_000_000 + 1, 0];
        write(&at(name), schema, &pairs, |group| {
            column::<Int64Type>(group, &[1, 2], &[]);
            column::<Int32Type>(group, &[HYBRID_YEAR_1000, 0], &[1, 1]);
            column::<Int64Type>(group, &micros, &[1, 1]);
            column::<Int96Type>(group, &[int96(HYBRID_YEAR_1000, 1_000), int96(0, 0)], &[1, 1]);
            column::<Int32Type>(group, &[HYBRID_YEAR_1000], &[2, 0]);
        });
    }
    let interval = |months: i32, days: i32, milliseconds: i32| {
        let parts = [months, days, milliseconds].into_iter().flat_map(i32::to_le_bytes);
        parts.collect::<Vec<u8>>().into()
    };
    write(
        &at("intervals.parquet"),
        "message duckdb_schema { required int64 k; optional fixed_len_byte_array(12) i (INTERVAL);
            optional group l (LIST) { repeated group list { optional fixed_len_byte_array(12) element (INTERVAL); } } }",
        &[],
        |group| {
            column::<Int64Type>(group, &[1, 2, 3], &[]);
            column::<FixedLenByteArrayType>(group, &[interval(1, 2, 0), interval(14, 0, 1_500)], &[1, 1, 0]);
            nested::<FixedLenByteArrayType>(group, &[interval(13, 0, 0)], &[3, 2, 0, 0], &[0, 1, 0, 0]);
        },
    );
    write(&at("enums.parquet"), "message clickhouse { optional binary e (ENUM); }", &[], |group| {
        column::<ByteArrayType>(group, &["red".into(), "green".into()], &[1, 1, 0]);
    });
    for (name, schema) in [("no_type.parquet", SCHEMA_OF_NO_TYPE), ("no_schema.parquet", "none at all")] {
        write(&at(name), "message m { optional int64 k; }", &[("ARROW:schema", schema)], |group| {
            column::<Int64Type>(group, &[7], &[1, 0]);
        });
    }
}

/// Returns an instant as Impala and Spark keep it: nanoseconds of the day, and the day's Julian number.
fn int96(day: i32, nanoseconds: u64) -> Int96 {
    let julian = u32::try_from(day + 2_440_588).expect("a day of our era");
    Int96::from(vec![nanoseconds as u32, (nanoseconds >> 32) as u32, julian])
}

fn write(
    path: &Path,
    schema: &str,
    pairs: &[(&str, &str)],
    fill: impl FnOnce(&mut SerializedRowGroupWriter<'_, File>),
) {
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let pairs = pairs.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), (*value).to_owned()));
    let properties = WriterProperties::builder().set_key_value_metadata(Some(pairs.collect())).build();
    let file = File::create(path).expect("a file");
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).expect("a writer");
    let mut group = writer.next_row_group().expect("a row group");
    fill(&mut group);
    group.close().expect("the row group");
    writer.close().expect("the file");
}

/// Writes a column: its values, and how much of each row is there; nothing of it for a column that is required.
fn column<T: DataType>(group: &mut SerializedRowGroupWriter<'_, File>, values: &[T::T], there: &[i16]) {
    let mut column = group.next_column().expect("a column").expect("one more column");
    let there = (!there.is_empty()).then_some(there);
    column.typed::<T>().write_batch(values, there, None).expect("values");
    column.close().expect("the column");
}

fn nested<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: &[T::T],
    there: &[i16],
    again: &[i16],
) {
    let mut column = group.next_column().expect("a column").expect("one more column");
    column.typed::<T>().write_batch(values, Some(there), Some(again)).expect("values");
    column.close().expect("the column");
}
