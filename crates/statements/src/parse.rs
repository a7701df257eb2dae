//! A script's text to its statements: ours by the words they begin with, all others by DataFusion's parser.

use datafusion::sql::parser::{DFParser, DFParserBuilder, Statement as DataFusionStatement};
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, Tokenizer};

use crate::error::{Result, StatementError};
use crate::grammar::{at, ends_at, error_at, expect_end, word_at};
use crate::registry::STATEMENTS;
use crate::statement::Statement;
use crate::{clauses, suggest};

/// A statement of ours, or one of DataFusion's.
#[derive(Debug)]
pub enum Parsed {
    /// One of [`crate::STATEMENTS`].
    Nightjar(Box<dyn Statement>),
    /// What DataFusion's parser made of any other.
    Sql(Box<DataFusionStatement>),
}

/// A statement of a script.
#[derive(Debug)]
pub struct ParsedStatement {
    /// The statement.
    pub parsed: Parsed,
    /// Its text as it stands in the script, without the semicolon and without blanks around it.
    pub sql: String,
}

/// The statements of a script, in order; none if it has nothing but blanks, comments and semicolons.
///
/// The dialect is DataFusion's default, the generic one.
///
/// # Errors
/// The first text that is no statement; the others are then not returned.
pub fn parse_statements(sql: &str) -> Result<Vec<ParsedStatement>> {
    parse_all(sql).map_err(|error| error.at_end_of(sql))
}

fn parse_all(sql: &str) -> Result<Vec<ParsedStatement>> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql)
        .tokenize_with_location()
        .map_err(StatementError::from_tokenizer)?;
    let mut parser = DFParserBuilder::new(tokens)
        .build()
        .map_err(|error| StatementError::from_datafusion(&error, Location::new(1, 1)))?;
    let lines = line_starts(sql);
    let mut statements = Vec::new();
    loop {
        while parser.parser.consume_token(&Token::SemiColon) {}
        let first = parser.parser.peek_token();
        if first.token == Token::EOF {
            return Ok(statements);
        }
        let parsed = parse_statement(&mut parser)?;
        expect_end(&parser.parser, &[])?;
        let start = offset(sql, &lines, first.span.start);
        // Some of the parser's rules read beyond the last token, which has no place.
        let last = parser.parser.get_current_token();
        let end = if last.token == Token::EOF { sql.len() } else { offset(sql, &lines, last.span.end) };
        let text = sql.get(start..end).unwrap_or_default().trim().to_string();
        statements.push(ParsedStatement { parsed, sql: text });
    }
}

/// Reads the next statement, which may end before a semicolon.
pub(crate) fn parse_statement(parser: &mut DFParser<'_>) -> Result<Parsed> {
    if let Some(kind) = STATEMENTS.iter().find(|kind| (kind.starts)(&parser.parser)) {
        // The grammar is the hint of last resort, on one line.
        let form = || Some(kind.syntax.split_whitespace().collect::<Vec<_>>().join(" "));
        return match (kind.parse)(parser) {
            Ok(statement) => Ok(Parsed::Nightjar(statement)),
            Err(error) => {
                Err(error.or_hint(|| form().map(|form| format!("the form is {form}"))).within(kind.name))
            }
        };
    }
    let first = parser.parser.peek_token();
    refuse_nested_explain(&parser.parser)?;
    let head = suggest::head(&parser.parser);
    match parser.parse_statement() {
        Ok(mut statement) => {
            refuse_mistyped_show(&statement, &head, first.span.start)?;
            clauses::follow(&mut statement)?;
            Ok(Parsed::Sql(Box::new(statement)))
        }
        Err(error) => {
            Err(StatementError::from_datafusion(&error, first.span.start)
                .or_hint(|| suggest::statement(&head)))
        }
    }
}

/// DataFusion's parser goes down a level at each EXPLAIN, without a limit, and none of them would be planned.
fn refuse_nested_explain(parser: &Parser<'_>) -> Result<()> {
    if !at(parser, &["EXPLAIN"]) {
        return Ok(());
    }
    let mut n = 1;
    loop {
        match word_at(parser, n).as_deref() {
            Some("ANALYZE" | "VERBOSE") => n += 1,
            Some("FORMAT") => n += 2,
            Some("EXPLAIN") => {
                return Err(error_at(&parser.peek_nth_token(n), "an EXPLAIN cannot be explained"));
            }
            // A list of options, or a query: behind which no EXPLAIN can come.
            _ if parser.peek_nth_token_ref(n).token == Token::LParen => {
                while !ends_at(parser, n) && parser.peek_nth_token_ref(n).token != Token::RParen {
                    n += 1;
                }
                n += 1;
            }
            _ => return Ok(()),
        }
    }
}

/// `SHOW MODLES` parses as the setting `modles`. The names of settings have a dot, so one that has none and looks
/// like a statement of ours is one mistyped.
fn refuse_mistyped_show(statement: &DataFusionStatement, head: &[String], start: Location) -> Result<()> {
    let DataFusionStatement::Statement(statement) = statement else {
        return Ok(());
    };
    let SqlStatement::ShowVariable { variable } = statement.as_ref() else {
        return Ok(());
    };
    match suggest::statement(head) {
        Some(hint) => {
            let names: Vec<_> = variable.iter().map(|name| name.value.as_str()).collect();
            let name = names.join(" ");
            let message = format!("there is no setting {name} to show");
            Err(StatementError::syntax(start, name, message).or_hint(|| Some(hint)))
        }
        None => Ok(()),
    }
}

/// The byte at which each line begins, as the tokenizer counts lines.
fn line_starts(sql: &str) -> Vec<usize> {
    std::iter::once(0).chain(sql.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

/// The byte of a place given by line and column, both from 1, columns in characters.
fn offset(sql: &str, lines: &[usize], place: Location) -> usize {
    let index = |n: u64| usize::try_from(n.saturating_sub(1)).unwrap_or(usize::MAX);
    let Some(start) = lines.get(index(place.line)) else {
        return sql.len();
    };
    let rest = &sql[*start..];
    let within = rest.char_indices().nth(index(place.column)).map_or(rest.len(), |(at, _)| at);
    start + within
}
