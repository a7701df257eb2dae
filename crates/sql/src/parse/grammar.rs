//! The words a statement's parser is written with: look ahead, accept, expect, end.
//!
//! Keywords are compared by their text, because most of ours are not sqlparser's. A quoted word is never a keyword.

use datafusion_sql::sqlparser::parser::Parser;
use datafusion_sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::error::{Result, SqlError};
use crate::parse::suggest;

/// What an error calls the end of a statement.
pub(crate) const END: &str = "the end of the statement";

/// The unquoted word `n` tokens ahead, in capitals.
pub(crate) fn word_at(parser: &Parser<'_>, n: usize) -> Option<String> {
    match &parser.peek_nth_token_ref(n).token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_ascii_uppercase()),
        _ => None,
    }
}

/// Whether these keywords come next.
pub(crate) fn at(parser: &Parser<'_>, keywords: &[&str]) -> bool {
    keywords.iter().enumerate().all(|(n, keyword)| word_at(parser, n).as_deref() == Some(keyword))
}

/// Whether the statement ends before the token `n` ahead.
pub(crate) fn ends_at(parser: &Parser<'_>, n: usize) -> bool {
    matches!(parser.peek_nth_token_ref(n).token, Token::EOF | Token::SemiColon)
}

/// Reads these keywords if they come next; reads nothing otherwise.
pub(crate) fn accept(parser: &mut Parser<'_>, keywords: &[&str]) -> bool {
    let found = at(parser, keywords);
    if found {
        keywords.iter().for_each(|_| parser.advance_token());
    }
    found
}

/// Reads CASCADE or RESTRICT if one of them comes next; returns whether it was CASCADE.
pub(crate) fn accept_cascade(parser: &mut Parser<'_>) -> bool {
    let cascades = accept(parser, &["CASCADE"]);
    if !cascades {
        // It says what holds without it.
        accept(parser, &["RESTRICT"]);
    }
    cascades
}

/// Reads these keywords one by one.
///
/// # Errors
/// At the first token that is not the keyword expected there.
pub(crate) fn expect(parser: &mut Parser<'_>, keywords: &[&str]) -> Result<()> {
    match keywords.iter().find(|keyword| !accept(parser, &[keyword])) {
        Some(keyword) => Err(unexpected(parser, &[keyword])),
        None => Ok(()),
    }
}

/// Reads one punctuation token, which an error calls `name`.
pub(crate) fn expect_token(parser: &mut Parser<'_>, token: &Token, name: &str) -> Result<()> {
    if parser.consume_token(token) { Ok(()) } else { Err(unexpected(parser, &[name])) }
}

/// Checks that the statement ends here. `alternatives` are the clauses that could also have followed.
pub(crate) fn expect_end(parser: &Parser<'_>, alternatives: &[&str]) -> Result<()> {
    if ends_at(parser, 0) {
        return Ok(());
    }
    let expected: Vec<&str> = alternatives.iter().copied().chain([END]).collect();
    Err(unexpected(parser, &expected))
}

/// The error of a next token that is none of `expected`; a keyword among them that looks like it is the hint.
pub(crate) fn unexpected(parser: &Parser<'_>, expected: &[&str]) -> SqlError {
    let found = parser.peek_token_ref();
    let error =
        error_at(found, format!("expected {}, found {}", alternatives(expected), describe(&found.token)));
    error.or_hint(|| suggest::clause(parser, expected).map(|clause| format!("did you mean {clause}?")))
}

/// A syntax error at this token.
pub(crate) fn error_at(token: &TokenWithSpan, message: impl Into<String>) -> SqlError {
    let near = if token.token == Token::EOF { String::new() } else { token.token.to_string() };
    SqlError::syntax(token.span.start, near, message)
}

fn describe(token: &Token) -> String {
    match token {
        Token::EOF | Token::SemiColon => END.to_string(),
        other => other.to_string(),
    }
}

/// `a`, `a or b`, `a, b or c`.
pub(crate) fn alternatives<S: AsRef<str>>(words: &[S]) -> String {
    match words {
        [] => String::new(),
        [word] => word.as_ref().to_string(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} or {}", first.join(", "), last.as_ref())
        }
    }
}
