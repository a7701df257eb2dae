//! `SHOW VERSIONS OF`.

use datafusion::prelude::DataFrame;
use std::fmt;

use crate::StatementContext;
use crate::names::quote_literal;

use datafusion::sql::parser::DFParser;
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::error::Result;
use crate::grammar::{at, expect, expect_end};
use crate::names::{parse_model_name, quote_identifier};
use crate::statement::{Execute, StatementKind};

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

impl Execute for ShowVersions {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }

    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        // Asked first, so that an unknown name is an error and not an empty table.
        context.store.catalog().versions(&self.model)?;
        let model = quote_literal(&self.model);
        let columns =
            "version, current, task, base, method, rows, accuracy, macro_f1, validation_loss, created_at";
        let rows =
            format!("SELECT {columns} FROM nightjar.model_versions WHERE model = {model} ORDER BY version");
        context.query(&rows).await
    }
}
