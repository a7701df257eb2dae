//! NOT NULL, held to row by row: what is declared so is never written without a value.

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanBufferBuilder, OffsetSizeTrait, RecordBatch,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::TryStreamExt;

use crate::error::EngineError;

/// Returns the rows, which end with an error where a field that `schema` declares NOT NULL has no value.
///
/// The formats' writers don't look: Parquet's stores a 0 or an empty text in the place of such a NULL, and the text formats write a
/// file that the table can't read. `table` is what the message names.
pub(super) fn checked_rows(
    rows: SendableRecordBatchStream,
    schema: &SchemaRef,
    table: &str,
) -> SendableRecordBatchStream {
    if !schema.fields().iter().any(|field| demands_values(field)) {
        return rows;
    }
    let (of, schema, table) = (rows.schema(), schema.clone(), table.to_owned());
    let checked = rows.and_then(move |batch| {
        let checked = match missing_value(&schema, &batch) {
            None => Ok(batch),
            Some(column) => {
                let table = table.clone();
                Err(EngineError::NullInNotNullColumn { table, column }.into_datafusion())
            }
        };
        futures::future::ready(checked)
    });
    Box::pin(RecordBatchStreamAdapter::new(of, checked))
}

/// Returns the path of the first field that must have a value and has none in some row: `address.city`.
fn missing_value(schema: &SchemaRef, batch: &RecordBatch) -> Option<String> {
    let fields = schema.fields().iter().zip(batch.columns());
    fields.into_iter().find_map(|(field, values)| missing(field, values, None))
}

/// Whether the field, or one below it, is declared NOT NULL.
fn demands_values(field: &Field) -> bool {
    !field.is_nullable() || demands_values_below(field.data_type())
}

fn demands_values_below(kind: &DataType) -> bool {
    match kind {
        DataType::Struct(fields) => fields.iter().any(|field| demands_values(field)),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => demands_values(item),
        _ => false,
    }
}

/// `reached` are the rows that exist: a field below a NULL needs no value.
fn missing(field: &Field, values: &ArrayRef, reached: Option<&NullBuffer>) -> Option<String> {
    let nulls = values.logical_nulls();
    let valid = NullBuffer::union(reached, nulls.as_ref());
    let missing_here = |buffer: Option<&NullBuffer>| buffer.map_or(0, NullBuffer::null_count);
    if !field.is_nullable() && missing_here(valid.as_ref()) > missing_here(reached) {
        return Some(field.name().clone());
    }
    // The types of the values: a declared type may be one that they are cast to when they are written.
    let (kind, found) = (field.data_type(), values.data_type());
    if !demands_values_below(kind) {
        return None;
    }
    let valid = valid.as_ref();
    let below = match (kind, found) {
        (DataType::Struct(fields), DataType::Struct(_)) => {
            let columns = values.as_struct().columns();
            fields.iter().zip(columns).find_map(|(field, column)| missing(field, column, valid))
        }
        (DataType::List(item), DataType::List(_)) => {
            let list = values.as_list::<i32>();
            missing_item(item, list.values(), ranges(list.offsets()), valid)
        }
        (DataType::LargeList(item), DataType::LargeList(_)) => {
            let list = values.as_list::<i64>();
            missing_item(item, list.values(), ranges(list.offsets()), valid)
        }
        (DataType::Map(entries, _), DataType::Map(..)) => {
            let map = values.as_map();
            let entry = std::sync::Arc::new(map.entries().clone()) as ArrayRef;
            missing_item(entries, &entry, ranges(map.offsets()), valid)
        }
        (DataType::FixedSizeList(item, size), DataType::FixedSizeList(..)) => {
            let size = usize::try_from(*size).unwrap_or(0);
            let ranges = (0..values.len()).map(move |row| (row * size, (row + 1) * size));
            missing_item(item, values.as_fixed_size_list().values(), ranges, valid)
        }
        _ => None,
    };
    below.map(|below| format!("{}.{below}", field.name()))
}

fn ranges<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>) -> impl Iterator<Item = (usize, usize)> {
    offsets.windows(2).map(|pair| (pair[0].as_usize(), pair[1].as_usize()))
}

/// Looks through the items of lists. `ranges` are the items of each row, `rows` the rows that exist.
fn missing_item(
    item: &Field,
    items: &ArrayRef,
    ranges: impl Iterator<Item = (usize, usize)>,
    rows: Option<&NullBuffer>,
) -> Option<String> {
    if items.logical_nulls().is_none() && !demands_values_below(item.data_type()) {
        return None;
    }
    let mut reached = BooleanBufferBuilder::new(items.len());
    reached.append_n(items.len(), false);
    for (row, (start, end)) in ranges.enumerate() {
        if rows.is_none_or(|rows| rows.is_valid(row)) {
            (start..end).for_each(|index| reached.set_bit(index, true));
        }
    }
    missing(item, items, Some(&NullBuffer::new(reached.finish())))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{Int64Array, ListArray, StringArray, StructArray};
    use datafusion::arrow::datatypes::{Fields, Schema};

    use super::*;

    fn found(field: Field, values: ArrayRef) -> Option<String> {
        let nullable = Field::new(field.name(), values.data_type().clone(), true);
        let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![nullable])), vec![values]).unwrap();
        missing_value(&Arc::new(Schema::new(vec![field])), &batch)
    }

    #[test]
    fn a_column_that_must_have_values_is_named() {
        let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
        assert_eq!(found(Field::new("a", DataType::Int64, false), Arc::clone(&values)), Some("a".to_owned()));
        assert_eq!(found(Field::new("a", DataType::Int64, true), Arc::clone(&values)), None);
        assert_eq!(found(Field::new("a", DataType::Int64, false), values.slice(0, 1)), None);
    }

    /// A struct of one text, of which `valid` says which rows exist.
    fn cities(cities: Vec<Option<&str>>, valid: Vec<bool>) -> ArrayRef {
        let city: ArrayRef = Arc::new(StringArray::from(cities));
        let fields = Fields::from(vec![Field::new("city", DataType::Utf8, true)]);
        Arc::new(StructArray::new(fields, vec![city], Some(NullBuffer::from(valid))))
    }

    #[test]
    fn a_field_below_a_null_needs_no_value() {
        let city = Fields::from(vec![Field::new("city", DataType::Utf8, false)]);
        let address = || Field::new("address", DataType::Struct(city.clone()), true);
        let of = |valid| found(address(), cities(vec![Some("Oslo"), None], valid));
        assert_eq!(of(vec![true, false]), None);
        assert_eq!(of(vec![true, true]), Some("address.city".to_owned()));
    }

    #[test]
    fn items_of_lists_are_looked_at_where_the_list_exists() {
        let city = Fields::from(vec![Field::new("city", DataType::Utf8, false)]);
        let item = Field::new("item", DataType::Struct(city), true);
        let lists = Field::new("lists", DataType::List(Arc::new(item)), true);
        let of = |valid: Vec<bool>| {
            let items = cities(vec![Some("Oslo"), None], vec![true, true]);
            let kept = Arc::new(Field::new("item", items.data_type().clone(), true));
            let offsets = OffsetBuffer::from_lengths([1, 1]);
            let list = ListArray::new(kept, offsets, items, Some(NullBuffer::from(valid)));
            found(lists.clone(), Arc::new(list))
        };
        assert_eq!(of(vec![true, false]), None);
        assert_eq!(of(vec![true, true]), Some("lists.item.city".to_owned()));
    }
}
