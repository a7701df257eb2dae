//! Columns that are stored otherwise than they are read: which, and how their values are read.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, IntervalMonthDayNanoArray, make_array};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Field, FieldRef, Fields, IntervalMonthDayNano, IntervalUnit, Schema, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
};
use datafusion::error::{DataFusionError, Result};

use super::calendar::{hybrid_day, hybrid_instant};
use crate::error::EngineError;

/// The key of a field's metadata that says how its values are stored.
const STORED: &str = "nightjar.stored";

/// The key of the file's name beside it, for messages.
const FILE: &str = "nightjar.stored.file";

/// How a column's values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    /// Parquet's INTERVAL: months, days and milliseconds in four bytes each. The arrow crate reads only some of the three.
    Interval,
    /// Days in the calendar that Spark 2 had: Julian before 1582-10-15.
    HybridDate,
    /// Instants in that calendar, of a writer in UTC.
    HybridTimestamp,
    /// Instants in that calendar, of a writer in a zone whose offset before 1900 differs between Java's two libraries.
    HybridTimestampOfZone,
}

impl Stored {
    const ALL: [Self; 4] =
        [Self::Interval, Self::HybridDate, Self::HybridTimestamp, Self::HybridTimestampOfZone];

    fn word(self) -> &'static str {
        match self {
            Self::Interval => "interval",
            Self::HybridDate => "hybrid date",
            Self::HybridTimestamp => "hybrid timestamp",
            Self::HybridTimestampOfZone => "hybrid timestamp of a zone",
        }
    }

    fn of(field: &Field) -> Option<Self> {
        let word = field.metadata().get(STORED)?;
        Self::ALL.into_iter().find(|stored| stored.word() == word)
    }

    /// Returns the field of a column of `file` that is stored like this.
    pub(super) fn mark(self, field: &Field, file: &str) -> Field {
        let mut metadata = field.metadata().clone();
        metadata.insert(STORED.to_owned(), self.word().to_owned());
        metadata.insert(FILE.to_owned(), file.to_owned());
        field.clone().with_metadata(metadata)
    }

    fn read_type(self, stored: &DataType) -> DataType {
        match self {
            Self::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
            _ => stored.clone(),
        }
    }
}

/// Returns a schema as its columns are read, or None where they are read as they are stored.
pub(super) fn as_read(schema: &Schema) -> Option<Schema> {
    let fields = schema.fields().iter().map(field_as_read).collect::<Fields>();
    (fields != *schema.fields()).then(|| Schema::new_with_metadata(fields, schema.metadata().clone()))
}

pub(super) fn field_as_read(field: &FieldRef) -> FieldRef {
    if let Some(stored) = Stored::of(field) {
        let metadata = field.metadata().iter().filter(|(key, _)| *key != STORED && *key != FILE);
        let metadata: HashMap<_, _> = metadata.map(|(key, value)| (key.clone(), value.clone())).collect();
        let data_type = stored.read_type(field.data_type());
        return Arc::new(Field::clone(field).with_data_type(data_type).with_metadata(metadata));
    }
    let parts = parts(field.data_type());
    let read: Vec<FieldRef> = parts.iter().map(field_as_read).collect();
    if parts == read {
        return Arc::clone(field);
    }
    Arc::new(Field::clone(field).with_data_type(with_parts(field.data_type(), read)))
}

/// Returns the values of a column as they are read.
///
/// Errors: a value of the calendar that Spark 2 had that can't be told in this one.
pub(super) fn values_as_read(field: &FieldRef, values: &ArrayRef) -> Result<ArrayRef> {
    if let Some(stored) = Stored::of(field) {
        return match stored {
            Stored::Interval => intervals(values),
            Stored::HybridDate => {
                let days = values.as_primitive::<Date32Type>();
                Ok(Arc::new(days.unary::<_, Date32Type>(hybrid_day)))
            }
            Stored::HybridTimestamp | Stored::HybridTimestampOfZone => {
                timestamps(field, values, stored == Stored::HybridTimestamp)
            }
        };
    }
    let parts = parts(field.data_type());
    if parts.is_empty() || parts.iter().all(|part| field_as_read(part) == *part) {
        return Ok(Arc::clone(values));
    }
    let data = values.to_data();
    let read = parts.iter().zip(data.child_data()).map(|(part, values)| {
        values_as_read(part, &make_array(values.clone())).map(|values| values.to_data())
    });
    let children = read.collect::<Result<Vec<_>>>()?;
    let data_type = field_as_read(field).data_type().clone();
    Ok(make_array(data.into_builder().data_type(data_type).child_data(children).build()?))
}

/// Returns the fields of the arrays that an array of a nested type is made of.
fn parts(data_type: &DataType) -> Vec<FieldRef> {
    match data_type {
        DataType::Struct(fields) => fields.iter().cloned().collect(),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => vec![Arc::clone(item)],
        _ => Vec::new(),
    }
}

fn with_parts(data_type: &DataType, parts: Vec<FieldRef>) -> DataType {
    let mut parts = parts.into_iter();
    let mut item = |item: &FieldRef| parts.next().unwrap_or_else(|| Arc::clone(item));
    match data_type {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(item).collect()),
        DataType::List(of) => DataType::List(item(of)),
        DataType::LargeList(of) => DataType::LargeList(item(of)),
        DataType::FixedSizeList(of, size) => DataType::FixedSizeList(item(of), *size),
        DataType::Map(of, sorted) => DataType::Map(item(of), *sorted),
        other => other.clone(),
    }
}

fn intervals(values: &ArrayRef) -> Result<ArrayRef> {
    let stored = values.as_fixed_size_binary();
    let part = |bytes: &[u8], at: usize| {
        let bytes = bytes.get(at..at + 4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
        i32::from_le_bytes(bytes.unwrap_or_default())
    };
    let read = stored.iter().map(|bytes| {
        let bytes = bytes?;
        let nanoseconds = i64::from(part(bytes, 8)) * 1_000_000;
        Some(IntervalMonthDayNano::new(part(bytes, 0), part(bytes, 4), nanoseconds))
    });
    Ok(Arc::new(read.collect::<IntervalMonthDayNanoArray>()))
}

fn timestamps(field: &FieldRef, values: &ArrayRef, in_utc: bool) -> Result<ArrayRef> {
    let read = |value: i64, per_second: i64| match hybrid_instant(value, per_second, in_utc) {
        Some(read) => Ok(read),
        None => Err(legacy(field)),
    };
    let values: ArrayRef = match field.data_type() {
        DataType::Timestamp(TimeUnit::Millisecond, _) => Arc::new(
            values
                .as_primitive::<TimestampMillisecondType>()
                .try_unary::<_, TimestampMillisecondType, _>(|value| read(value, 1_000))?
                .with_timezone_opt(zone(field)),
        ),
        DataType::Timestamp(TimeUnit::Microsecond, _) => Arc::new(
            values
                .as_primitive::<TimestampMicrosecondType>()
                .try_unary::<_, TimestampMicrosecondType, _>(|value| read(value, 1_000_000))?
                .with_timezone_opt(zone(field)),
        ),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => Arc::new(
            values
                .as_primitive::<TimestampNanosecondType>()
                .try_unary::<_, TimestampNanosecondType, _>(|value| read(value, 1_000_000_000))?
                .with_timezone_opt(zone(field)),
        ),
        _ => return Err(legacy(field)),
    };
    Ok(values)
}

fn zone(field: &Field) -> Option<Arc<str>> {
    match field.data_type() {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    }
}

fn legacy(field: &Field) -> DataFusionError {
    let file = field.metadata().get(FILE).cloned().unwrap_or_default();
    EngineError::LegacyCalendar { column: field.name().clone(), file }.into_datafusion()
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Date32Array, FixedSizeBinaryArray, ListArray, StructArray};
    use datafusion::arrow::buffer::OffsetBuffer;

    use super::*;

    #[test]
    fn values_are_read_however_deep_they_are() {
        let bytes = |months: i32, days: i32, milliseconds: i32| {
            [months, days, milliseconds].iter().flat_map(|part| part.to_le_bytes()).collect::<Vec<u8>>()
        };
        let stored = [Some(bytes(14, 2, 5)), None, Some(bytes(0, -1, 0))];
        let stored: ArrayRef = Arc::new(
            FixedSizeBinaryArray::try_from_sparse_iter_with_size(stored.iter().map(Option::as_ref), 12)
                .unwrap(),
        );
        let interval = Stored::Interval.mark(&Field::new("i", stored.data_type().clone(), true), "f");
        let days: ArrayRef = Arc::new(Date32Array::from(vec![Some(-354_280), Some(0), None]));
        let date = Stored::HybridDate.mark(&Field::new("d", DataType::Date32, true), "f");
        let fields = Fields::from(vec![interval, date]);
        let part = StructArray::new(fields.clone(), vec![stored, days], None);
        let item = Arc::new(Field::new("item", DataType::Struct(fields), true));
        let list =
            ListArray::new(Arc::clone(&item), OffsetBuffer::from_lengths([1, 2]), Arc::new(part), None);
        let field = Arc::new(Field::new("l", DataType::List(item), true));
        let read = values_as_read(&field, &(Arc::new(list) as ArrayRef)).unwrap();
        assert_eq!(read.data_type(), field_as_read(&field).data_type());
        assert_eq!(field_as_read(&field_as_read(&field)), field_as_read(&field));
        let read = read.as_list::<i32>().values().as_struct().clone();
        let expected = [Some((14, 2, 5_000_000)), None, Some((0, -1, 0))];
        let expected = expected.map(|parts| parts.map(|(m, d, n)| IntervalMonthDayNano::new(m, d, n)));
        assert_eq!(
            read.column(0).as_ref(),
            &IntervalMonthDayNanoArray::from(expected.to_vec()) as &dyn Array
        );
        assert_eq!(
            read.column(1).as_ref(),
            &Date32Array::from(vec![Some(-354_285), Some(0), None]) as &dyn Array
        );
    }
}
