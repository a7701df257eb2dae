//! The rows that a model learns from or is measured on: `ON { table | 'file' | (query) }`.

use std::fmt;

use datafusion_sql::parser::{DFParserBuilder, Statement as DataFusionStatement};
use datafusion_sql::sqlparser::ast::{Query, SetExpr, Statement as SqlStatement};
use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::parser::Parser;
use datafusion_sql::sqlparser::tokenizer::{Location, Token};

use crate::error::{Result, SqlError};
use crate::parse::clauses;
use crate::parse::grammar::{error_at, expect_token, unexpected};
use crate::parse::names::{parse_table, quote_literal, quote_table};
use crate::parse::syntax_tree::SyntaxTree;

/// The words a query begins with.
const QUERY_WORDS: &[Keyword] =
    &[Keyword::SELECT, Keyword::WITH, Keyword::VALUES, Keyword::FROM, Keyword::TABLE];

/// Labelled rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainingData {
    /// Where the rows come from.
    pub source: TableOrQuery,
}

/// A source of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableOrQuery {
    /// A table: one to three names (catalog, schema, table), as the session knows them.
    Table(Vec<String>),
    /// A file or directory, by path or URI.
    File(String),
    /// A query.
    Query(SyntaxTree<Query>),
}

impl TrainingData {
    /// The rows as the text of a query: `SELECT * FROM "reviews"`, or the query itself.
    pub fn sql(&self) -> String {
        match &self.source {
            // Quoted even where it need not be: a table may bear the name of a keyword.
            TableOrQuery::Table(names) => {
                let names: Vec<_> =
                    names.iter().map(|name| format!("\"{}\"", name.replace('"', "\"\""))).collect();
                format!("SELECT * FROM {}", names.join("."))
            }
            TableOrQuery::File(path) => format!("SELECT * FROM {}", quote_literal(path)),
            TableOrQuery::Query(query) => query.to_string(),
        }
    }

    /// The rows as a statement for DataFusion's planner.
    ///
    /// # Errors
    /// None that a source made by the parser can cause.
    pub fn statement(&self) -> Result<SyntaxTree<DataFusionStatement>> {
        match &self.source {
            TableOrQuery::Query(query) => {
                let query = SqlStatement::Query(Box::new((**query).clone()));
                Ok(SyntaxTree::new(DataFusionStatement::Statement(Box::new(query))))
            }
            _ => DFParserBuilder::new(self.sql().as_str())
                .build()
                .and_then(|mut parser| parser.parse_statement())
                .map(SyntaxTree::new)
                .map_err(|error| SqlError::from_datafusion(&error, Location::new(1, 1))),
        }
    }

    /// Whether what the statement names may be files. A table's name that needs no quotes is none, however it was written.
    pub fn may_be_file(&self) -> bool {
        let is_plain = |name: &String| name.chars().all(|c| c.is_alphanumeric() || "_$#@".contains(c));
        !matches!(&self.source, TableOrQuery::Table(names) if names.iter().all(is_plain))
    }

    /// Reads what follows `ON`.
    pub(crate) fn parse(parser: &mut Parser<'_>) -> Result<Self> {
        let token = parser.peek_token();
        let source = match &token.token {
            Token::LParen => TableOrQuery::Query(parse_query(parser)?.into()),
            Token::SingleQuotedString(path) if path.is_empty() => {
                return Err(error_at(&token, "the path of the rows is empty"));
            }
            Token::SingleQuotedString(path) => {
                parser.advance_token();
                TableOrQuery::File(path.clone())
            }
            Token::Word(_) => TableOrQuery::Table(parse_table(parser, "a table")?),
            _ => {
                return Err(unexpected(parser, &["a table", "a file in quotes", "a query in parentheses"]));
            }
        };
        Ok(TrainingData { source })
    }
}

fn parse_query(parser: &mut Parser<'_>) -> Result<Box<Query>> {
    parser.advance_token();
    let first = parser.peek_token();
    let hint = || Some("a table's name needs no parentheses".to_string());
    let mut query = parser.parse_query().map_err(|error| {
        let error = SqlError::from_parser(&error, first.span.start);
        match &first.token {
            Token::Word(word) if word.quote_style.is_some() || !QUERY_WORDS.contains(&word.keyword) => {
                error.or_hint(hint)
            }
            _ => error,
        }
    })?;
    if matches!(*query.body, SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_))
    {
        return Err(error_at(
            &first,
            "the rows come from a statement that changes a table, not from a query",
        ));
    }
    expect_token(parser, &Token::RParen, "a closing parenthesis")?;
    clauses::follow_in(&mut query)?;
    Ok(query)
}

impl fmt::Display for TrainingData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            TableOrQuery::Table(names) => f.write_str(&quote_table(names)),
            TableOrQuery::File(path) => f.write_str(&quote_literal(path)),
            TableOrQuery::Query(query) => write!(f, "({query})"),
        }
    }
}
