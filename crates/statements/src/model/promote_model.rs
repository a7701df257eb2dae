//! `PROMOTE MODEL`.

use crate::StatementContext;
use crate::error::{Result, StatementError};
use crate::evaluation::rounded;
use crate::execute::Execute;
use crate::promotion_gate::{Verdict, compare};
use datafusion::arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use datafusion::error::DataFusionError;
use datafusion::prelude::DataFrame;
use nightjar_catalog::{CatalogError, ModelVersion};
use nightjar_names::ModelReference;
use nightjar_sql::{Measure, PromoteModel, PromotionGate};
use std::sync::Arc;

impl Execute for PromoteModel {
    async fn check(&self, context: &StatementContext) -> Result<()> {
        versions(self, context)?;
        match &self.gate {
            Some(gate) => context.rows(&gate.data).await.map(drop),
            None => Ok(()),
        }
    }

    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        let (challenger, current) = versions(self, context)?;
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

/// Returns the version that is to be promoted, and the one that it would take the place of, if there is one.
fn versions(
    statement: &PromoteModel,
    context: &StatementContext,
) -> Result<(ModelVersion, Option<ModelVersion>)> {
    let catalog = context.store.catalog();
    let challenger = catalog.model_version(&statement.model)?;
    let current = match catalog.model_version(&ModelReference::current(statement.to.as_str())) {
        Err(CatalogError::ModelUnknown { .. }) => None,
        found => Some(found?),
    };
    Ok((challenger, current))
}
