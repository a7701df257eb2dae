//! `DROP MODEL`.

use crate::error::Result;
use crate::parse::grammar::{accept, accept_cascade, at, expect, expect_end};
use crate::parse::names::{parse_model_reference, quote_reference};
use crate::statement::{Statement, StatementKind};
use crate::uses::Uses;
use datafusion_sql::parser::DFParser;
use nightjar_names::ModelReference;
use std::fmt;

pub(crate) static KIND: StatementKind = StatementKind {
    name: "DROP MODEL",
    syntax: "DROP MODEL [IF EXISTS] name[@version] [CASCADE | RESTRICT]",
    summary: "Removes a model, or one version of it. The newest version that remains becomes the current one. \
        A model that views, materialized views or jobs name is kept, unless CASCADE drops those views too.",
    example: "DROP MODEL IF EXISTS sentiment@1",
    starts: |parser| at(parser, &["DROP", "MODEL"]),
    parse: |parser| Ok(Box::new(DropModel::parse(parser)?)),
};

/// Removes a model, or one version of it.
#[derive(Debug, Clone, PartialEq)]
pub struct DropModel {
    /// Whether a model that is not there makes the statement do nothing.
    pub if_exists: bool,
    /// The model; all of its versions if none is named.
    pub model: ModelReference,
    /// Whether the views that use it are dropped too.
    pub cascade: bool,
}

impl DropModel {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        let parser = &mut parser.parser;
        expect(parser, &["DROP", "MODEL"])?;
        let if_exists = accept(parser, &["IF", "EXISTS"]);
        let model = parse_model_reference(parser)?;
        let cascade = accept_cascade(parser);
        expect_end(parser, &["CASCADE", "RESTRICT"])?;
        Ok(DropModel { if_exists, model, cascade })
    }
}

impl fmt::Display for DropModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let if_exists = if self.if_exists { " IF EXISTS" } else { "" };
        let cascade = if self.cascade { " CASCADE" } else { "" };
        write!(f, "DROP MODEL{if_exists} {}{cascade}", quote_reference(&self.model))
    }
}

impl Statement for DropModel {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }

    fn uses(&self) -> Uses {
        Uses { makes_model: Some(self.model.name.clone()), ..Uses::default() }
    }
}
