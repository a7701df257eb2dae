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

#[cfg(test)]
mod tests {
    use super::super::Guess;
    use super::super::number::same;
    use super::*;

    /// Numbers that are the same each time.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, below: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (self.0 >> 33) % below
        }

        fn digits(&mut self, most: u64) -> String {
            (0..=self.below(most)).map(|_| char::from(b'0' + self.below(10) as u8)).collect()
        }

        fn literal(&mut self, kinds: u64) -> String {
            let sign = if self.below(3) == 0 { "-" } else { "" };
            match self.below(kinds) {
                0 => format!("{sign}{}", self.below(2000)),
                1 => format!("{sign}{}.{}", self.below(100), self.digits(6)),
                2 => format!("{sign}{}", self.digits(25)),
                3 => format!("{}.{}", self.below(9), self.digits(22)),
                4 => format!("{}e{}", self.below(100), self.below(40)),
                5 => "NaN".to_owned(),
                6 => "true".to_owned(),
                _ => format!("2026-0{}-1{}", 1 + self.below(9), self.below(9)),
            }
        }
    }

    #[test]
    fn the_type_of_a_column_changes_none_of_its_values() {
        let mut numbers = Numbers(11);
        for _ in 0..3000 {
            let kinds = 1 + numbers.below(8);
            let values: Vec<String> = (0..1 + numbers.below(4)).map(|_| numbers.literal(kinds)).collect();
            let mut guess = Guess::default();
            values.iter().for_each(|value| guess.add(value));
            let text: ArrayRef = Arc::new(StringArray::from_iter_values(&values));
            let wanted = guess.data_type();
            let made = typed(&text, &wanted, true).unwrap_or_else(|error| panic!("{values:?}: {error:?}"));
            let back = cast(&made, &DataType::Utf8).unwrap();
            for (value, back) in values.iter().zip(back.as_string::<i32>()) {
                let back = back.unwrap_or("NULL");
                let kept = value == back || (wanted != DataType::Utf8 && same(value, back));
                assert!(kept, "{value} is {back} as {wanted}, of {values:?}");
            }
        }
    }

    #[test]
    fn a_later_value_that_would_change_is_refused() {
        for (value, wanted) in [
            ("1.5", DataType::Int64),
            ("007", DataType::Int64),
            ("+1", DataType::Int64),
            ("9223372036854775808", DataType::Int64),
            ("9007199254740993", DataType::Float64),
            ("0.12345678901234567890", DataType::Float64),
            ("1e400", DataType::Float64),
            ("yes", DataType::Boolean),
            ("2026-11-30T00:00:00", DataType::Date32),
            (
                "2026-11-30T00:00:00.5",
                DataType::Timestamp(datafusion::arrow::datatypes::TimeUnit::Second, None),
            ),
            (
                "2026-11-30T00:00:00Z",
                DataType::Timestamp(datafusion::arrow::datatypes::TimeUnit::Second, None),
            ),
            ("1.25", DataType::Decimal128(38, 1)),
        ] {
            let text: ArrayRef = Arc::new(StringArray::from(vec![Some("1"), None, Some(value)]).slice(1, 2));
            let error = typed(&text, &wanted, true).expect_err(value);
            assert_eq!((error.row, error.value.as_str()), (1, value));
        }
        // What somebody has declared rounds, but never past a float's range.
        let text: ArrayRef = Arc::new(StringArray::from(vec!["007", " 1", ""]));
        assert_eq!(typed(&text, &DataType::Int32, false).unwrap().null_count(), 1);
        let text: ArrayRef = Arc::new(StringArray::from(vec!["1e400"]));
        assert!(typed(&text, &DataType::Float64, false).is_err());
    }
}
