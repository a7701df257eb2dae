//! The clause `WITH (option = value, …)`: names and values as written, not yet checked against the options.

use std::fmt;

use datafusion_sql::sqlparser::ast::Value;
use datafusion_sql::sqlparser::parser::Parser;
use datafusion_sql::sqlparser::tokenizer::Token;

use crate::error::Result;
use crate::parse::grammar::{accept, expect_token, unexpected};
use crate::parse::names::{parse_identifier, quote_identifier, quote_literal};

/// Reads the clause if it comes next; no options otherwise.
pub(crate) fn accept_with(parser: &mut Parser<'_>) -> Result<Vec<(String, Value)>> {
    let mut options = Vec::new();
    if !accept(parser, &["WITH"]) {
        return Ok(options);
    }
    expect_token(parser, &Token::LParen, "(")?;
    loop {
        let name = parse_identifier(parser, "an option")?;
        expect_token(parser, &Token::Eq, "=")?;
        options.push((name, parse_value(parser)?));
        if parser.consume_token(&Token::RParen) {
            return Ok(options);
        }
        expect_token(parser, &Token::Comma, ", or )")?;
    }
}

/// Reads a number, a string, true, false, or a bare word, which stands for the string of its text.
fn parse_value(parser: &mut Parser<'_>) -> Result<Value> {
    let minus = parser.consume_token(&Token::Minus);
    let value = match parser.peek_token().token {
        Token::Number(digits, _) if minus => Value::Number(format!("-{digits}"), false),
        Token::Number(digits, _) => Value::Number(digits, false),
        _ if minus => return Err(unexpected(parser, &["a number"])),
        Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => {
            Value::SingleQuotedString(text)
        }
        Token::Word(word) if word.quote_style.is_some() => Value::SingleQuotedString(word.value),
        Token::Word(word) => match word.value.to_ascii_uppercase().as_str() {
            "TRUE" => Value::Boolean(true),
            "FALSE" => Value::Boolean(false),
            "NULL" => return Err(unexpected(parser, &["a value"])),
            _ => Value::SingleQuotedString(word.value),
        },
        _ => {
            return Err(unexpected(parser, &["a number", "a string in quotes", "true", "false"]));
        }
    };
    parser.advance_token();
    Ok(value)
}

/// A value as SQL.
pub(crate) fn value_sql(value: &Value) -> String {
    match value {
        // sqlparser prints a doubled quote inside the text as one that is escaped already.
        Value::SingleQuotedString(text) => quote_literal(text),
        other => other.to_string(),
    }
}

/// Writes the clause with a space before it; nothing if there are no options.
pub(crate) fn write_with(f: &mut fmt::Formatter<'_>, options: &[(String, Value)]) -> fmt::Result {
    if options.is_empty() {
        return Ok(());
    }
    let options: Vec<_> = options
        .iter()
        .map(|(name, value)| format!("{} = {}", quote_identifier(name), value_sql(value)))
        .collect();
    write!(f, " WITH ({})", options.join(", "))
}
