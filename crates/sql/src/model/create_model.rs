//! `CREATE MODEL`.

use crate::error::Result;
use crate::parse::grammar::{accept, at, error_at, expect, expect_end, unexpected};
use crate::parse::names::{parse_model_name, parse_model_reference, quote_identifier, quote_literal};
use crate::parse::with_clause::{accept_with, write_with};
use crate::statement::{Statement, StatementKind};
use crate::training::fine_tune::FineTune;
use crate::uses::Uses;
use datafusion_sql::parser::DFParser;
use datafusion_sql::sqlparser::ast::Value;
use datafusion_sql::sqlparser::parser::Parser;
use datafusion_sql::sqlparser::tokenizer::Token;
use std::fmt;

pub(crate) static KIND: StatementKind = StatementKind {
    name: "CREATE MODEL",
    syntax: "CREATE [OR REPLACE] MODEL [IF NOT EXISTS] name
    [FROM 'base']
    [FINE_TUNE ON { table | 'file' | (query) }
        [TARGET column]
        [VALIDATE ON { table | 'file' | (query) }]]
    [WITH (option = value, …)]",
    summary: "Makes a model, or with `OR REPLACE` another version of one. `FROM` names what it starts from: a model of \
        the catalog (`name` or `name@version`), a known name, `hf://org/repo[@revision]`, or a path; without it, \
        the default base. `FINE_TUNE ON` names labelled rows: the target is the column `label` unless `TARGET` \
        names another, and the other columns are the inputs: a text, or two that are read as one, by \
        `classify(first, second, 'name')` later. With `task = 'embed'` the rows are pairs of texts, with a \
        score or without. Without `VALIDATE ON` a part of the rows is set \
        aside to measure on. Returns the metrics of the training and the version created.",
    example: "CREATE MODEL sentiment FROM 'all-MiniLM-L6-v2'
    FINE_TUNE ON (SELECT review, label FROM reviews WHERE label IS NOT NULL)
    WITH (class_weights = 'balanced')",
    starts: |parser| is_create_model(parser, 0),
    parse: |parser| Ok(Box::new(CreateModel::parse(parser)?)),
};

/// Makes a model, or another version of one.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateModel {
    /// Whether a model of that name gets another version.
    pub or_replace: bool,
    /// Whether a model of that name makes the statement do nothing.
    pub if_not_exists: bool,
    /// The model's name.
    pub name: String,
    /// What it starts from, as written; the default base if it is not given.
    pub base: Option<String>,
    /// What to train on; the base as it is if it is not given.
    pub fine_tune: Option<FineTune>,
    /// The options as written.
    pub options: Vec<(String, Value)>,
}

/// Whether `CREATE MODEL` or `CREATE OR REPLACE MODEL` begins `skip` tokens ahead.
pub(crate) fn is_create_model(parser: &Parser<'_>, skip: usize) -> bool {
    let word = |n| crate::parse::grammar::word_at(parser, skip + n);
    let is = |n, keyword: &str| word(n).as_deref() == Some(keyword);
    is(0, "CREATE") && (is(1, "MODEL") || (is(1, "OR") && is(2, "REPLACE") && is(3, "MODEL")))
}

impl CreateModel {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        let parser = &mut parser.parser;
        expect(parser, &["CREATE"])?;
        let or_replace = accept(parser, &["OR", "REPLACE"]);
        expect(parser, &["MODEL"])?;
        let conflict = parser.peek_token();
        let if_not_exists = accept(parser, &["IF", "NOT", "EXISTS"]);
        if or_replace && if_not_exists {
            return Err(error_at(&conflict, "OR REPLACE and IF NOT EXISTS exclude each other"));
        }
        let name = parse_model_name(parser)?;
        let base = accept_base(parser)?;
        let fine_tune = FineTune::accept(parser)?;
        let options = accept_with(parser)?;
        let following: &[&str] = match (&base, &fine_tune) {
            _ if !options.is_empty() => &[],
            (_, Some(fine_tune)) => fine_tune.following(),
            (Some(_), None) => &["FINE_TUNE ON", "WITH"],
            (None, None) => &["FROM", "FINE_TUNE ON", "WITH"],
        };
        expect_end(parser, following)?;
        Ok(CreateModel { or_replace, if_not_exists, name, base, fine_tune, options })
    }
}

/// Reads `FROM 'base'` if it comes next. A bare model name will do as well.
fn accept_base(parser: &mut Parser<'_>) -> Result<Option<String>> {
    if !accept(parser, &["FROM"]) {
        return Ok(None);
    }
    let token = parser.peek_token();
    match token.token.clone() {
        Token::SingleQuotedString(base) if base.trim().is_empty() => {
            Err(error_at(&token, "the base is empty"))
        }
        Token::SingleQuotedString(base) => {
            parser.advance_token();
            Ok(Some(base))
        }
        Token::Word(_) if !at(parser, &["FINE_TUNE"]) => {
            let model = parse_model_reference(parser)?;
            Ok(Some(match model.version {
                Some(version) => format!("{}@{version}", model.name),
                None => model.name,
            }))
        }
        _ => Err(unexpected(parser, &["a base in quotes"])),
    }
}

impl fmt::Display for CreateModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_replace = if self.or_replace { " OR REPLACE" } else { "" };
        let if_not_exists = if self.if_not_exists { " IF NOT EXISTS" } else { "" };
        write!(f, "CREATE{or_replace} MODEL{if_not_exists} {}", quote_identifier(&self.name))?;
        if let Some(base) = &self.base {
            write!(f, " FROM {}", quote_literal(base))?;
        }
        if let Some(fine_tune) = &self.fine_tune {
            write!(f, " {fine_tune}")?;
        }
        write_with(f, &self.options)
    }
}

impl Statement for CreateModel {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }

    fn uses(&self) -> Uses {
        let base = self.base.as_ref().and_then(|base| base.parse().ok());
        Uses {
            queries: self.fine_tune.iter().flat_map(FineTune::queries).collect(),
            models: base.into_iter().collect(),
            makes_model: Some(self.name.clone()),
            ..Uses::default()
        }
    }
}
