//! The values of the training options of one statement, checked.

use std::collections::BTreeMap;
use std::fmt;

use datafusion::sql::sqlparser::ast::Value;
use nightjar_functions::PRECISION_OPTION;
use nightjar_models::{Precision, nearest};

use crate::error::{Result, StatementError};
use crate::options::{GRADIENT_OPTIONS, TRAINING_OPTIONS, TrainingOption};
use crate::with_clause::value_sql;

/// The method of training if none is given.
const DEFAULT_METHOD: &str = "head";
const DEFAULT_VALIDATION_FRACTION: f64 = 0.1;
const DEFAULT_SEED: u64 = 42;

/// How classes are weighed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClassWeights {
    /// Each row alike.
    None,
    /// Each class alike.
    Balanced,
}

/// The values of the training options: those given, checked, and the defaults of the others.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OptionValues {
    given: BTreeMap<&'static str, OptionValue>,
}

/// One value, of the kind its option takes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum OptionValue {
    Word(&'static str),
    Integer(i64),
    Float(f64),
}

impl OptionValues {
    /// The values of these options, as a statement holds them.
    ///
    /// # Errors
    /// An option that is unknown, of another method, given twice, or has a value that it does not take.
    pub fn parse(options: &[(String, Value)]) -> Result<Self> {
        let mut values = OptionValues::default();
        // The method first: the error of an option of another method names it.
        let (methods, others): (Vec<_>, Vec<_>) = options.iter().partition(|(name, _)| name == "method");
        for (name, value) in methods.into_iter().chain(others) {
            let option = values.find(name)?;
            let value = option.kind.read(value).ok_or_else(|| StatementError::OptionValue {
                option: option.name,
                value: value_sql(value),
                allowed: option.kind.to_string(),
            })?;
            if values.given.insert(option.name, value).is_some() {
                return Err(StatementError::RepeatedOption { option: option.name });
            }
        }
        Ok(values)
    }

    fn find(&self, name: &str) -> Result<&'static TrainingOption> {
        if let Some(option) = TRAINING_OPTIONS.iter().find(|option| option.name == name) {
            return Ok(option);
        }
        if let Some(option) = GRADIENT_OPTIONS.iter().find(|option| **option == name) {
            let method = self.method().to_string();
            return Err(StatementError::OptionOfOtherMethod {
                option,
                belongs_to: "gradient training",
                method,
            });
        }
        let known = TRAINING_OPTIONS.iter().map(|option| option.name);
        Err(StatementError::UnknownOption { option: name.to_string(), nearest: nearest(name, known) })
    }

    /// The method of training: `head`.
    pub fn method(&self) -> &'static str {
        self.word("method").unwrap_or(DEFAULT_METHOD)
    }

    /// The task, `classify` or `regress`, if it is given; otherwise the target's type decides.
    pub fn task(&self) -> Option<&'static str> {
        self.word("task")
    }

    /// The inverse strength C of the L2 penalty, above 0; `None` is 'auto'.
    pub fn regularization(&self) -> Option<f64> {
        self.float("regularization")
    }

    /// How classes are weighed.
    pub fn class_weights(&self) -> ClassWeights {
        match self.word("class_weights") {
            Some("balanced") => ClassWeights::Balanced,
            _ => ClassWeights::None,
        }
    }

    /// The part of the rows to set aside, at least 0 and below 0.9.
    pub fn validation_fraction(&self) -> f64 {
        self.float("validation_fraction").unwrap_or(DEFAULT_VALIDATION_FRACTION)
    }

    /// The seed of everything random.
    pub fn seed(&self) -> u64 {
        self.integer("seed").and_then(|seed| u64::try_from(seed).ok()).unwrap_or(DEFAULT_SEED)
    }

    /// The most tokens of a text, at least 4, if it is given; otherwise the model's window.
    pub fn max_length(&self) -> Option<usize> {
        self.integer("max_length").and_then(|length| usize::try_from(length).ok())
    }

    /// The precision of training and calls, where it is not left to the machine.
    pub fn precision(&self) -> Option<Precision> {
        self.word(PRECISION_OPTION).and_then(|name| name.parse().ok())
    }

    /// Whether the statement gives this option.
    pub fn is_given(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// Every option with its value as text, those not given with their default: what a model's card keeps.
    pub fn to_card(&self) -> BTreeMap<String, String> {
        let text = |option: &TrainingOption| match self.given.get(option.name) {
            Some(value) => value.to_string(),
            None => option.default.trim_matches('\'').to_string(),
        };
        TRAINING_OPTIONS.iter().map(|option| (option.name.to_string(), text(option))).collect()
    }

    fn word(&self, name: &str) -> Option<&'static str> {
        match self.given.get(name)? {
            OptionValue::Word(word) => Some(word),
            _ => None,
        }
    }

    fn float(&self, name: &str) -> Option<f64> {
        match self.given.get(name)? {
            OptionValue::Float(number) => Some(*number),
            _ => None,
        }
    }

    fn integer(&self, name: &str) -> Option<i64> {
        match self.given.get(name)? {
            OptionValue::Integer(number) => Some(*number),
            _ => None,
        }
    }
}

impl fmt::Display for OptionValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OptionValue::Word(word) => f.write_str(word),
            OptionValue::Integer(number) => number.fmt(f),
            OptionValue::Float(number) => number.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use nightjar_models::Failure;

    use super::*;

    fn parse(options: &[(&str, &str)]) -> Result<OptionValues> {
        let value = |text: &str| match text.strip_prefix('\'') {
            Some(text) => Value::SingleQuotedString(text.trim_end_matches('\'').to_string()),
            None if text == "true" => Value::Boolean(true),
            None => Value::Number(text.to_string(), false),
        };
        let options: Vec<_> = options.iter().map(|(name, text)| (name.to_string(), value(text))).collect();
        OptionValues::parse(&options)
    }

    fn error(options: &[(&str, &str)]) -> String {
        parse(options).unwrap_err().to_string()
    }

    #[test]
    fn defaults_are_those_documented() {
        let values = OptionValues::default();
        let documented = |name| TRAINING_OPTIONS.iter().find(|option| option.name == name).unwrap().default;
        assert_eq!(format!("'{}'", values.method()), documented("method"));
        assert_eq!(values.validation_fraction().to_string(), documented("validation_fraction"));
        assert_eq!(values.seed().to_string(), documented("seed"));
        assert_eq!((values.task(), values.regularization(), values.max_length()), (None, None, None));
        assert_eq!((values.class_weights(), documented("class_weights")), (ClassWeights::None, "'none'"));
    }

    #[test]
    fn values_are_read() {
        let values = parse(&[
            ("task", "'Classify'"),
            ("regularization", "1e-2"),
            ("class_weights", "'balanced'"),
            ("validation_fraction", "0"),
            ("seed", "7"),
            ("max_length", "128"),
            ("method", "'HEAD'"),
        ])
        .unwrap();
        assert_eq!((values.method(), values.task()), ("head", Some("classify")));
        assert_eq!((values.regularization(), values.validation_fraction()), (Some(0.01), 0.0));
        assert_eq!((values.seed(), values.max_length()), (7, Some(128)));
        assert_eq!(values.class_weights(), ClassWeights::Balanced);
        assert_eq!(parse(&[("regularization", "'auto'")]).unwrap().regularization(), None);
        assert_eq!(values.to_card()["regularization"], "0.01");
        assert_eq!(OptionValues::default().to_card()["method"], "head");
    }

    #[test]
    fn wrong_values_name_what_is_taken() {
        for (name, value, allowed) in [
            ("method", "'full'", "'head'"),
            ("task", "'rank'", "'classify' or 'regress'"),
            ("task", "1", "'classify' or 'regress'"),
            ("class_weights", "true", "'none' or 'balanced'"),
            ("regularization", "0", "a number above 0 or 'auto'"),
            ("regularization", "'best'", "a number above 0 or 'auto'"),
            ("regularization", "1e999", "a number above 0 or 'auto'"),
            ("validation_fraction", "0.9", "a number from 0 to below 0.9"),
            ("validation_fraction", "-0.1", "a number from 0 to below 0.9"),
            ("validation_fraction", "'0.1'", "a number from 0 to below 0.9"),
            ("seed", "1.5", "a whole number from 0"),
            ("seed", "-1", "a whole number from 0"),
            ("seed", "99999999999999999999", "a whole number from 0"),
            ("max_length", "3", "a whole number from 4"),
        ] {
            assert_eq!(
                error(&[(name, value)]),
                format!("option {name} cannot be {value}: it takes {allowed}")
            );
        }
    }

    #[test]
    fn unknown_repeated_and_later_options() {
        let unknown = parse(&[("sed", "1")]).unwrap_err();
        assert_eq!(unknown.to_string(), "unknown training option sed");
        assert_eq!(unknown.hint().as_deref(), Some("did you mean seed?"));
        let far = parse(&[("quantum", "1")]).unwrap_err();
        assert!(far.hint().unwrap().starts_with("the options are method, task"), "{far:?}");
        assert_eq!(error(&[("seed", "1"), ("seed", "1")]), "option seed is given twice");
        assert_eq!(
            error(&[("epochs", "2"), ("method", "'head'")]),
            "option epochs belongs to gradient training, which method 'head' does not do"
        );
        for option in GRADIENT_OPTIONS {
            assert!(TRAINING_OPTIONS.iter().all(|known| known.name != *option));
        }
    }
}
