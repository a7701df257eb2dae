//! What a metric takes as an argument.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;

use super::scores::ScoresColumn;
use crate::label_lists::is_label;
use crate::{FunctionError, LabelLists, Result};

/// The role of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Argument {
    /// A class, true or predicted, compared as text.
    Label,
    /// Any number of classes, true or predicted.
    LabelList,
    /// A number: a value or a score.
    Number,
    /// What `classify_scores` returns.
    Scores,
    /// A constant that names one class.
    Class,
}

impl Argument {
    fn expected(self) -> &'static str {
        match self {
            Self::Label => "a label (text, boolean or integer)",
            Self::LabelList => "a list of labels",
            Self::Number => "a number",
            Self::Scores => "a list of scores (the result of classify_scores)",
            Self::Class => "a class (text, boolean or integer)",
        }
    }

    fn accepts(self, found: &DataType) -> bool {
        match self {
            Self::Label => is_label(found),
            Self::LabelList => LabelLists::accepts(found) || found.is_null(),
            Self::Number => found.is_numeric() || found.is_null(),
            Self::Scores => ScoresColumn::accepts(found) || found.is_null(),
            Self::Class => is_label(found) && !found.is_null(),
        }
    }

    fn coerced(self, found: &DataType) -> DataType {
        match self {
            Self::Number => DataType::Float64,
            Self::Class => DataType::Utf8,
            // Read as they are.
            Self::Label | Self::LabelList | Self::Scores => found.clone(),
        }
    }
}

/// The arguments of each form of a function.
pub(crate) type Forms = &'static [&'static [Argument]];

/// Returns the first form that takes arguments of these types.
///
/// # Errors
/// `Arguments` where no form has as many or the call begins a longer one, `ArgumentType` for the first that no form of as
/// many takes.
pub(crate) fn form_of(
    function: &str,
    syntax: &str,
    forms: Forms,
    types: &[DataType],
) -> Result<&'static [Argument]> {
    let of_length: Vec<_> = forms.iter().copied().filter(|form| form.len() == types.len()).collect();
    let fits = |form: &&[Argument]| form.iter().zip(types).all(|(argument, found)| argument.accepts(found));
    if let Some(form) = of_length.iter().find(|form| fits(form)) {
        return Ok(form);
    }
    // Of a longer form, what is wrong is that an argument lacks.
    let starts_longer = forms.iter().any(|form| form.len() > types.len() && fits(form));
    let refused = (0..types.len())
        .find(|&i| !of_length.is_empty() && !of_length.iter().any(|form| form[i].accepts(&types[i])))
        .filter(|_| !starts_longer);
    let Some(index) = refused else {
        let found = types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let (function, expected) = (function.to_owned(), syntax.to_owned());
        return Err(FunctionError::Arguments { function, expected, found: format!("({found})") });
    };
    let mut expected: Vec<_> = of_length.iter().map(|form| form[index].expected()).collect();
    expected.dedup();
    Err(FunctionError::ArgumentType {
        function: function.to_owned(),
        position: index + 1,
        expected: expected.join(" or "),
        found: types[index].to_string(),
    })
}

/// Returns the types that a call's arguments are cast to; as they are where no form fits.
pub(crate) fn coerced(forms: Forms, types: &[DataType]) -> Vec<DataType> {
    match form_of("", "", forms, types) {
        Ok(form) => form.iter().zip(types).map(|(argument, found)| argument.coerced(found)).collect(),
        Err(_) => types.to_vec(),
    }
}

/// Returns the type of a list of `items`.
pub(crate) fn list_of(items: DataType) -> DataType {
    DataType::List(Arc::new(datafusion::arrow::datatypes::Field::new_list_field(items, true)))
}
