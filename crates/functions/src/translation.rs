//! What DataFusion refuses, told as a user needs it: what is wrong with the statement, and what to type instead.

use std::collections::HashSet;

use datafusion::common::{Column, SchemaError};
use datafusion::error::DataFusionError;
use nightjar_errors::{nearest, plain_words};

use crate::translation_rules::RULES;

/// The most columns that a hint lists.
const LISTED_COLUMNS: usize = 20;

/// What is told of an error of DataFusion's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Translation {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// Returns what is told of an error, where DataFusion's words are not fit for it.
pub(crate) fn translate(error: &DataFusionError) -> Option<Translation> {
    match error.find_root() {
        DataFusionError::SchemaError(error, _) => translate_schema_error(error),
        root => translate_message(&plain_words(&root.strip_backtrace())),
    }
}

fn translate_schema_error(error: &SchemaError) -> Option<Translation> {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => Some(Translation {
            message: format!("unknown column '{}'", field.flat_name()),
            hint: Some(columns_hint(field, valid_fields)),
        }),
        SchemaError::AmbiguousReference { field } => Some(Translation {
            message: format!("several tables have a column '{}'", field.name),
            hint: Some(format!("say which: t.{} with the name of its table", quoted(field, false))),
        }),
        SchemaError::DuplicateUnqualifiedField { name } => Some(Translation {
            message: format!("two columns have the same name: {name}"),
            hint: Some(
                "give each column its name: SELECT max(a) AS highest, max(b) AS other FROM t".to_owned(),
            ),
        }),
        SchemaError::DuplicateQualifiedField { .. } => None,
    }
}

/// Returns which column may be meant, and which there are.
fn columns_hint(wanted: &Column, known: &[Column]) -> String {
    let relations: HashSet<_> = known.iter().map(|column| &column.relation).collect();
    // Where they come from one table, its name is left out.
    let with_relation = relations.len() > 1;
    let mut seen = HashSet::new();
    let known: Vec<&Column> = known.iter().filter(|column| seen.insert(column.flat_name())).collect();
    if known.is_empty() {
        return format!("there are no columns here: a text is written in single quotes, '{}'", wanted.name);
    }
    let near = nearest(&wanted.name, known.iter().map(|column| column.name.as_str()));
    let near = known.iter().find(|column| Some(column.name.as_str()) == near);
    let listed: Vec<String> =
        known.iter().take(LISTED_COLUMNS).map(|column| quoted(column, with_relation)).collect();
    let more = if known.len() > LISTED_COLUMNS { ", …" } else { "" };
    let all = format!("the columns are {}{more}", listed.join(", "));
    match near {
        Some(near) => {
            format!("did you mean {}? {all}", quoted(near, with_relation || wanted.relation.is_some()))
        }
        None => all,
    }
}

/// Returns a column as it is typed.
fn quoted(column: &Column, with_relation: bool) -> String {
    match with_relation {
        true => column.quoted_flat_name(),
        false => Column::new_unqualified(&column.name).quoted_flat_name(),
    }
}

fn translate_message(message: &str) -> Option<Translation> {
    RULES.iter().find_map(|rule| {
        let texts = captured(rule.said, message)?;
        // DataFusion suggests the nearest name however far it is.
        if let (true, [wanted, suggested, ..]) = (rule.suggests(), texts.as_slice()) {
            nearest(wanted, [suggested.as_str()])?;
        }
        let fill = |template: &str| {
            let filled = texts.iter().enumerate();
            filled
                .fold(template.to_owned(), |told, (index, text)| told.replace(&format!("{{{index}}}"), text))
        };
        Some(Translation { message: fill(rule.told), hint: rule.hint.map(fill) })
    })
}

/// Returns the texts that stand for each `{}` of a pattern, if all of a message is like it. Each is the shortest that will do.
fn captured(pattern: &str, message: &str) -> Option<Vec<String>> {
    let mut pieces = pattern.split("{}");
    let mut rest = message.strip_prefix(pieces.next()?)?;
    let mut texts = Vec::new();
    let mut pieces = pieces.peekable();
    while let Some(piece) = pieces.next() {
        let at = match (piece, pieces.peek()) {
            ("", None) => rest.len(),
            (piece, None) => rest.len().checked_sub(piece.len()).filter(|at| rest.is_char_boundary(*at))?,
            (piece, Some(_)) => rest.find(piece)?,
        };
        let (text, after) = rest.split_at(at);
        rest = after.strip_prefix(piece)?;
        texts.push(text.to_owned());
    }
    rest.is_empty().then_some(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_take_all_of_a_message() {
        assert_eq!(captured("a {} c", "a b c"), Some(vec!["b".to_owned()]));
        assert_eq!(captured("a {}", "a b c"), Some(vec!["b c".to_owned()]));
        assert_eq!(captured("a {} c", "a b d"), None);
        assert_eq!(captured("a", "a b"), None);
        assert_eq!(captured("{}x{}", "1x2x3"), Some(vec!["1".to_owned(), "2x3".to_owned()]));
        assert_eq!(captured("{} é", "a é"), Some(vec!["a".to_owned()]));
    }

    #[test]
    fn rules_name_what_they_capture() {
        for rule in RULES {
            let captures = rule.said.matches("{}").count();
            for template in [Some(rule.told), rule.hint].into_iter().flatten() {
                for index in 0..9 {
                    let used = template.contains(&format!("{{{index}}}"));
                    assert!(!used || index < captures, "{template} of {}", rule.said);
                }
            }
        }
    }

    #[test]
    fn unknown_columns_bring_the_known_ones() {
        let known = ["id", "Label"].map(|name| Column::new(Some("t"), name));
        let hint = |wanted: &str| columns_hint(&Column::from(wanted), &known);
        assert_eq!(hint("lable"), "did you mean \"Label\"? the columns are id, \"Label\"");
        assert_eq!(hint("nope"), "the columns are id, \"Label\"");
        let both = [Column::new(Some("a"), "id"), Column::new(Some("b"), "id")];
        assert_eq!(columns_hint(&Column::from("nope"), &both), "the columns are a.id, b.id");
        assert!(columns_hint(&Column::from("nope"), &[]).ends_with("'nope'"));
    }
}
