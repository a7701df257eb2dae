//! `DESCRIBE MODEL`.

use crate::error::Result;
use crate::parse::grammar::{accept, at, ends_at, expect, expect_end};
use crate::parse::names::{parse_model_reference, quote_reference};
use crate::statement::{Statement, StatementKind};
use datafusion_sql::parser::DFParser;
use datafusion_sql::sqlparser::parser::Parser;
use datafusion_sql::sqlparser::tokenizer::Token;
use nightjar_names::ModelReference;
use std::fmt;

pub(crate) static KIND: StatementKind = StatementKind {
    name: "DESCRIBE MODEL",
    syntax: "DESCRIBE MODEL name[@version]",
    summary: "Shows the card of a model's version: its task, base, labels, options and metrics. Without a version, the \
        current one.",
    example: "DESCRIBE MODEL sentiment@2",
    starts: is_describe_model,
    parse: |parser| Ok(Box::new(DescribeModel::parse(parser)?)),
};

/// Shows the card of a model's version.
#[derive(Debug, Clone, PartialEq)]
pub struct DescribeModel {
    /// The model; its current version if none is named.
    pub model: ModelReference,
}

/// `DESCRIBE model` and `DESCRIBE model.t` are of tables.
fn is_describe_model(parser: &Parser<'_>) -> bool {
    let named = at(parser, &["DESCRIBE", "MODEL"]) || at(parser, &["DESC", "MODEL"]);
    named && !ends_at(parser, 2) && parser.peek_nth_token_ref(2).token != Token::Period
}

impl DescribeModel {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        let parser = &mut parser.parser;
        if !accept(parser, &["DESC"]) {
            expect(parser, &["DESCRIBE"])?;
        }
        expect(parser, &["MODEL"])?;
        let model = parse_model_reference(parser)?;
        expect_end(parser, &[])?;
        Ok(DescribeModel { model })
    }
}

impl fmt::Display for DescribeModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DESCRIBE MODEL {}", quote_reference(&self.model))
    }
}

impl Statement for DescribeModel {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }
}
