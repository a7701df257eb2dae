//! The columns of pairs, which task 'embed' learns from: two texts, and perhaps how alike they are.

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use nightjar_catalog::Task;
use nightjar_functions::TextColumn;

use crate::error::Result;
use crate::labelled_rows::{DEFAULT_TARGET, Roles};
use crate::training_error::TrainingError;
use nightjar_sql::quote_identifier;

/// Which column holds the scores of pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Score<'a> {
    /// This one.
    Named(&'a str),
    /// The column `label`, else the only one with numbers, if there is one.
    Found,
    /// None: the pairs belong together.
    None,
}

impl Roles {
    /// Returns the roles of the columns of pairs: two texts in their order, and a score or none.
    ///
    /// # Errors
    /// `NoTarget`, `ScoreType`, `ExtraColumns`, `PairColumns`.
    pub(crate) fn of_pairs(schema: &Schema, score: Score<'_>) -> Result<Self> {
        let fields: Vec<&Field> = schema.fields().iter().map(AsRef::as_ref).collect();
        let score = match score {
            Score::Named(name) => Some(named(&fields, name)?),
            Score::Found => found(&fields)?,
            Score::None => None,
        };
        let target = score.map(|score| score.name().clone());
        let (mut texts, mut extra) = (Vec::new(), Vec::new());
        for field in fields.iter().filter(|field| Some(field.name()) != target.as_ref()) {
            if TextColumn::accepts(field.data_type()) {
                texts.push(field.name().clone());
            } else {
                extra.push(format!("{} ({})", field.name(), field.data_type()));
            }
        }
        match texts.as_slice() {
            [first, second] if extra.is_empty() => Ok(Self {
                text: first.clone(),
                second: Some(second.clone()),
                target,
                task: Task::Embed,
                multi_label: false,
            }),
            [_, _] => {
                let quoted: Vec<_> = texts.iter().map(|text| quote_identifier(text)).collect();
                let text = Some(quoted.join(", "));
                Err(TrainingError::ExtraColumns { columns: extra, text, target: target.unwrap_or_default() }
                    .into())
            }
            _ => Err(TrainingError::PairColumns { columns: texts }.into()),
        }
    }
}

fn named<'a>(fields: &[&'a Field], name: &str) -> Result<&'a Field> {
    let Some(field) = fields.iter().find(|field| field.name() == name) else {
        return Err(no_score(fields, name));
    };
    if !is_number(field.data_type()) {
        let (target, found) = (name.to_owned(), field.data_type().to_string());
        return Err(TrainingError::ScoreType { target, found }.into());
    }
    Ok(field)
}

fn found<'a>(fields: &[&'a Field]) -> Result<Option<&'a Field>> {
    if fields.iter().any(|field| field.name() == DEFAULT_TARGET) {
        return named(fields, DEFAULT_TARGET).map(Some);
    }
    let mut numbers = fields.iter().filter(|field| is_number(field.data_type()));
    match (numbers.next(), numbers.next()) {
        (found, None) => Ok(found.copied()),
        _ => Err(no_score(fields, DEFAULT_TARGET)),
    }
}

fn no_score(fields: &[&Field], target: &str) -> crate::StatementError {
    let columns = fields.iter().map(|field| field.name().clone()).collect();
    TrainingError::NoTarget { target: target.to_owned(), columns }.into()
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}
