//! The type that a column is read as which two files have in two types.

use std::sync::Arc;

use datafusion::arrow::datatypes::{
    DECIMAL32_MAX_PRECISION, DECIMAL64_MAX_PRECISION, DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION,
    DataType, FieldRef, Fields, TimeUnit,
};

/// Returns the type that values of both types are read as, if there's one that holds all values of both.
///
/// Texts are one type however they are kept (as views, if `views`), bytes too, dictionaries are their values, and a column of
/// nothing but NULLs is of any type. Numbers take the narrowest type that is exact for both: integers a wider integer, or a
/// decimal beyond 64 bits; integers beside floats a float whose digits suffice. Times take the finer unit. A timestamp in
/// nanoseconds reaches from 1677 to 2262; one of a coarser file outside of that is an error when it is read.
pub(super) fn common(one: &DataType, other: &DataType, views: bool) -> Option<DataType> {
    use DataType::{
        Binary, BinaryView, Date32, Date64, Dictionary, Duration, LargeBinary, LargeUtf8, Map, Null, Struct,
        Time32, Time64, Timestamp, Utf8, Utf8View,
    };
    let texts = |data_type: &DataType| matches!(data_type, Utf8 | LargeUtf8 | Utf8View);
    let bytes = |data_type: &DataType| matches!(data_type, Binary | LargeBinary | BinaryView);
    match (one, other) {
        _ if one == other => Some(one.clone()),
        (Null, known) | (known, Null) => Some(known.clone()),
        (Dictionary(_, values), plain) | (plain, Dictionary(_, values)) => common(values, plain, views),
        _ if texts(one) && texts(other) => Some(if views { Utf8View } else { LargeUtf8 }),
        _ if bytes(one) && bytes(other) => Some(if views { BinaryView } else { LargeBinary }),
        (Struct(one), Struct(other)) => Some(Struct(common_fields(one, other, views)?)),
        (Map(one, sorted), Map(other, other_sorted)) => {
            Some(Map(common_field(one, other, views)?, *sorted && *other_sorted))
        }
        (Timestamp(unit, zone), Timestamp(other, other_zone)) => {
            let zone = match (zone, other_zone) {
                (None, None) => None,
                (Some(one), Some(other)) if one == other => Some(Arc::clone(one)),
                // Instants, whatever zone they are shown in.
                (Some(_), Some(_)) => Some("UTC".into()),
                _ => return None,
            };
            Some(Timestamp(finer(*unit, *other), zone))
        }
        (Time32(unit) | Time64(unit), Time32(other) | Time64(other)) => Some(match finer(*unit, *other) {
            unit @ (TimeUnit::Second | TimeUnit::Millisecond) => Time32(unit),
            unit => Time64(unit),
        }),
        (Duration(unit), Duration(other)) => Some(Duration(finer(*unit, *other))),
        (Date32, Date64) | (Date64, Date32) => Some(Date64),
        _ => common_number(one, other).or_else(|| common_list(one, other, views)),
    }
}

fn common_number(one: &DataType, other: &DataType) -> Option<DataType> {
    let bits = |data_type: &DataType| data_type.primitive_width().map(|bytes| bytes * 8);
    match (one, other) {
        _ if one.is_floating() && other.is_floating() => {
            Some(if bits(one)? > bits(other)? { one.clone() } else { other.clone() })
        }
        _ if one.is_integer() && other.is_integer() => common_integer(one, other),
        _ if one.is_integer() && other.is_floating() => float_of(bits(one)?, other),
        _ if one.is_floating() && other.is_integer() => float_of(bits(other)?, one),
        _ => common_decimal(one, other),
    }
}

fn common_integer(one: &DataType, other: &DataType) -> Option<DataType> {
    let (width, other_width) = (one.primitive_width()?, other.primitive_width()?);
    if one.is_signed_integer() == other.is_signed_integer() {
        return Some(if width > other_width { one.clone() } else { other.clone() });
    }
    let (signed, unsigned) =
        if one.is_signed_integer() { (width, other_width) } else { (other_width, width) };
    Some(match signed.max(unsigned * 2) {
        2 => DataType::Int16,
        4 => DataType::Int32,
        8 => DataType::Int64,
        // As many digits as 2^64 has.
        _ => DataType::Decimal128(20, 0),
    })
}

/// Returns the float type, no narrower than `float`, that all integers of so many bits are exact in.
fn float_of(bits: usize, float: &DataType) -> Option<DataType> {
    match (bits, float) {
        (8, float) => Some(float.clone()),
        (16, DataType::Float16) => Some(DataType::Float32),
        (16, float) => Some(float.clone()),
        (32, _) => Some(DataType::Float64),
        _ => None,
    }
}

fn common_decimal(one: &DataType, other: &DataType) -> Option<DataType> {
    let ((precision, scale), (other_precision, other_scale)) = (digits(one)?, digits(other)?);
    let whole =
        (i16::from(precision) - i16::from(scale)).max(i16::from(other_precision) - i16::from(other_scale));
    let scale = scale.max(other_scale);
    let precision = u8::try_from((whole + i16::from(scale)).max(1)).ok()?;
    let width = |data_type: &DataType| data_type.primitive_width().filter(|_| data_type.is_decimal());
    let widths = [
        (DECIMAL32_MAX_PRECISION, 4),
        (DECIMAL64_MAX_PRECISION, 8),
        (DECIMAL128_MAX_PRECISION, 16),
        (DECIMAL256_MAX_PRECISION, 32),
    ];
    let (_, enough) = widths.into_iter().find(|(digits, _)| precision <= *digits)?;
    Some(match [Some(enough), width(one), width(other)].into_iter().flatten().max() {
        Some(4) => DataType::Decimal32(precision, scale),
        Some(8) => DataType::Decimal64(precision, scale),
        Some(16) => DataType::Decimal128(precision, scale),
        _ => DataType::Decimal256(precision, scale),
    })
}

/// Returns the precision and the scale of the decimal that holds all values of a type.
fn digits(data_type: &DataType) -> Option<(u8, i8)> {
    use DataType::{Decimal32, Decimal64, Decimal128, Decimal256};
    match data_type {
        Decimal32(precision, scale)
        | Decimal64(precision, scale)
        | Decimal128(precision, scale)
        | Decimal256(precision, scale) => Some((*precision, *scale)),
        DataType::Int8 | DataType::UInt8 => Some((3, 0)),
        DataType::Int16 | DataType::UInt16 => Some((5, 0)),
        DataType::Int32 | DataType::UInt32 => Some((10, 0)),
        DataType::Int64 => Some((19, 0)),
        DataType::UInt64 => Some((20, 0)),
        _ => None,
    }
}

fn common_list(one: &DataType, other: &DataType, views: bool) -> Option<DataType> {
    use DataType::{FixedSizeList, LargeList, List};
    let item = |data_type: &DataType| match data_type {
        List(item) | LargeList(item) | FixedSizeList(item, _) => Some(Arc::clone(item)),
        _ => None,
    };
    let both = common_field(&item(one)?, &item(other)?, views)?;
    Some(match (one, other) {
        (FixedSizeList(_, size), FixedSizeList(_, other)) if size == other => FixedSizeList(both, *size),
        (LargeList(_), _) | (_, LargeList(_)) => LargeList(both),
        _ => List(both),
    })
}

fn finer(one: TimeUnit, other: TimeUnit) -> TimeUnit {
    let per_second = |unit| match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    };
    if per_second(one) > per_second(other) { one } else { other }
}

fn common_field(one: &FieldRef, other: &FieldRef, views: bool) -> Option<FieldRef> {
    let both = common(one.data_type(), other.data_type(), views)?;
    let nullable = one.is_nullable() || other.is_nullable();
    Some(Arc::new(one.as_ref().clone().with_data_type(both).with_nullable(nullable)))
}

fn common_fields(one: &Fields, other: &Fields, views: bool) -> Option<Fields> {
    let alone = |field: &FieldRef| Arc::new(field.as_ref().clone().with_nullable(true));
    let theirs = one.iter().map(|field| match other.find(field.name()) {
        Some((_, also)) => common_field(field, also, views),
        None => Some(alone(field)),
    });
    let new = other.iter().filter(|field| one.find(field.name()).is_none());
    theirs.chain(new.map(|field| Some(alone(field)))).collect()
}

#[cfg(test)]
mod tests {
    use DataType::*;

    use super::*;

    #[test]
    fn the_common_type_holds_all_values_of_both() {
        let seconds = |zone: Option<&str>| Timestamp(TimeUnit::Second, zone.map(Into::into));
        let list = |of| List(Arc::new(datafusion::arrow::datatypes::Field::new("item", of, true)));
        for (one, other, both) in [
            (Int32, Int64, Some(Int64)),
            (Int8, UInt8, Some(Int16)),
            (UInt16, Int64, Some(Int64)),
            (UInt32, Int32, Some(Int64)),
            (UInt64, Int8, Some(Decimal128(20, 0))),
            (UInt8, UInt64, Some(UInt64)),
            (Int16, Float32, Some(Float32)),
            (Int16, Float16, Some(Float32)),
            (Int32, Float32, Some(Float64)),
            (Int64, Float64, None),
            (UInt64, Float32, None),
            (Float16, Float64, Some(Float64)),
            (Decimal128(9, 2), Decimal128(9, 4), Some(Decimal128(11, 4))),
            (Decimal128(38, 0), Decimal128(38, 10), Some(Decimal256(48, 10))),
            (Decimal256(76, 0), Decimal256(76, 1), None),
            (Decimal32(5, 2), Decimal64(12, 0), Some(Decimal64(14, 2))),
            (Int64, Decimal128(10, 2), Some(Decimal128(21, 2))),
            (Decimal128(5, -2), Int32, Some(Decimal128(10, 0))),
            (Float64, Decimal128(10, 2), None),
            (
                seconds(None),
                Timestamp(TimeUnit::Nanosecond, None),
                Some(Timestamp(TimeUnit::Nanosecond, None)),
            ),
            (seconds(Some("UTC")), seconds(Some("Europe/Paris")), Some(seconds(Some("UTC")))),
            (seconds(None), seconds(Some("UTC")), None),
            (Time32(TimeUnit::Second), Time64(TimeUnit::Microsecond), Some(Time64(TimeUnit::Microsecond))),
            (Time32(TimeUnit::Second), Time32(TimeUnit::Millisecond), Some(Time32(TimeUnit::Millisecond))),
            (list(Int32), list(Int64), Some(list(Int64))),
            (Boolean, Int8, None),
            (Utf8, Int64, None),
            (Date32, seconds(None), None),
        ] {
            assert_eq!(common(&one, &other, false), both, "{one} and {other}");
            assert_eq!(common(&other, &one, false), both, "{other} and {one}");
        }
    }
}
