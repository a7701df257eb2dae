//! `PROMOTE MODEL`.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use datafusion::error::DataFusionError;
use datafusion::prelude::DataFrame;
use datafusion::sql::parser::DFParser;
use datafusion::sql::sqlparser::parser::Parser;
use nightjar_catalog::{CatalogError, ModelVersion};
use nightjar_names::ModelReference;

use crate::StatementContext;
use crate::dependents::Uses;
use crate::error::{Result, StatementError};
use crate::evaluation::rounded;
use crate::fine_tune::accept_target;
use crate::grammar::{accept, at, expect, expect_end};
use crate::names::{
    parse_identifier, parse_model_name, parse_model_reference, quote_identifier, quote_reference,
};
use crate::promotion_gate::{Measure, Verdict, compare};
use crate::statement::{Execute, StatementKind};
use crate::training_data::TrainingData;

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

    /// Returns the version that is to be promoted, and the one that it would take the place of, if there is one.
    fn versions(&self, context: &StatementContext) -> Result<(ModelVersion, Option<ModelVersion>)> {
        let catalog = context.store.catalog();
        let challenger = catalog.model_version(&self.model)?;
        let current = match catalog.model_version(&ModelReference::current(self.to.as_str())) {
            Err(CatalogError::ModelUnknown { .. }) => None,
            found => Some(found?),
        };
        Ok((challenger, current))
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

impl Execute for PromoteModel {
    fn kind(&self) -> &'static StatementKind {
        &KIND
    }

    async fn check(&self, context: &StatementContext) -> Result<()> {
        self.versions(context)?;
        match &self.gate {
            Some(gate) => context.rows(&gate.data).await.map(drop),
            None => Ok(()),
        }
    }

    fn uses(&self) -> Uses {
        let queries = self.gate.iter().filter_map(|gate| gate.data.statement().ok()).collect();
        let models = vec![self.model.clone(), ModelReference::current(&self.to)];
        Uses { queries, models, ..Uses::default() }
    }

    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        let (challenger, current) = self.versions(context)?;
        if let Some(current) = current.as_ref().filter(|current| current.card.task != challenger.card.task) {
            let (expected, found) = (current.card.task, challenger.card.task);
            return Err(CatalogError::OtherTask { name: self.to.clone(), expected, found }.into());
        }
        let verdict = match &self.gate {
            None => None,
            Some(PromotionGate { data, target, metric }) => {
                let measure = metric.as_deref().map(Measure::named).transpose()?;
                let target = target.as_deref();
                Some(compare(context, &challenger, current.as_ref(), data, target, measure).await?)
            }
        };
        // Twice is as once: no version, and nobody who watches versions has anything to do again.
        let is_there = current.as_ref().is_some_and(|current| current.digest == challenger.digest);
        if is_there {
            let (model, to) = (challenger.reference(), &self.to);
            context.watch.note(&format!("{model} is what {to} is already; nothing was done"));
        }
        let promoted = match !is_there && verdict.as_ref().is_none_or(|verdict| verdict.is_better) {
            true => {
                let than = current.as_ref().map(|current| current.version);
                // By the version that was compared: the name may mean another by now.
                Some(context.store.catalog().promote(&challenger.reference(), &self.to, than)?)
            }
            false => None,
        };
        let rows = outcome_rows(&challenger, current.as_ref(), verdict.as_ref(), promoted.as_ref())?;
        Ok(context.session.read_batch(rows)?)
    }
}

/// Returns a row for the challenger, and one for the version that it was up against.
fn outcome_rows(
    challenger: &ModelVersion,
    current: Option<&ModelVersion>,
    verdict: Option<&Verdict>,
    promoted: Option<&ModelVersion>,
) -> Result<RecordBatch> {
    let outcomes = match promoted {
        Some(_) => ["promoted", "replaced"],
        None => ["not promoted", "kept"],
    };
    let models = [Some(challenger), current].into_iter().flatten();
    let values = [verdict.map(|verdict| verdict.challenger), verdict.and_then(|verdict| verdict.current)];
    let rows = 1 + usize::from(current.is_some());
    let metric = verdict.map(|verdict| verdict.measure.name);
    let to = [promoted.map(|version| version.reference().to_string()), None];
    let columns: [(&str, ArrayRef, bool); 5] = [
        (
            "model",
            Arc::new(StringArray::from_iter_values(models.map(|model| model.reference().to_string()))),
            false,
        ),
        ("metric", Arc::new(StringArray::from(vec![metric; rows])), true),
        ("value", Arc::new(values[..rows].iter().map(|v| v.map(rounded)).collect::<Float64Array>()), true),
        ("outcome", Arc::new(StringArray::from_iter_values(&outcomes[..rows])), false),
        ("promoted_to", Arc::new(to[..rows].iter().cloned().collect::<StringArray>()), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns)
        .map_err(|error| StatementError::from(DataFusionError::from(error)))
}
