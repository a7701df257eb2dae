//! A script's text to its statements: ours by the words they begin with, all others by DataFusion's parser.

use datafusion_common::config::Dialect;
use datafusion_sql::parser::{DFParser, DFParserBuilder, Statement as DataFusionStatement};
use datafusion_sql::sqlparser::ast::Statement as SqlStatement;
use datafusion_sql::sqlparser::dialect::Dialect as SqlDialect;
use datafusion_sql::sqlparser::parser::Parser;
use datafusion_sql::sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};

use crate::error::{Result, SqlError};
use crate::parse::dialect::{changed_dialect, dialect, with_struct_types};
use crate::parse::grammar::{at, ends_at, error_at, expect_end, word_at};
use crate::parse::syntax_tree::SyntaxTree;
use crate::parse::{clauses, suggest};
use crate::registry::STATEMENTS;
use crate::statement::Statement;

/// A statement of ours, or one of DataFusion's.
#[derive(Debug)]
pub enum Parsed {
    /// One of [`crate::STATEMENTS`].
    Nightjar(Box<dyn Statement>),
    /// What DataFusion's parser made of any other.
    Sql(SyntaxTree<DataFusionStatement>),
}

/// A statement of a script.
#[derive(Debug)]
pub struct ParsedStatement {
    /// The statement.
    pub parsed: Parsed,
    /// Its text as it stands in the script, without the semicolon and without blanks around it.
    pub sql: String,
}

/// The statements of a script in the default dialect, in order; none if it has nothing but blanks, comments and semicolons.
///
/// # Errors
/// The first text that is no statement; the others are then not returned.
pub fn parse_statements(sql: &str) -> Result<Vec<ParsedStatement>> {
    parse_in(sql, &mut Dialect::default())
}

/// As [`parse_statements`], in a dialect: that of the session. A SET of the dialect in the script is followed from there on;
/// `dialect` is then the last one.
///
/// # Errors
/// As [`parse_statements`].
pub fn parse_in(sql: &str, dialect: &mut Dialect) -> Result<Vec<ParsedStatement>> {
    let lines = line_starts(sql);
    let mut statements = Vec::new();
    let mut from = 0;
    while from < sql.len() {
        let part = parse_part(sql, from, &lines, *dialect, &mut statements);
        match part.map_err(|error| error.at_end_of(sql))? {
            Some((end, changed)) => (from, *dialect) = (end, changed),
            None => break,
        }
    }
    Ok(statements)
}

/// Reads the statements from a byte on. Returns where one that changes the dialect ends, with the new one.
fn parse_part(
    sql: &str,
    from: usize,
    lines: &[usize],
    name: Dialect,
    statements: &mut Vec<ParsedStatement>,
) -> Result<Option<(usize, Dialect)>> {
    let dialect = dialect(name);
    let tokens = tokens(&sql[from..], dialect.as_ref(), place(sql, lines, from))?;
    let tokens = if name == Dialect::Generic { with_struct_types(tokens) } else { tokens };
    let mut parser = DFParserBuilder::new(tokens)
        .with_dialect(dialect.as_ref())
        .build()
        .map_err(|error| SqlError::from_datafusion(&error, Location::new(1, 1)))?;
    loop {
        while parser.parser.consume_token(&Token::SemiColon) {}
        let first = parser.parser.peek_token();
        if first.token == Token::EOF {
            return Ok(None);
        }
        let parsed = parse_statement(&mut parser)?;
        expect_end(&parser.parser, &[])?;
        let start = offset(sql, lines, first.span.start);
        // Some of the parser's rules read beyond the last token, which has no place.
        let last = parser.parser.get_current_token();
        let end = if last.token == Token::EOF { sql.len() } else { offset(sql, lines, last.span.end) };
        let text = sql.get(start..end).unwrap_or_default().trim().to_string();
        let changed = match &parsed {
            Parsed::Sql(statement) => changed_dialect(statement),
            Parsed::Nightjar(_) => None,
        };
        statements.push(ParsedStatement { parsed, sql: text });
        if let Some(changed) = changed.filter(|changed| *changed != name) {
            return Ok(Some((end, changed)));
        }
    }
}

/// The tokens of a text that begins at a place of the script, with their places there.
fn tokens(text: &str, dialect: &dyn SqlDialect, begins: Location) -> Result<Vec<TokenWithSpan>> {
    let moved = |place: Location| match place.line {
        0 => place,
        1 => Location::new(begins.line, begins.column + place.column - 1),
        line => Location::new(begins.line + line - 1, place.column),
    };
    let mut tokens = Tokenizer::new(dialect, text).tokenize_with_location().map_err(|mut error| {
        error.location = moved(error.location);
        SqlError::from_tokenizer(error)
    })?;
    for token in &mut tokens {
        token.span = Span::new(moved(token.span.start), moved(token.span.end));
    }
    Ok(tokens)
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
            Ok(Parsed::Sql(SyntaxTree::new(statement)))
        }
        Err(error) => Err(SqlError::from_datafusion(&error, first.span.start)
            .or_hint(|| suggest::statement(&head, STATEMENTS))),
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
    match suggest::statement(head, STATEMENTS) {
        Some(hint) => {
            let names: Vec<_> = variable.iter().map(|name| name.value.as_str()).collect();
            let name = names.join(" ");
            let message = format!("there is no setting {name} to show");
            Err(SqlError::syntax(start, name, message).or_hint(|| Some(hint)))
        }
        None => Ok(()),
    }
}

/// The byte at which each line begins, as the tokenizer counts lines.
fn line_starts(sql: &str) -> Vec<usize> {
    std::iter::once(0).chain(sql.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

/// The place of a byte, by line and column.
fn place(sql: &str, lines: &[usize], byte: usize) -> Location {
    let line = lines.partition_point(|start| *start <= byte);
    let start = lines.get(line.saturating_sub(1)).copied().unwrap_or_default();
    Location::new(line as u64, sql[start..byte].chars().count() as u64 + 1)
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
