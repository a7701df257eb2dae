//! `PROMOTE MODEL`.

use crate::error::Result;
use crate::model::measure::Measure;
use crate::parse::grammar::{accept, at, expect, expect_end};
use crate::parse::names::{
    parse_identifier, parse_model_name, parse_model_reference, quote_identifier, quote_reference,
};
use crate::statement::{Statement, StatementKind};
use crate::training::data::TrainingData;
use crate::training::fine_tune::accept_target;
use crate::uses::Uses;
use datafusion_sql::parser::DFParser;
use datafusion_sql::sqlparser::parser::Parser;
use nightjar_names::ModelReference;
use std::fmt;

pub(crate) static KIND: StatementKind = StatementKind {
    name: "PROMOTE MODEL",
    syntax: "PROMOTE MODEL name[@version] TO other
    [IF BETTER ON { table | 'file' | (query) } [TARGET column] [BY metric]]",
    summary: "Makes what one model has learned the next version of another, and its current one: what calls of that name mean from then \
        on. With `IF BETTER` only where it is better than the other's current version on these rows, which should be rows that neither \
        has learned from; where there is no such model yet, it is. `BY` names one of the metrics that EVALUATE MODEL returns for the whole; \
        without it: accuracy, for lists of labels micro_f1, for numbers rmse, for embeddings spearman. As good is not better. Returns a row for each \
        model compared: `model`, `metric`, `value`, `outcome` (`promoted` or `not promoted`; `replaced` or `kept`) and `promoted_to`.",
    example: "PROMOTE MODEL challenger TO sentiment IF BETTER ON (SELECT review, label FROM golden) BY macro_f1",
    // No statement of SQL begins with this word.
    starts: |parser| at(parser, &["PROMOTE"]),
    parse: |parser| Ok(Box::new(PromoteModel::parse(parser)?)),
};

/// Makes what one model has learned the current version of another.
#[derive(Debug, Clone, PartialEq)]
pub struct PromoteModel {
    /// The challenger; its current version if none is named.
    pub model: ModelReference,
    /// The model that gets a version.
    pub to: String,
    /// What it must be better on; none for any case.
    pub gate: Option<PromotionGate>,
}

/// What a model must be better on to be promoted.
#[derive(Debug, Clone, PartialEq)]
pub struct PromotionGate {
    /// The labelled rows.
    pub data: TrainingData,
    /// The column that holds the truth; the column the models learned if none is given.
    pub target: Option<String>,
    /// The metric's name; the usual one of the task if none is given.
    pub metric: Option<String>,
}

impl PromoteModel {
    /// Reads the statement.
    ///
    /// # Errors
    /// At the first token that does not fit; a metric that no model is measured by.
    pub fn parse(parser: &mut DFParser<'_>) -> Result<Self> {
        let parser = &mut parser.parser;
        expect(parser, &["PROMOTE", "MODEL"])?;
        let model = parse_model_reference(parser)?;
        expect(parser, &["TO"])?;
        let to = parse_model_name(parser)?;
        let gate = if accept(parser, &["IF"]) { Some(PromotionGate::parse(parser)?) } else { None };
        expect_end(parser, gate.as_ref().map_or(&["IF BETTER ON"], PromotionGate::following))?;
        Ok(PromoteModel { model, to, gate })
    }
}

impl PromotionGate {
    fn parse(parser: &mut Parser<'_>) -> Result<Self> {
        expect(parser, &["BETTER", "ON"])?;
        let data = TrainingData::parse(parser)?;
        let target = accept_target(parser)?;
        let metric = match accept(parser, &["BY"]) {
            true => Some(Measure::named(&parse_identifier(parser, "a metric")?)?.name.to_owned()),
            false => None,
        };
        Ok(PromotionGate { data, target, metric })
    }

    /// The clauses that can still follow, for an error's list.
    fn following(&self) -> &'static [&'static str] {
        match (&self.target, &self.metric) {
            (_, Some(_)) => &[],
            (Some(_), None) => &["BY"],
            (None, None) => &["TARGET", "BY"],
        }
    }
}

impl fmt::Display for PromoteModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PROMOTE MODEL {} TO {}", quote_reference(&self.model), quote_identifier(&self.to))?;
        let Some(PromotionGate { data, target, metric }) = &self.gate else { return Ok(()) };
        write!(f, " IF BETTER ON {data}")?;
        if let Some(target) = target {
            write!(f, " TARGET {}", quote_identifier(target))?;
        }
        match metric {
            Some(metric) => write!(f, " BY {}", quote_identifier(metric)),
            None => Ok(()),
        }
    }
}

impl Statement for PromoteModel {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }

    fn uses(&self) -> Uses {
        let queries = self.gate.iter().filter_map(|gate| gate.data.statement().ok()).collect();
        let models = vec![self.model.clone(), ModelReference::current(&self.to)];
        Uses { queries, models, ..Uses::default() }
    }
}
