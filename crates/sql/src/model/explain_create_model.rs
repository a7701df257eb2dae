//! `EXPLAIN CREATE MODEL`.

use crate::error::Result;
use crate::model::create_model::{CreateModel, is_create_model};
use crate::parse::grammar::{at, expect};
use crate::statement::{Statement, StatementKind};
use datafusion_sql::parser::DFParser;
use std::fmt;

pub(crate) static KIND: StatementKind = StatementKind {
    name: "EXPLAIN CREATE MODEL",
    syntax: "EXPLAIN CREATE [OR REPLACE] MODEL …",
    summary: "Shows the plan of each phase of a `CREATE MODEL`. It trains nothing and makes nothing.",
    example: "EXPLAIN CREATE MODEL sentiment FROM 'all-MiniLM-L6-v2' FINE_TUNE ON reviews TARGET stars",
    starts: |parser| at(parser, &["EXPLAIN"]) && is_create_model(parser, 1),
    parse: |parser| Ok(Box::new(ExplainCreateModel::parse(parser)?)),
};

/// Shows how a model would be made.
#[derive(Debug, Clone, PartialEq)]
pub struct ExplainCreateModel {
    /// The statement to explain.
    pub create: CreateModel,
}

impl ExplainCreateModel {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        expect(&mut parser.parser, &["EXPLAIN"])?;
        Ok(ExplainCreateModel { create: CreateModel::parse(parser)? })
    }
}

impl fmt::Display for ExplainCreateModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EXPLAIN {}", self.create)
    }
}

impl Statement for ExplainCreateModel {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }
}
