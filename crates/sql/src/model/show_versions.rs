//! `SHOW VERSIONS OF`.

use crate::error::Result;
use crate::parse::grammar::{at, expect, expect_end};
use crate::parse::names::{parse_model_name, quote_identifier};
use crate::statement::{Statement, StatementKind};
use datafusion_sql::parser::DFParser;
use datafusion_sql::sqlparser::tokenizer::Token;
use std::fmt;

pub(crate) static KIND: StatementKind = StatementKind {
    name: "SHOW VERSIONS",
    syntax: "SHOW VERSIONS OF name",
    summary: "Lists the versions of a model. The rows are those of the table `nightjar.model_versions`.",
    example: "SHOW VERSIONS OF sentiment",
    // `SHOW versions.x` is a setting of DataFusion's.
    starts: |parser| at(parser, &["SHOW", "VERSIONS"]) && parser.peek_nth_token_ref(2).token != Token::Period,
    parse: |parser| Ok(Box::new(ShowVersions::parse(parser)?)),
};

/// Lists the versions of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ShowVersions {
    /// The model's name.
    pub model: String,
}

impl ShowVersions {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        let parser = &mut parser.parser;
        expect(parser, &["SHOW", "VERSIONS", "OF"])?;
        let model = parse_model_name(parser)?;
        expect_end(parser, &[])?;
        Ok(ShowVersions { model })
    }
}

impl fmt::Display for ShowVersions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHOW VERSIONS OF {}", quote_identifier(&self.model))
    }
}

impl Statement for ShowVersions {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }
}
