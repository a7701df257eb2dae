//! The clause `FINE_TUNE ON … [TARGET column] [VALIDATE ON …]`.

use std::fmt;

use datafusion_sql::parser::Statement as DataFusionStatement;
use datafusion_sql::sqlparser::parser::Parser;

use crate::error::Result;
use crate::parse::grammar::{accept, at, expect};
use crate::parse::names::{parse_identifier, quote_identifier};
use crate::parse::syntax_tree::SyntaxTree;
use crate::training::data::TrainingData;

/// What to train on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FineTune {
    /// The labelled rows.
    pub data: TrainingData,
    /// The column to learn; the column named `label` if none is given.
    pub target: Option<String>,
    /// The rows to measure on while training; a split of `data` if none are given.
    pub validate: Option<TrainingData>,
}

impl FineTune {
    /// Returns the queries of its rows.
    pub fn queries(&self) -> Vec<SyntaxTree<DataFusionStatement>> {
        let data = [Some(&self.data), self.validate.as_ref()];
        data.into_iter().flatten().filter_map(|data| data.statement().ok()).collect()
    }

    /// Reads the clause if it comes next.
    pub(crate) fn accept(parser: &mut Parser<'_>) -> Result<Option<Self>> {
        if !accept(parser, &["FINE_TUNE"]) {
            return Ok(None);
        }
        expect(parser, &["ON"])?;
        let data = TrainingData::parse(parser)?;
        let target = accept_target(parser)?;
        let validate = if at(parser, &["VALIDATE"]) {
            expect(parser, &["VALIDATE", "ON"])?;
            Some(TrainingData::parse(parser)?)
        } else {
            None
        };
        Ok(Some(FineTune { data, target, validate }))
    }

    /// The clauses that can still follow, for an error's list.
    pub(crate) fn following(&self) -> &'static [&'static str] {
        match (&self.target, &self.validate) {
            (_, Some(_)) => &["WITH"],
            (Some(_), None) => &["VALIDATE ON", "WITH"],
            (None, None) => &["TARGET", "VALIDATE ON", "WITH"],
        }
    }
}

/// Reads `TARGET column` if it comes next.
pub(crate) fn accept_target(parser: &mut Parser<'_>) -> Result<Option<String>> {
    if accept(parser, &["TARGET"]) { Ok(Some(parse_identifier(parser, "a column")?)) } else { Ok(None) }
}

impl fmt::Display for FineTune {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FINE_TUNE ON {}", self.data)?;
        if let Some(target) = &self.target {
            write!(f, " TARGET {}", quote_identifier(target))?;
        }
        if let Some(validate) = &self.validate {
            write!(f, " VALIDATE ON {validate}")?;
        }
        Ok(())
    }
}
