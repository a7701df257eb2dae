//! `DROP MODEL`.

use datafusion::prelude::DataFrame;
use std::fmt;

use crate::StatementContext;
use crate::context::done;

use datafusion::sql::parser::DFParser;
use nightjar_catalog::ModelReference;

use crate::error::Result;
use crate::grammar::{accept, at, expect, expect_end};
use crate::names::{parse_model_reference, quote_reference};
use crate::statement::{Execute, StatementKind};

pub(crate) static KIND: StatementKind = StatementKind {
    name: "DROP MODEL",
    syntax: "DROP MODEL [IF EXISTS] name[@version]",
    summary: "Removes a model, or one version of it. The newest version that remains becomes the current one.",
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
        expect_end(parser, &[])?;
        Ok(DropModel { if_exists, model })
    }
}

impl fmt::Display for DropModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let if_exists = if self.if_exists { " IF EXISTS" } else { "" };
        write!(f, "DROP MODEL{if_exists} {}", quote_reference(&self.model))
    }
}

impl Execute for DropModel {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }

    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        let catalog = context.store.catalog();
        if !catalog.drop_model(&self.model.name, self.model.version, self.if_exists)? {
            context.watch.note(&format!("there is no model {}; nothing was done", self.model));
        }
        done(context)
    }
}
