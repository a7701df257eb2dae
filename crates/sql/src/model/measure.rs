//! The metrics by which two models are compared.

use nightjar_errors::nearest;

use crate::error::{Result, SqlError};

/// A metric of EVALUATE MODEL by which models are compared.
#[derive(Debug)]
pub struct Measure {
    /// Its name.
    pub name: &'static str,
    /// Whether more of it is better.
    higher_is_better: bool,
}

const fn higher(name: &'static str) -> Measure {
    Measure { name, higher_is_better: true }
}

const fn lower(name: &'static str) -> Measure {
    Measure { name, higher_is_better: false }
}

/// Every metric of the whole that EVALUATE MODEL returns, but for the number of rows.
pub static MEASURES: &[Measure] = &[
    higher("accuracy"),
    higher("macro_precision"),
    higher("macro_recall"),
    higher("macro_f1"),
    higher("micro_precision"),
    higher("micro_recall"),
    higher("micro_f1"),
    higher("roc_auc"),
    lower("log_loss"),
    lower("rmse"),
    lower("mae"),
    higher("r2"),
    higher("pearson"),
    higher("spearman"),
];

impl Measure {
    /// Returns the measure of a name, in small or capital letters.
    ///
    /// # Errors
    /// A name that no model is measured by.
    pub fn named(name: &str) -> Result<&'static Self> {
        let found = MEASURES.iter().find(|measure| measure.name.eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            let known = MEASURES.iter().map(|measure| measure.name);
            let nearest = nearest(&name.to_lowercase(), known).map(str::to_owned);
            SqlError::MeasureUnknown { name: name.to_owned(), nearest }
        })
    }

    /// Returns whether a value is better than another one, and not as good. What is no number is worse than any that is.
    pub fn is_better(&self, value: f64, than: f64) -> bool {
        match (value.is_nan(), than.is_nan()) {
            (true, _) => false,
            (false, true) => true,
            _ if self.higher_is_better => value > than,
            _ => value < than,
        }
    }
}
