//! `SHOW TRAINING OF`.

use async_trait::async_trait;
use datafusion::prelude::DataFrame;
use std::fmt;

use crate::StatementContext;
use crate::names::quote_literal;

use datafusion::sql::parser::DFParser;
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::error::Result;
use crate::grammar::{at, expect, expect_end};
use crate::names::{parse_model_name, quote_identifier};
use crate::statement::{Statement, StatementKind};

pub(crate) static KIND: StatementKind = StatementKind {
    name: "SHOW TRAINING",
    syntax: "SHOW TRAINING OF name",
    summary: "Lists the training runs of a model and their metrics. The rows come from the tables `nightjar.training_runs` and `nightjar.training_metrics`.",
    example: "SHOW TRAINING OF sentiment",
    // `SHOW training.x` is a setting of DataFusion's.
    starts: |parser| at(parser, &["SHOW", "TRAINING"]) && parser.peek_nth_token_ref(2).token != Token::Period,
    parse: |parser| Ok(Box::new(ShowTraining::parse(parser)?)),
};

/// Lists the training runs of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ShowTraining {
    /// The model's name.
    pub model: String,
}

impl ShowTraining {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        let parser = &mut parser.parser;
        expect(parser, &["SHOW", "TRAINING", "OF"])?;
        let model = parse_model_name(parser)?;
        expect_end(parser, &[])?;
        Ok(ShowTraining { model })
    }
}

impl fmt::Display for ShowTraining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHOW TRAINING OF {}", quote_identifier(&self.model))
    }
}

#[async_trait]
impl Statement for ShowTraining {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }

    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        let model = quote_literal(&self.model);
        let rows = context
            .query(&format!(
                "SELECT r.run_id, r.status, r.version, r.started_at, r.finished_at, r.rows, m.step, m.name AS metric, \
                 m.value, r.error FROM nightjar.training_runs r LEFT JOIN nightjar.training_metrics m \
                 ON m.run_id = r.run_id WHERE r.model = {model} ORDER BY r.run_id, m.step, m.name"
            ))
            .await?;
        if rows.clone().count().await? == 0 {
            // Either no such model, which is an error, or one that was never trained.
            context.store.catalog().versions(&self.model)?;
        }
        Ok(rows)
    }
}
