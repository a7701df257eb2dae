//! Embedded Arrow schemas that can be converted. The arrow crate panics over the others.

use std::collections::BTreeSet;

use datafusion::arrow::ipc::{Field, Precision, Schema, Type, root_as_message};
use datafusion::parquet::file::metadata::KeyValue;

/// How deep types may nest.
const MAX_DEPTH: usize = 64;

/// Whether the schema in a footer, encoded in base64, can be converted.
pub(super) fn is_convertible(pair: &KeyValue) -> bool {
    let Some(bytes) = pair.value.as_deref().and_then(from_base64) else { return false };
    // The length may stand before the message, after a marker.
    let message = match bytes.get(..8) {
        Some([255, 255, 255, 255, ..]) => &bytes[8..],
        _ => bytes.as_slice(),
    };
    let message = root_as_message(message).ok();
    message.and_then(|message| message.header_as_schema()).is_some_and(|schema| can_convert(&schema))
}

/// Whether the arrow crate can convert a schema.
pub(crate) fn can_convert(schema: &Schema<'_>) -> bool {
    let little = schema.endianness() == datafusion::arrow::ipc::Endianness::Little;
    little && schema.fields().is_some_and(|fields| fields.iter().all(|field| can_convert_field(&field, 0)))
}

fn can_convert_field(field: &Field<'_>, depth: usize) -> bool {
    let index = field.dictionary().is_none_or(|dictionary| {
        dictionary.indexType().is_some_and(|int| [8, 16, 32, 64].contains(&int.bitWidth()))
    });
    let children = || field.children().into_iter().flatten();
    let nested = depth < MAX_DEPTH && children().all(|child| can_convert_field(&child, depth + 1));
    index && nested && field.name().is_some() && can_convert_type(field, children().count())
}

fn can_convert_type(field: &Field<'_>, children: usize) -> bool {
    match field.type_type() {
        Type::Null | Type::Bool | Type::Binary | Type::BinaryView | Type::LargeBinary => true,
        Type::Utf8 | Type::Utf8View | Type::LargeUtf8 | Type::Struct_ => true,
        Type::Int => field.type_as_int().is_some_and(|int| [8, 16, 32, 64].contains(&int.bitWidth())),
        Type::FixedSizeBinary => {
            field.type_as_fixed_size_binary().is_some_and(|fixed| fixed.byteWidth() >= 0)
        }
        Type::FloatingPoint => field.type_as_floating_point().is_some_and(|float| {
            [Precision::HALF, Precision::SINGLE, Precision::DOUBLE].contains(&float.precision())
        }),
        Type::Date => field.type_as_date().is_some_and(|date| date.unit().variant_name().is_some()),
        Type::Time => field
            .type_as_time()
            .is_some_and(|time| matches!((time.bitWidth(), time.unit().0), (32, 0 | 1) | (64, 2 | 3))),
        Type::Timestamp => field.type_as_timestamp().is_some_and(|time| time.unit().variant_name().is_some()),
        Type::Interval => field.type_as_interval().is_some_and(|time| time.unit().variant_name().is_some()),
        Type::Duration => field.type_as_duration().is_some_and(|time| time.unit().variant_name().is_some()),
        Type::List | Type::LargeList | Type::ListView | Type::LargeListView => children == 1,
        Type::FixedSizeList => children == 1 && field.type_as_fixed_size_list().is_some(),
        Type::Map => children == 1 && field.type_as_map().is_some(),
        Type::RunEndEncoded => children == 2,
        Type::Decimal => field.type_as_decimal().is_some_and(|decimal| {
            [32, 64, 128, 256].contains(&decimal.bitWidth())
                && u8::try_from(decimal.precision()).is_ok()
                && i8::try_from(decimal.scale()).is_ok()
        }),
        Type::Union => field.type_as_union().is_some_and(|union| {
            let ids: Vec<i32> = union.typeIds().map(|ids| ids.iter().collect()).unwrap_or_default();
            let known: BTreeSet<i32> = ids.iter().copied().filter(|id| (0..128).contains(id)).collect();
            let each_once = union.typeIds().is_none() || known.len() == children && ids.len() == children;
            union.mode().variant_name().is_some() && each_once && children < 128
        }),
        _ => false,
    }
}

/// Decodes base64 in its usual alphabet; None for what is none.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    for group in digits.chunks(4) {
        let bits = group.iter().try_fold(0u32, |bits, digit| Some(bits << 6 | base64_digit(*digit)?))?;
        let (bits, whole) = match group.len() {
            4 => (bits, 3),
            3 => (bits << 6, 2),
            2 => (bits << 12, 1),
            _ => return None,
        };
        bytes.extend(bits.to_be_bytes().iter().skip(1).take(whole));
    }
    Some(bytes)
}

fn base64_digit(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field, Fields, IntervalUnit, Schema, TimeUnit};
    use datafusion::parquet::arrow::encode_arrow_schema;

    use super::*;

    fn convertible(value: String) -> bool {
        is_convertible(&KeyValue::new("ARROW:schema".to_owned(), value))
    }

    #[test]
    fn schemas_of_all_types_are_convertible_and_others_are_told() {
        let item = |data_type| std::sync::Arc::new(Field::new("item", data_type, true));
        let entries = Fields::from(vec![
            Field::new("keys", DataType::Utf8, false),
            Field::new("values", DataType::Int64, true),
        ]);
        let types = [
            DataType::Null,
            DataType::Boolean,
            DataType::UInt8,
            DataType::Int64,
            DataType::Float16,
            DataType::Float64,
            DataType::Utf8View,
            DataType::LargeBinary,
            DataType::FixedSizeBinary(16),
            DataType::Date32,
            DataType::Date64,
            DataType::Time32(TimeUnit::Second),
            DataType::Time64(TimeUnit::Nanosecond),
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            DataType::Interval(IntervalUnit::MonthDayNano),
            DataType::Duration(TimeUnit::Second),
            DataType::Decimal32(9, -2),
            DataType::Decimal256(76, 3),
            DataType::Dictionary(Box::new(DataType::UInt16), Box::new(DataType::Utf8)),
            DataType::List(item(DataType::Struct(entries.clone()))),
            DataType::FixedSizeList(item(DataType::Float32), 3),
            DataType::Map(item(DataType::Struct(entries)), false),
        ];
        for data_type in types {
            let schema = Schema::new(vec![Field::new("c", data_type.clone(), true)]);
            assert!(convertible(encode_arrow_schema(&schema)), "{data_type}");
        }
        assert!(convertible(encode_arrow_schema(&Schema::empty())));
        for broken in ["", "?", "AAAA", "/////wAAAAA=", "not base64 at all"] {
            assert!(!convertible(broken.to_owned()), "{broken}");
        }
    }

    #[test]
    fn a_width_that_arrow_does_not_have_is_told() {
        let schema = Schema::new(vec![Field::new("c", DataType::Int64, true)]);
        let bytes = from_base64(&encode_arrow_schema(&schema)).unwrap();
        // One byte of the message is the width of the integer; set to 128, it is a type that panics.
        let wrong = (0..bytes.len()).filter(|at| bytes[*at] == 64).filter(|at| {
            let mut bytes = bytes.clone();
            bytes[*at] = 128;
            let message = root_as_message(&bytes[8..]).ok();
            let schema = message.and_then(|message| message.header_as_schema());
            let field = schema.and_then(|schema| schema.fields()).map(|fields| fields.get(0));
            let width = field.and_then(|field| field.type_as_int()).map(|int| int.bitWidth());
            width == Some(128) && !schema.is_some_and(|schema| can_convert(&schema))
        });
        assert_eq!(wrong.count(), 1);
    }
}
