//! What a training option takes.

use std::fmt;
use std::ops::{Bound, RangeBounds};

use datafusion_sql::sqlparser::ast::Value;

use crate::parse::grammar::alternatives;
use crate::training::option_values::OptionValue;

/// What an option takes. It prints itself in words.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// One of these words, in any case.
    Text {
        /// The words, in small letters.
        allowed: &'static [&'static str],
    },
    /// A whole number, bounds included.
    Integer {
        /// The least.
        min: i64,
        /// The greatest.
        max: i64,
        /// A word that may stand instead of the number.
        or: Option<&'static str>,
    },
    /// A finite number.
    Float {
        /// The lower bound.
        min: Bound<f64>,
        /// The upper bound.
        max: Bound<f64>,
        /// A word that may stand instead of the number.
        or: Option<&'static str>,
    },
}

impl Kind {
    /// The value, if this kind takes it.
    pub(crate) fn read(&self, value: &Value) -> Option<OptionValue> {
        match (self, value) {
            (Kind::Text { allowed }, Value::SingleQuotedString(text)) => allowed
                .iter()
                .find(|word| word.eq_ignore_ascii_case(text))
                .map(|word| OptionValue::Word(word)),
            (
                Kind::Float { or: Some(word), .. } | Kind::Integer { or: Some(word), .. },
                Value::SingleQuotedString(text),
            ) => word.eq_ignore_ascii_case(text).then_some(OptionValue::Word(word)),
            (Kind::Integer { min, max, .. }, Value::Number(digits, _)) => {
                digits.parse().ok().filter(|number| (*min..=*max).contains(number)).map(OptionValue::Integer)
            }
            (Kind::Float { min, max, .. }, Value::Number(digits, _)) => {
                let number = digits.parse::<f64>().ok().filter(|number| number.is_finite());
                number.filter(|number| (*min, *max).contains(number)).map(OptionValue::Float)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Text { allowed } => {
                let words: Vec<_> = allowed.iter().map(|word| format!("'{word}'")).collect();
                f.write_str(&alternatives(&words))
            }
            Kind::Integer { min, max, or } => {
                write!(f, "a whole number from {min}")?;
                // Bounds that nobody meets only make the message longer.
                if *max < i64::from(u32::MAX) {
                    write!(f, " to {max}")?;
                }
                or.iter().try_for_each(|word| write!(f, " or '{word}'"))
            }
            Kind::Float { min, max, or } => {
                f.write_str("a number")?;
                match min {
                    Bound::Included(min) => write!(f, " from {min}")?,
                    Bound::Excluded(min) => write!(f, " above {min}")?,
                    Bound::Unbounded => {}
                }
                match max {
                    Bound::Included(max) => write!(f, " to {max}")?,
                    Bound::Excluded(max) => write!(f, " to below {max}")?,
                    Bound::Unbounded => {}
                }
                or.iter().try_for_each(|word| write!(f, " or '{word}'"))
            }
        }
    }
}
