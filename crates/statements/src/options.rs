//! The options of training, `WITH (option = value, …)`, as data.

use std::fmt;
use std::ops::{Bound, RangeBounds};

use datafusion::sql::sqlparser::ast::Value;

use crate::grammar::alternatives;
use crate::option_values::OptionValue;

/// One option of training.
#[derive(Debug)]
pub struct TrainingOption {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Its value if it is not given, as SQL, or in words where that depends on the data or the model.
    pub default: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// Why the default is what it is.
    pub reason: &'static str,
}

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

/// The options of training.
pub static TRAINING_OPTIONS: &[TrainingOption] = &[
    TrainingOption {
        name: "method",
        kind: Kind::Text { allowed: &["head"] },
        default: "'head'",
        summary: "How to train: 'head' keeps the encoder as it is and fits a linear layer on its embeddings.",
        reason: "a head needs one pass over the rows, is fitted to its optimum, and shares its encoder with other models",
    },
    TrainingOption {
        name: "task",
        kind: Kind::Text { allowed: &["classify", "regress"] },
        default: "by the target's type",
        summary: "What to learn: 'classify' a label, or 'regress' a number.",
        reason: "text, booleans and integers are nearly always labels, and floats nearly always measures",
    },
    TrainingOption {
        name: "regularization",
        kind: Kind::Float { min: Bound::Excluded(0.0), max: Bound::Unbounded, or: Some("auto") },
        default: "'auto'",
        summary: "The inverse strength C of the L2 penalty on the head's weights: the smaller, the stronger. 'auto' takes \
            the C with the least validation loss.",
        reason: "the best C varies by orders of magnitude with the number of rows, and trying several costs little \
            once the rows are embedded",
    },
    TrainingOption {
        name: "class_weights",
        kind: Kind::Text { allowed: &["none", "balanced"] },
        default: "'none'",
        summary: "'balanced' weighs each row by the inverse of its class's frequency, so that rare classes count as much \
            as common ones.",
        reason: "unweighted training gives probabilities that fit the frequencies of the data",
    },
    TrainingOption {
        name: "validation_fraction",
        kind: Kind::Float { min: Bound::Included(0.0), max: Bound::Excluded(0.9), or: None },
        default: "0.1",
        summary: "The part of the rows set aside to measure on, the same part of each class. 0 sets none aside.",
        reason: "a tenth measures well from some hundred rows on, and leaves most rows to learn from",
    },
    TrainingOption {
        name: "seed",
        kind: Kind::Integer { min: 0, max: i64::MAX },
        default: "42",
        summary: "The seed of everything random, such as the split.",
        reason: "the same statement on the same rows gives the same model",
    },
    TrainingOption {
        name: "max_length",
        kind: Kind::Integer { min: 4, max: u32::MAX as i64 },
        default: "the model's window",
        summary: "The most tokens of a text that are read; the rest is cut off.",
        reason: "the model was trained with that window; a shorter one is faster where the start of a text tells enough",
    },
    TrainingOption {
        name: "precision",
        kind: Kind::Text { allowed: &["auto", "f32", "bf16", "int8"] },
        default: "'auto'",
        summary: "The numbers that the encoder multiplies, in training and in each call of the model, unless the session's \
            nightjar.precision is not 'auto'. 'auto' trains in f32 and leaves calls to the machine: bf16 where the CPU has \
            it, else f32.",
        reason: "training once in f32 gives the same model on every machine; calls in bf16 are faster and hardly differ",
    },
];

/// The options of the dialect that only training by gradient has.
pub(crate) const GRADIENT_OPTIONS: &[&str] = &[
    "batch_size",
    "dropout",
    "early_stopping",
    "epochs",
    "freeze_layers",
    "learning_rate",
    "rounds_per_epoch",
    "shards",
    "warmup_ratio",
    "weight_decay",
];

impl Kind {
    /// The value, if this kind takes it.
    pub(crate) fn read(&self, value: &Value) -> Option<OptionValue> {
        match (self, value) {
            (Kind::Text { allowed }, Value::SingleQuotedString(text)) => allowed
                .iter()
                .find(|word| word.eq_ignore_ascii_case(text))
                .map(|word| OptionValue::Word(word)),
            (Kind::Float { or: Some(word), .. }, Value::SingleQuotedString(text)) => {
                word.eq_ignore_ascii_case(text).then_some(OptionValue::Word(word))
            }
            (Kind::Integer { min, max }, Value::Number(digits, _)) => {
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
            Kind::Integer { min, max } if *max >= i64::from(u32::MAX) => {
                write!(f, "a whole number from {min}")
            }
            Kind::Integer { min, max } => write!(f, "a whole number from {min} to {max}"),
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
