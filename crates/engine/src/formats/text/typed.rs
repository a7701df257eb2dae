//! Text into the values of a column's type. A text that isn't one of the type's values as it stands is refused.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, LargeListArray, ListArray, MapArray, NullArray,
    PrimitiveArray, StringArray, StringViewArray, StructArray,
};
use datafusion::arrow::compute::{CastOptions, cast, cast_with_options};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use super::number::{float_keeps, number, special};
use super::temporal::{is_date, kept_digits, stamp};

/// The first value of a column that its type doesn't hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) row: usize,
    pub(crate) value: String,
    pub(crate) wanted: DataType,
}

type Typed = Result<ArrayRef, Unreadable>;

/// Returns a column of text, or one that holds text inside, as values of a type. `exact` refuses what the type would
/// round or shorten; a type that somebody has declared may.
///
/// NULLs: they stay, and an empty text is NULL where the type has none.
pub(crate) fn typed(values: &ArrayRef, wanted: &DataType, exact: bool) -> Typed {
    if values.data_type() == wanted {
        return Ok(Arc::clone(values));
    }
    match values.data_type() {
        DataType::Utf8 => of_text(values, wanted, exact),
        DataType::Struct(_)
        | DataType::List(_)
        | DataType::LargeList(_)
        | DataType::Map(..)
        | DataType::FixedSizeList(..) => nested(values, wanted, exact),
        _ => cast(values, wanted).map_err(|_| unreadable(0, "", wanted)),
    }
}

fn unreadable(row: usize, value: &str, wanted: &DataType) -> Unreadable {
    Unreadable { row, value: value.to_owned(), wanted: wanted.clone() }
}

fn of_text(values: &ArrayRef, wanted: &DataType, exact: bool) -> Typed {
    let text = values.as_string::<i32>();
    match wanted {
        DataType::Utf8View => Ok(Arc::new(StringViewArray::from(text))),
        DataType::Int64 => whole::<Int64Type>(text, exact),
        DataType::Int32 => whole::<Int32Type>(text, exact),
        DataType::Int16 => whole::<Int16Type>(text, exact),
        DataType::Int8 => whole::<Int8Type>(text, exact),
        DataType::UInt64 => whole::<UInt64Type>(text, exact),
        DataType::UInt32 => whole::<UInt32Type>(text, exact),
        DataType::UInt16 => whole::<UInt16Type>(text, exact),
        DataType::UInt8 => whole::<UInt8Type>(text, exact),
        DataType::Float64 => each::<Float64Type>(text, wanted, |value| {
            let parsed: f64 = (!exact || is_float(value)).then(|| value.trim().parse().ok()).flatten()?;
            (parsed.is_finite() || special(value.trim())).then_some(parsed)
        }),
        DataType::Float32 => each::<Float32Type>(text, wanted, |value| value.trim().parse().ok()),
        DataType::Null => match text.iter().position(|value| value.is_some_and(|value| !value.is_empty())) {
            Some(row) => Err(unreadable(row, text.value(row), wanted)),
            None => Ok(Arc::new(NullArray::new(text.len()))),
        },
        _ => by_cast(text, wanted, exact),
    }
}

fn is_float(value: &str) -> bool {
    match number(value) {
        Some(found) => !found.padded && float_keeps(value),
        None => special(value),
    }
}

fn whole<T: ArrowPrimitiveType>(text: &StringArray, exact: bool) -> Typed
where
    T::Native: std::str::FromStr,
{
    each::<T>(text, &T::DATA_TYPE, |value| match exact {
        // What is no more than digits is kept by an integer, unless it begins with a zero.
        true => {
            let digits = value.strip_prefix('-').unwrap_or(value).as_bytes();
            let padded = digits.first() == Some(&b'+') || (digits.len() > 1 && digits.first() == Some(&b'0'));
            (!padded).then(|| value.parse().ok()).flatten()
        }
        false => value.trim().parse().ok(),
    })
}

fn each<T: ArrowPrimitiveType>(
    text: &StringArray,
    wanted: &DataType,
    parse: impl Fn(&str) -> Option<T::Native>,
) -> Typed {
    let mut built = PrimitiveArray::<T>::builder(text.len());
    for (row, value) in text.iter().enumerate() {
        match value {
            None | Some("") => built.append_null(),
            Some(value) => match parse(value) {
                Some(parsed) => built.append_value(parsed),
                None => return Err(unreadable(row, value, wanted)),
            },
        }
    }
    Ok(Arc::new(built.finish()))
}

/// Returns what DataFusion's cast makes of text, where that changes nothing.
fn by_cast(text: &StringArray, wanted: &DataType, exact: bool) -> Typed {
    let keeps = |value: &str| match wanted {
        DataType::Date32 | DataType::Date64 => is_date(value) || (!exact && value.len() <= 10),
        DataType::Timestamp(unit, zone) => match stamp(value) {
            Some(found) => found.fraction <= kept_digits(*unit) && (!exact || found.zoned == zone.is_some()),
            None => !exact,
        },
        DataType::Boolean => {
            !exact || value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false")
        }
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) if exact => number(value)
            .is_some_and(|found| {
                !found.padded && !found.exponent && found.fraction <= usize::try_from(*scale).unwrap_or(0)
            }),
        _ => true,
    };
    if let Some(row) =
        text.iter().position(|value| value.is_some_and(|value| !value.is_empty() && !keeps(value)))
    {
        return Err(unreadable(row, text.value(row), wanted));
    }
    let keeps_empty = matches!(
        wanted,
        DataType::LargeUtf8
            | DataType::Dictionary(..)
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
    );
    let source: ArrayRef = Arc::new(text.clone());
    let options = CastOptions { safe: true, ..CastOptions::default() };
    let made = cast_with_options(&source, wanted, &options)
        .map_err(|_| unreadable(0, text.iter().flatten().next().unwrap_or(""), wanted))?;
    let lost = (0..text.len()).find(|row| {
        text.is_valid(*row) && made.is_null(*row) && (keeps_empty || !text.value(*row).is_empty())
    });
    match lost {
        Some(row) => Err(unreadable(row, text.value(row), wanted)),
        None => Ok(made),
    }
}

/// Returns a nested column with the values inside it typed.
fn nested(values: &ArrayRef, wanted: &DataType, exact: bool) -> Typed {
    let of_row = |offsets: &[i64], error: Unreadable| {
        let row = offsets.partition_point(|start| *start <= error.row as i64).saturating_sub(1);
        Unreadable { row, ..error }
    };
    let no = |_| unreadable(0, "", wanted);
    match (values.data_type(), wanted) {
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let have = values.as_struct();
            let parts =
                have.columns().iter().zip(fields).map(|(part, field)| typed(part, field.data_type(), exact));
            let parts = parts.collect::<Result<Vec<_>, _>>()?;
            let made =
                StructArray::try_new_with_length(fields.clone(), parts, have.nulls().cloned(), have.len());
            Ok(Arc::new(made.map_err(no)?))
        }
        (DataType::List(_), DataType::List(item)) => {
            let have = values.as_list::<i32>();
            let offsets: Vec<i64> = have.value_offsets().iter().map(|offset| i64::from(*offset)).collect();
            let items =
                typed(have.values(), item.data_type(), exact).map_err(|error| of_row(&offsets, error))?;
            let made =
                ListArray::try_new(Arc::clone(item), have.offsets().clone(), items, have.nulls().cloned());
            Ok(Arc::new(made.map_err(no)?))
        }
        (DataType::LargeList(_), DataType::LargeList(item)) => {
            let have = values.as_list::<i64>();
            let items = typed(have.values(), item.data_type(), exact)
                .map_err(|error| of_row(have.value_offsets(), error))?;
            let made = LargeListArray::try_new(
                Arc::clone(item),
                have.offsets().clone(),
                items,
                have.nulls().cloned(),
            );
            Ok(Arc::new(made.map_err(no)?))
        }
        (DataType::FixedSizeList(..), DataType::FixedSizeList(item, size)) => {
            let have = values.as_fixed_size_list();
            let items = typed(have.values(), item.data_type(), exact).map_err(|error| {
                let row = error.row / usize::try_from(*size).unwrap_or(1).max(1);
                Unreadable { row, ..error }
            })?;
            let made = FixedSizeListArray::try_new(Arc::clone(item), *size, items, have.nulls().cloned());
            Ok(Arc::new(made.map_err(no)?))
        }
        (DataType::Map(..), DataType::Map(entry, sorted)) => {
            let have = values.as_map();
            let offsets: Vec<i64> = have.value_offsets().iter().map(|offset| i64::from(*offset)).collect();
            let entries: ArrayRef = Arc::new(have.entries().clone());
            let entries =
                typed(&entries, entry.data_type(), exact).map_err(|error| of_row(&offsets, error))?;
            let entries = entries.as_struct().clone();
            let made = MapArray::try_new(
                Arc::clone(entry),
                have.offsets().clone(),
                entries,
                have.nulls().cloned(),
                *sorted,
            );
            Ok(Arc::new(made.map_err(no)?))
        }
        _ => cast(values, wanted).map_err(no),
    }
}
