//! `EVALUATE MODEL`.

use crate::error::Result;
use crate::parse::grammar::{at, expect, expect_end};
use crate::parse::names::{parse_model_reference, quote_identifier, quote_reference};
use crate::statement::{Statement, StatementKind};
use crate::training::data::TrainingData;
use crate::training::fine_tune::accept_target;
use crate::uses::Uses;
use datafusion_sql::parser::DFParser;
use nightjar_names::ModelReference;
use std::fmt;

pub(crate) static KIND: StatementKind = StatementKind {
    name: "EVALUATE MODEL",
    syntax: "EVALUATE MODEL name[@version] ON { table | 'file' | (query) } [TARGET column]",
    summary: "Measures a model on labelled rows. Returns accuracy, precision, recall, F1, support, log loss and, for \
        two classes, ROC AUC: of each class and of all. Of a model that predicts numbers, RMSE, MAE, R², Pearson's and \
        Spearman's correlation; of one that embeds, the two correlations of the cosines of text pairs with their scores.",
    example: "EVALUATE MODEL sentiment ON (SELECT review, label FROM reviews WHERE year = 2026)",
    // No statement of SQL begins with this word.
    starts: |parser| at(parser, &["EVALUATE"]),
    parse: |parser| Ok(Box::new(EvaluateModel::parse(parser)?)),
};

/// Measures a model on labelled rows.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluateModel {
    /// The model; its current version if none is named.
    pub model: ModelReference,
    /// The labelled rows.
    pub data: TrainingData,
    /// The column that holds the truth; the column the model learned if none is given.
    pub target: Option<String>,
}

impl EvaluateModel {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        let parser = &mut parser.parser;
        expect(parser, &["EVALUATE", "MODEL"])?;
        let model = parse_model_reference(parser)?;
        expect(parser, &["ON"])?;
        let data = TrainingData::parse(parser)?;
        let target = accept_target(parser)?;
        expect_end(parser, if target.is_none() { &["TARGET"] } else { &[] })?;
        Ok(EvaluateModel { model, data, target })
    }
}

impl fmt::Display for EvaluateModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EVALUATE MODEL {} ON {}", quote_reference(&self.model), self.data)?;
        match &self.target {
            Some(target) => write!(f, " TARGET {}", quote_identifier(target)),
            None => Ok(()),
        }
    }
}

impl Statement for EvaluateModel {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }

    fn uses(&self) -> Uses {
        let queries = self.data.statement().into_iter().collect();
        Uses { queries, models: vec![self.model.clone()], ..Uses::default() }
    }
}
