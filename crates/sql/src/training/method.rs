//! How a model is trained, and the other choices that options make by a word.

use std::fmt;

use crate::parse::grammar::alternatives;

/// A method of training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// All weights of the encoder move, and the head with them.
    Full,
    /// Low-rank additions to the encoder's projections move, and the head with them.
    Lora,
    /// The encoder stays as it is; a linear layer is fitted on its embeddings.
    Head,
}

/// The method of training if none is given.
pub const DEFAULT_METHOD: Method = Method::Full;

impl Method {
    /// Every method.
    pub const ALL: &'static [Method] = &[Method::Full, Method::Lora, Method::Head];
    /// The methods that learn by gradient.
    pub const GRADIENT: &'static [Method] = &[Method::Full, Method::Lora];

    /// The word of the option `method`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Method::Full => "full",
            Method::Lora => "lora",
            Method::Head => "head",
        }
    }

    /// The word as SQL.
    pub const fn sql(self) -> &'static str {
        match self {
            Method::Full => "'full'",
            Method::Lora => "'lora'",
            Method::Head => "'head'",
        }
    }

    /// Why this method is a good default.
    pub const fn reason(self) -> &'static str {
        match self {
            Method::Full => "moving the whole encoder learns most from labelled rows",
            Method::Lora => "a small file per model comes close to what moving the whole encoder learns",
            Method::Head => {
                "a head needs one pass over the rows, is fitted to its optimum, and shares its encoder with other models"
            }
        }
    }

    /// The method of a word in small letters.
    pub fn of(word: &str) -> Option<Method> {
        Self::ALL.iter().copied().find(|method| method.as_str() == word)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The methods in words: `'full' or 'lora'`, or `all`.
pub fn method_words(methods: &[Method]) -> String {
    if methods.len() == Method::ALL.len() {
        return "all".to_owned();
    }
    let words: Vec<_> = methods.iter().map(|method| method.sql()).collect();
    alternatives(&words)
}

/// How classes are weighed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClassWeights {
    /// Each row alike.
    None,
    /// Each class alike.
    Balanced,
}

/// How the learning rate falls after the warm-up; both end at 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// Along a line.
    Linear,
    /// Along half a cosine.
    Cosine,
}

/// Which projections of a layer get a low-rank addition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoraTargets {
    /// Every linear layer: those of attention and those of the feed-forward part.
    All,
    /// Query, key, value and output of attention.
    Attention,
}
