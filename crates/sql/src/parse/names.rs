//! Names in a statement: identifiers, model names, and references to a model's version.

use std::fmt::Write;

use datafusion_sql::sqlparser::parser::Parser;
use datafusion_sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use nightjar_errors::Failure;
use nightjar_names::{ModelReference, NameError, quoted_name, sql_name};

use crate::error::{Result, SqlError};
use crate::parse::grammar::{error_at, unexpected, word_at};

/// Unquoted words that are no names, because a clause begins with them: `CREATE MODEL FROM 'x'` lacks a name.
const RESERVED: &[&str] = &[
    "AS",
    "EXISTS",
    "FINE_TUNE",
    "FROM",
    "IF",
    "NOT",
    "OF",
    "ON",
    "RENAME",
    "SET",
    "TO",
    "VALIDATE",
    "WITH",
];

/// The identifier as it stands in a statement: in double quotes if it would read as another name or as a keyword
/// without them.
pub fn quote_identifier(name: &str) -> String {
    if is_reserved(name) { quoted_name(name) } else { sql_name(name) }
}

/// The reference as it stands in a statement: `sentiment`, `sentiment@3`, `"My Model"@3`.
pub fn quote_reference(model: &ModelReference) -> String {
    let mut text = quote_identifier(&model.name);
    if let Some(version) = model.version {
        // Writing to a String cannot fail.
        let _ = write!(text, "@{version}");
    }
    text
}

/// The string as an SQL literal.
pub fn quote_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Reads an identifier, which an error calls `what`; in small letters unless it is quoted, as DataFusion does.
pub(crate) fn parse_identifier(parser: &mut Parser<'_>, what: &str) -> Result<String> {
    let token = parser.peek_token();
    match &token.token {
        Token::Word(word) if word.quote_style.is_some() && word.value.is_empty() => {
            Err(error_at(&token, format!("{what} is empty")))
        }
        Token::Word(word) if word.quote_style.is_some() => {
            parser.advance_token();
            Ok(word.value.clone())
        }
        Token::Word(word) if !is_reserved(&word.value) => {
            parser.advance_token();
            Ok(word.value.to_ascii_lowercase())
        }
        _ => Err(unexpected(parser, &[what])),
    }
}

/// Reads a table's name: one to three names (catalog, schema, table), which an error calls `what`.
pub(crate) fn parse_table(parser: &mut Parser<'_>, what: &str) -> Result<Vec<String>> {
    let first = parser.peek_token();
    let mut names = vec![parse_identifier(parser, what)?];
    while parser.consume_token(&Token::Period) {
        names.push(parse_identifier(parser, "the name of a table")?);
    }
    if names.len() > 3 {
        let message = format!("a table has at most three names, found {}", names.join("."));
        return Err(error_at(&first, message));
    }
    Ok(names)
}

/// A table's name as it stands in a statement.
pub fn quote_table(names: &[String]) -> String {
    names.iter().map(|name| quote_identifier(name)).collect::<Vec<_>>().join(".")
}

/// Reads a model's name where no version may be given.
pub(crate) fn parse_model_name(parser: &mut Parser<'_>) -> Result<String> {
    let token = parser.peek_token();
    let model = parse_model_reference(parser)?;
    match model.version {
        None => Ok(model.name),
        Some(version) => Err(error_at(&token, format!("version {version} cannot be named here"))
            .or_hint(|| Some(format!("write {}", quote_identifier(&model.name))))),
    }
}

/// Reads `name`, `name@3`, `"Name"@3`, `'name'` or `'name@3'`.
pub(crate) fn parse_model_reference(parser: &mut Parser<'_>) -> Result<ModelReference> {
    let token = parser.peek_token();
    let mut text = match &token.token {
        Token::SingleQuotedString(text) => {
            parser.advance_token();
            text.clone()
        }
        Token::Word(word) if word.quote_style.is_some() => {
            parser.advance_token();
            word.value.clone()
        }
        _ => {
            let text = parse_identifier(parser, "a model name")?;
            refuse_unquoted(parser, &token)?;
            text
        }
    };
    // Behind a quoted name `@3` is a token of its own: a word to the generic dialect, else a sign and a number.
    if let Some(suffix) = word_at(parser, 0).filter(|word| word.starts_with('@')) {
        parser.advance_token();
        text.push_str(&suffix);
    } else if parser.consume_token(&Token::AtSign) {
        let _ = write!(text, "@{}", parser.next_token().token);
    }
    read_reference(&token, &text)
}

/// The reference that this text is, by the catalog's rules for names.
fn read_reference(token: &TokenWithSpan, text: &str) -> Result<ModelReference> {
    text.parse().map_err(|error: NameError| {
        let counted = || text.contains('@').then(|| "versions are counted from 1: name@1".to_string());
        error_at(token, error.to_string()).or_hint(|| counted().or_else(|| error.hint()))
    })
}

/// Refuses `all-MiniLM-L6-v2` without quotes, and shows how to write it.
fn refuse_unquoted(parser: &Parser<'_>, first: &TokenWithSpan) -> Result<(), SqlError> {
    let next = parser.peek_token_no_skip();
    if !matches!(next.token, Token::Minus | Token::Period | Token::Div | Token::Colon) {
        return Ok(());
    }
    let mut name = first.token.to_string();
    for n in 0.. {
        let token = parser.peek_nth_token_no_skip(n).token;
        if matches!(token, Token::Whitespace(_) | Token::EOF | Token::SemiColon | Token::LParen) {
            break;
        }
        name.push_str(&token.to_string());
    }
    Err(error_at(&next, format!("the model name {first} goes on with {}", next.token))
        .or_hint(|| Some(format!("quote it: {}", quote_literal(&name)))))
}

fn is_reserved(word: &str) -> bool {
    RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(word))
}
