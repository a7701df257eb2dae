//! `ALTER MODEL`.

use crate::error::Result;
use crate::parse::grammar::{accept, at, expect, expect_end, unexpected};
use crate::parse::names::{parse_model_name, quote_identifier};
use crate::parse::with_clause::{accept_with, write_with};
use crate::statement::{Statement, StatementKind};
use crate::training::fine_tune::FineTune;
use crate::uses::Uses;
use datafusion_sql::parser::DFParser;
use datafusion_sql::sqlparser::ast::Value;
use datafusion_sql::sqlparser::parser::Parser;
use datafusion_sql::sqlparser::tokenizer::Token;
use nightjar_names::ModelReference;
use std::fmt;

pub(crate) static KIND: StatementKind = StatementKind {
    name: "ALTER MODEL",
    syntax: "ALTER MODEL name {
    FINE_TUNE ON { table | 'file' | (query) } [TARGET column] [VALIDATE ON { table | 'file' | (query) }]
        [WITH (option = value, …)]
  | SET DEFAULT
  | SET VERSION number
  | RENAME TO other }",
    summary: "Changes a model. `FINE_TUNE ON` trains it again, for the task that it has, and adds a version, `SET DEFAULT` makes it the default of \
        its task, `SET VERSION` makes one of its versions the current one, and `RENAME TO` gives it another name.",
    example: "ALTER MODEL sentiment SET VERSION 2",
    starts: |parser| at(parser, &["ALTER", "MODEL"]),
    parse: |parser| Ok(Box::new(AlterModel::parse(parser)?)),
};

/// Changes a model.
#[derive(Debug, Clone, PartialEq)]
pub struct AlterModel {
    /// The model's name.
    pub name: String,
    /// What to change.
    pub action: AlterAction,
}

/// What to change in a model.
#[derive(Debug, Clone, PartialEq)]
pub enum AlterAction {
    /// Train it again, which adds a version.
    FineTune {
        /// What to train on.
        fine_tune: FineTune,
        /// The options as written.
        options: Vec<(String, Value)>,
    },
    /// Make it the default of its task.
    SetDefault,
    /// Make this version, counted from 1, the current one.
    SetVersion(u32),
    /// Give it this name.
    Rename(String),
}

impl AlterModel {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        let parser = &mut parser.parser;
        expect(parser, &["ALTER", "MODEL"])?;
        let name = parse_model_name(parser)?;
        let action = parse_action(parser)?;
        Ok(AlterModel { name, action })
    }
}

fn parse_action(parser: &mut Parser<'_>) -> Result<AlterAction> {
    if let Some(fine_tune) = FineTune::accept(parser)? {
        let options = accept_with(parser)?;
        expect_end(parser, if options.is_empty() { fine_tune.following() } else { &[] })?;
        return Ok(AlterAction::FineTune { fine_tune, options });
    }
    let action = if accept(parser, &["SET"]) {
        if accept(parser, &["DEFAULT"]) {
            AlterAction::SetDefault
        } else if accept(parser, &["VERSION"]) {
            AlterAction::SetVersion(parse_version(parser)?)
        } else {
            return Err(unexpected(parser, &["DEFAULT", "VERSION"]));
        }
    } else if accept(parser, &["RENAME"]) {
        expect(parser, &["TO"])?;
        AlterAction::Rename(parse_model_name(parser)?)
    } else {
        return Err(unexpected(parser, &["FINE_TUNE ON", "SET DEFAULT", "SET VERSION", "RENAME TO"]));
    };
    expect_end(parser, &[])?;
    Ok(action)
}

fn parse_version(parser: &mut Parser<'_>) -> Result<u32> {
    let number = match &parser.peek_token_ref().token {
        Token::Number(digits, _) => digits.parse().ok().filter(|number| *number > 0),
        _ => None,
    };
    let number = number.ok_or_else(|| unexpected(parser, &["a version number from 1"]))?;
    parser.advance_token();
    Ok(number)
}

impl fmt::Display for AlterModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ALTER MODEL {} ", quote_identifier(&self.name))?;
        match &self.action {
            AlterAction::FineTune { fine_tune, options } => {
                write!(f, "{fine_tune}")?;
                write_with(f, options)
            }
            AlterAction::SetDefault => f.write_str("SET DEFAULT"),
            AlterAction::SetVersion(number) => write!(f, "SET VERSION {number}"),
            AlterAction::Rename(other) => write!(f, "RENAME TO {}", quote_identifier(other)),
        }
    }
}

impl Statement for AlterModel {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }

    fn uses(&self) -> Uses {
        let queries = match &self.action {
            AlterAction::FineTune { fine_tune, .. } => fine_tune.queries(),
            _ => Vec::new(),
        };
        Uses { queries, models: vec![ModelReference::current(&self.name)], ..Uses::default() }
    }
}
