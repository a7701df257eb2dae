//! Which of the statistics in a file's footer hold.

use datafusion::parquet::basic::{ColumnOrder, LogicalType, SortOrder, Type};
use datafusion::parquet::errors::Result;
use datafusion::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use datafusion::parquet::file::page_index::column_index::ColumnIndexMetaData;
use datafusion::parquet::file::statistics::Statistics;
use datafusion::parquet::schema::types::ColumnDescriptor;

use super::stored::Stored;

/// Whether the values of a column are in an order that all writers agree on, so that its minimum and maximum bound all its
/// values, and equal values have equal bytes.
///
/// Not so floating numbers: writers leave NaN out of both bounds, and −0.0 equals 0.0 with other bytes. Nor INT96 and
/// intervals, which have no order.
pub(super) fn is_ordered(column: &ColumnDescriptor) -> bool {
    match column.physical_type() {
        Type::FLOAT | Type::DOUBLE | Type::INT96 => false,
        _ => {
            !matches!(column.logical_type_ref(), Some(LogicalType::Float16))
                && sort_order(column) != SortOrder::UNDEFINED
        }
    }
}

fn sort_order(column: &ColumnDescriptor) -> SortOrder {
    let (logical, physical) = (column.logical_type_ref(), column.physical_type());
    ColumnOrder::sort_order_for_type(logical, column.converted_type(), physical)
}

/// What to do with the statistics of a column's part of a row group.
#[derive(PartialEq, Eq)]
enum Keep {
    All,
    /// How many are NULL, but neither minimum nor maximum.
    Counts,
    Nothing,
}

fn keep(chunk: &ColumnChunkMetaData, statistics: &Statistics, ordered: bool) -> Keep {
    let column = chunk.column_descr();
    // DataFusion reads a count that is missing as 0.
    if statistics.null_count_opt().is_none() && column.max_def_level() > 0 {
        return Keep::Nothing;
    }
    // The fields of old: they compared bytes as signed.
    let misordered = statistics.is_min_max_deprecated() && sort_order(column) != SortOrder::SIGNED;
    if misordered || !ordered { Keep::Counts } else { Keep::All }
}

fn is_amended(chunk: &ColumnChunkMetaData, ordered: bool) -> bool {
    let statistics = chunk.statistics().is_none_or(|statistics| match keep(chunk, statistics, ordered) {
        Keep::All => true,
        Keep::Counts => statistics.min_bytes_opt().is_none() && statistics.max_bytes_opt().is_none(),
        Keep::Nothing => false,
    });
    let others = chunk.bloom_filter_offset().is_none() && chunk.column_index_offset().is_none();
    statistics && (others || ordered)
}

/// Returns a footer without the statistics, page bounds and bloom filters that don't hold. What has none is not touched.
/// Those of a column that is stored otherwise than it is read are of what is stored.
pub(super) fn with_sound_bounds(
    metadata: ParquetMetaData,
    stored: &[Option<Stored>],
) -> Result<ParquetMetaData> {
    let columns = metadata.file_metadata().schema_descr().columns().iter();
    let ordered: Vec<bool> =
        columns.zip(stored).map(|(column, stored)| is_ordered(column) && stored.is_none()).collect();
    let amended = |(chunk, ordered): (&ColumnChunkMetaData, &bool)| is_amended(chunk, *ordered);
    if metadata.row_groups().iter().all(|group| group.columns().iter().zip(&ordered).all(amended)) {
        return Ok(metadata);
    }
    let mut builder = metadata.into_builder();
    let mut pages = builder.take_column_index();
    let mut groups = builder.take_row_groups();
    for (at, group) in groups.iter_mut().enumerate() {
        let mut pages = pages.as_mut().and_then(|pages| pages.get_mut(at));
        for ((at, chunk), ordered) in group.columns_mut().iter_mut().enumerate().zip(&ordered) {
            let pages = pages.as_mut().and_then(|pages| pages.get_mut(at));
            if let Some(pages) = pages.filter(|_| !ordered) {
                *pages = ColumnIndexMetaData::NONE;
            }
            if !is_amended(chunk, *ordered) {
                *chunk = with_what_holds(chunk, *ordered)?;
            }
        }
    }
    Ok(builder.set_row_groups(groups).set_column_index(pages).build())
}

fn with_what_holds(chunk: &ColumnChunkMetaData, ordered: bool) -> Result<ColumnChunkMetaData> {
    let mut builder = chunk.clone().into_builder();
    if let Some(statistics) = chunk.statistics() {
        builder = match keep(chunk, statistics, ordered) {
            Keep::All => builder,
            Keep::Counts => builder.set_statistics(counts(statistics)),
            Keep::Nothing => builder.clear_statistics(),
        };
    }
    if !ordered {
        builder = builder
            .set_bloom_filter_offset(None)
            .set_bloom_filter_length(None)
            .set_column_index_offset(None)
            .set_column_index_length(None);
    }
    builder.build()
}

fn counts(statistics: &Statistics) -> Statistics {
    let nulls = statistics.null_count_opt();
    match statistics.physical_type() {
        Type::BOOLEAN => Statistics::boolean(None, None, None, nulls, false),
        Type::INT32 => Statistics::int32(None, None, None, nulls, false),
        Type::INT64 => Statistics::int64(None, None, None, nulls, false),
        Type::INT96 => Statistics::int96(None, None, None, nulls, false),
        Type::FLOAT => Statistics::float(None, None, None, nulls, false),
        Type::DOUBLE => Statistics::double(None, None, None, nulls, false),
        Type::BYTE_ARRAY => Statistics::byte_array(None, None, None, nulls, false),
        Type::FIXED_LEN_BYTE_ARRAY => Statistics::fixed_len_byte_array(None, None, None, nulls, false),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::parquet::file::metadata::{FileMetaData, RowGroupMetaData};
    use datafusion::parquet::schema::parser::parse_message_type;
    use datafusion::parquet::schema::types::SchemaDescriptor;

    use super::*;

    /// Returns what is left of the statistics of each column of one row group.
    fn left(schema: &str, statistics: Vec<Statistics>) -> Vec<Option<Statistics>> {
        let schema = Arc::new(SchemaDescriptor::new(Arc::new(parse_message_type(schema).unwrap())));
        let chunks = schema.columns().iter().zip(statistics).map(|(column, statistics)| {
            ColumnChunkMetaData::builder(Arc::clone(column))
                .set_statistics(statistics)
                .set_bloom_filter_offset(Some(1))
                .set_column_index_offset(Some(2))
                .build()
                .unwrap()
        });
        let group = RowGroupMetaData::builder(Arc::clone(&schema))
            .set_num_rows(3)
            .set_column_metadata(chunks.collect())
            .build()
            .unwrap();
        let file = FileMetaData::new(1, 3, None, None, Arc::clone(&schema), None);
        let stored = vec![None; schema.num_columns()];
        let amended = with_sound_bounds(ParquetMetaData::new(file, vec![group]), &stored).unwrap();
        let chunks = amended.row_group(0).columns().iter();
        chunks
            .map(|chunk| {
                let others = (chunk.bloom_filter_offset(), chunk.column_index_offset());
                let ordered = is_ordered(chunk.column_descr());
                assert_eq!(others, if ordered { (Some(1), Some(2)) } else { (None, None) });
                chunk.statistics().cloned()
            })
            .collect()
    }

    #[test]
    fn bounds_of_floats_go_even_where_a_writer_put_nan_into_them() {
        let found = left(
            "message m { optional double d; optional float f; optional fixed_len_byte_array(2) h (FLOAT16);
               optional int96 t; optional int64 k; optional group g { repeated double l; } }",
            vec![
                Statistics::double(Some(f64::NAN), Some(f64::NAN), None, Some(0), false),
                Statistics::float(Some(1.0), Some(1.0), Some(1), Some(1), false),
                Statistics::fixed_len_byte_array(
                    Some(vec![0, 60].into()),
                    Some(vec![0, 60].into()),
                    None,
                    Some(0),
                    false,
                ),
                Statistics::int96(None, None, None, None, false),
                Statistics::int64(Some(1), Some(2), None, Some(0), false),
                Statistics::double(Some(1.0), Some(1.0), None, Some(0), false),
            ],
        );
        let expected = [
            Some(Statistics::double(None, None, None, Some(0), false)),
            Some(Statistics::float(None, None, None, Some(1), false)),
            Some(Statistics::fixed_len_byte_array(None, None, None, Some(0), false)),
            None,
            Some(Statistics::int64(Some(1), Some(2), None, Some(0), false)),
            Some(Statistics::double(None, None, None, Some(0), false)),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn counts_that_are_missing_and_bounds_of_old_are_not_relied_on() {
        let text = |old| Statistics::byte_array(Some("a".into()), Some("b".into()), None, Some(0), old);
        let found = left(
            "message m { optional int32 a; required int32 b; optional binary s (UTF8); optional binary o (UTF8); }",
            vec![
                Statistics::int32(Some(1), Some(1), None, None, false),
                Statistics::int32(Some(1), Some(1), None, None, false),
                text(false),
                text(true),
            ],
        );
        let expected = [
            None,
            Some(Statistics::int32(Some(1), Some(1), None, None, false)),
            Some(text(false)),
            Some(Statistics::byte_array(None, None, None, Some(0), false)),
        ];
        assert_eq!(found, expected);
    }
}
