//! The type of a column whose values are text: what all of them can be without losing anything.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Fields};

use super::number::{float_keeps, number, special};
use super::temporal::{is_date, stamp, unit_of};

const TEXT: u8 = 1;
const BOOLEAN: u8 = 2;
const INTEGER: u8 = 4;
const FLOAT: u8 = 8;
const SPECIAL: u8 = 16;
const DATE: u8 = 32;
const STAMP: u8 = 64;

/// The most digits of a decimal of 128 bits, and of 256.
const DIGITS_128: usize = 38;
const DIGITS_256: usize = 76;

/// What the values of a column have been so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Guess {
    /// The kinds of values that there were.
    kinds: u8,
    negative: bool,
    /// A whole number that 64 bits with a sign, or without one, don't hold.
    beyond_signed: bool,
    beyond_unsigned: bool,
    /// A number that a float would change.
    changed: bool,
    exponent: bool,
    whole: usize,
    fraction: usize,
    zoned: bool,
    plain: bool,
    /// A year that nanoseconds don't reach.
    far: bool,
}

impl Guess {
    /// Takes in a value as it is written. Numbers that begin with a zero or a plus are text, because a number has neither.
    pub(crate) fn add(&mut self, text: &str) {
        // Nothing else is looked for in a column of text.
        if self.kinds & TEXT != 0 {
            return;
        }
        match text.as_bytes().first() {
            Some(b'0'..=b'9' | b'-' | b'+' | b'.') => {
                if let Some(found) = number(text) {
                    return if found.padded { self.kinds |= TEXT } else { self.number(text, found) };
                }
                if is_date(text) {
                    self.kinds |= DATE;
                } else if let Some(found) = stamp(text) {
                    self.kinds |= STAMP;
                    self.zoned |= found.zoned;
                    self.plain |= !found.zoned;
                    self.far |= !(1678..=2261).contains(&found.year);
                    self.fraction = self.fraction.max(found.fraction);
                } else {
                    self.kinds |= if special(text) { SPECIAL } else { TEXT };
                }
            }
            _ if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") => {
                self.kinds |= BOOLEAN
            }
            _ => self.kinds |= if special(text) { SPECIAL } else { TEXT },
        }
    }

    /// Takes in a number of JSON, as it is written.
    pub(crate) fn add_number(&mut self, text: &str) {
        match number(text) {
            Some(found) => self.number(text, found),
            None => self.kinds |= TEXT,
        }
    }

    /// Takes in a text that is nothing but text.
    pub(crate) fn add_text(&mut self) {
        self.kinds |= TEXT;
    }

    /// Takes in true or false.
    pub(crate) fn add_boolean(&mut self) {
        self.kinds |= BOOLEAN;
    }

    fn number(&mut self, text: &str, found: super::number::Number) {
        self.negative |= found.negative;
        self.exponent |= found.exponent;
        self.whole = self.whole.max(found.whole);
        self.changed |= !float_keeps(text);
        if found.point || found.exponent {
            self.kinds |= FLOAT;
            self.fraction = self.fraction.max(found.fraction);
        } else {
            self.kinds |= INTEGER;
            if found.whole > 18 {
                self.beyond_signed |= text.parse::<i64>().is_err();
                self.beyond_unsigned |= text.parse::<u64>().is_err();
            }
        }
    }

    /// Takes in what another file's column is.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.kinds |= other.kinds;
        self.negative |= other.negative;
        self.beyond_signed |= other.beyond_signed;
        self.beyond_unsigned |= other.beyond_unsigned;
        self.changed |= other.changed;
        self.exponent |= other.exponent;
        self.whole = self.whole.max(other.whole);
        self.fraction = self.fraction.max(other.fraction);
        self.zoned |= other.zoned;
        self.plain |= other.plain;
        self.far |= other.far;
    }

    /// Returns the type, Null where there was no value.
    pub(crate) fn data_type(&self) -> DataType {
        match self.kinds {
            0 => DataType::Null,
            BOOLEAN => DataType::Boolean,
            DATE => DataType::Date32,
            STAMP if self.zoned != self.plain => {
                let unit = unit_of(self.fraction);
                match self.far && self.fraction > 6 {
                    true => DataType::Utf8,
                    false => DataType::Timestamp(unit, self.zoned.then(|| Arc::from("+00:00"))),
                }
            }
            INTEGER if !self.beyond_signed => DataType::Int64,
            INTEGER if !self.beyond_unsigned && !self.negative => DataType::UInt64,
            INTEGER => self.decimal(),
            kinds if kinds & (TEXT | BOOLEAN | DATE | STAMP) != 0 || kinds == SPECIAL => DataType::Utf8,
            _ if !self.changed => DataType::Float64,
            kinds if kinds & SPECIAL != 0 || self.exponent => DataType::Utf8,
            _ => self.decimal(),
        }
    }

    /// Returns the decimal that keeps all digits, or text where none does.
    fn decimal(&self) -> DataType {
        let scale = i8::try_from(self.fraction).unwrap_or(i8::MAX);
        match self.whole + self.fraction {
            digits if digits <= DIGITS_128 => DataType::Decimal128(DIGITS_128 as u8, scale),
            digits if digits <= DIGITS_256 => DataType::Decimal256(DIGITS_256 as u8, scale),
            _ => DataType::Utf8,
        }
    }
}

/// Returns a type with text where nothing but NULL was seen: a later value of any kind is then kept.
pub(crate) fn without_null(data_type: &DataType) -> DataType {
    let inner = |field: &Field| field.clone().with_data_type(without_null(field.data_type()));
    match data_type {
        DataType::Null => DataType::Utf8,
        DataType::List(item) => DataType::List(Arc::new(inner(item))),
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| inner(field)).collect::<Fields>())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(values: &[&str]) -> String {
        let mut guess = Guess::default();
        values.iter().for_each(|value| guess.add(value));
        guess.data_type().to_string()
    }

    #[test]
    fn a_type_keeps_every_value() {
        for (values, expected) in [
            (&[][..], "Null"),
            (&["1", "-2"], "Int64"),
            (&["1", "007"], "Utf8"),
            (&["+1"], "Utf8"),
            (&["12345678901234567890"], "UInt64"),
            (&["12345678901234567890", "-1"], "Decimal128(38, 0)"),
            (&["123456789012345678901"], "Decimal128(38, 0)"),
            (&["1", "1.5"], "Float64"),
            (&["1", "NaN", "-inf"], "Float64"),
            (&["NaN"], "Utf8"),
            (&["1e5", "2"], "Float64"),
            (&["9007199254740993", "1.5"], "Decimal128(38, 1)"),
            (&["0.1234567890123456789"], "Decimal128(38, 19)"),
            (&["0.1234567890123456789", "1e5"], "Utf8"),
            (&["true", "False"], "Boolean"),
            (&["true", "1"], "Utf8"),
            (&["2024-01-01"], "Date32"),
            (&["2024-02-30"], "Utf8"),
            (&["2024-01-01T00:00:00"], "Timestamp(s)"),
            (&["2024-01-01T00:00:00.5", "2024-01-01 00:00:00.1234"], "Timestamp(µs)"),
            (&["2024-01-01T00:00:00Z", "2024-01-01T00:00:00"], "Utf8"),
            (&["9999-01-01T00:00:00.123456789"], "Utf8"),
            (&["5%", "1"], "Utf8"),
        ] {
            assert_eq!(guess(values), expected, "{values:?}");
        }
    }
}
