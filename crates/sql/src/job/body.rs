//! The body of a job: one statement, or several between BEGIN and END, with parameters that a run fills in.

use chrono::{DateTime, SecondsFormat, Utc};
use datafusion_sql::parser::DFParser;
use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use crate::error::{Result, SqlError};
use crate::job::error::JobClauseError;
use crate::job::options::PARAMETERS;
use crate::parse::grammar::{accept, at, ends_at, unexpected};
use crate::parse::names::quote_literal;
use crate::parse::script::parse_statement;

/// What fills the parameters of a run's statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunParameters {
    /// The time that the run is for.
    pub scheduled_at: DateTime<Utc>,
    /// The time that the last run with success was for.
    pub previous_success: Option<DateTime<Utc>>,
    /// The run.
    pub run_id: i64,
}

/// Reads what follows AS: the statements as they are written.
pub(crate) fn parse_body(parser: &mut DFParser<'_>) -> Result<Vec<String>> {
    let mut statements = Vec::new();
    let several = accept(&mut parser.parser, &["BEGIN"]);
    loop {
        if several {
            while parser.parser.consume_token(&Token::SemiColon) {}
            if !statements.is_empty() && accept(&mut parser.parser, &["END"]) {
                return Ok(statements);
            }
        }
        if ends_at(&parser.parser, 0) || at(&parser.parser, &["END"]) {
            return Err(unexpected(&parser.parser, &["a statement"]));
        }
        let start = parser.parser.index();
        parse_statement(parser)?;
        // Not printed from the syntax tree: DataFusion's prints some statements to text that does not parse.
        let tokens =
            (start..parser.parser.index()).map(|index| token_text(&parser.parser.token_at(index).token));
        statements.push(tokens.collect::<String>().trim().to_owned());
        if !several {
            return Ok(statements);
        }
        if !ends_at(&parser.parser, 0) || parser.parser.peek_token().token == Token::EOF {
            return Err(unexpected(&parser.parser, &["a semicolon behind each statement, and END"]));
        }
    }
}

/// A token as SQL; sqlparser prints quotes inside texts and names as they are.
fn token_text(token: &Token) -> String {
    match token {
        Token::SingleQuotedString(text) => quote_literal(text),
        Token::Word(word) if word.quote_style == Some('"') => {
            format!("\"{}\"", word.value.replace('"', "\"\""))
        }
        other => other.to_string(),
    }
}

/// Returns the tokens of a statement, its texts and names with their quotes as they are written.
///
/// # Errors
/// A text that ends within quotes.
pub fn tokens(sql: &str) -> Result<Vec<TokenWithSpan>> {
    let dialect = GenericDialect {};
    let mut tokenizer = Tokenizer::new(&dialect, sql).with_unescape(false);
    tokenizer.tokenize_with_location().map_err(SqlError::from_tokenizer)
}

/// Returns a statement with its parameters filled in: points in time as timestamps in UTC, the run's number as a number.
///
/// A job that never had success has had it, for this purpose, in 1970: what asks for newer rows gets all.
///
/// # Errors
/// A parameter that jobs don't have.
pub fn fill_parameters(sql: &str, run: &RunParameters) -> Result<String> {
    let tokens = tokens(sql)?;
    let mut out = String::with_capacity(sql.len());
    let mut index = 0;
    while let Some(token) = tokens.get(index) {
        index += 1;
        let name = match (&token.token, tokens.get(index).map(|next| &next.token)) {
            // Not behind a bracket or a name: `list[1:n]` is a slice.
            (Token::Colon, Some(Token::Word(word))) if !is_slice(&tokens[..index - 1]) => {
                word.value.to_lowercase()
            }
            _ => {
                out.push_str(&token.token.to_string());
                continue;
            }
        };
        index += 1;
        match name.as_str() {
            "scheduled_at" => out.push_str(&timestamp(run.scheduled_at)),
            "previous_success" => {
                out.push_str(&timestamp(run.previous_success.unwrap_or(DateTime::UNIX_EPOCH)));
            }
            "run_id" => out.push_str(&run.run_id.to_string()),
            _ => return Err(JobClauseError::UnknownParameter { name: format!(":{name}") }.into()),
        }
    }
    debug_assert_eq!(PARAMETERS.len(), 3);
    Ok(out)
}

/// Whether a colon behind these tokens stands between the bounds of a slice: a bracket is open.
fn is_slice(before: &[TokenWithSpan]) -> bool {
    let depth = before.iter().fold(0_i64, |depth, token| match token.token {
        Token::LBracket => depth + 1,
        Token::RBracket => depth - 1,
        _ => depth,
    });
    depth > 0
}

fn timestamp(time: DateTime<Utc>) -> String {
    let text = time.to_rfc3339_opts(SecondsFormat::Micros, true);
    format!("arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')", quote_literal(&text))
}
