//! `DESCRIBE MODEL`.

use crate::StatementContext;
use crate::error::Result;
use crate::execute::Execute;
use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::common::DataFusionError;
use datafusion::prelude::DataFrame;
use nightjar_catalog::ModelVersion;
use nightjar_sql::DescribeModel;
use std::sync::Arc;

impl Execute for DescribeModel {
    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        let version = context.store.catalog().model_version(&self.model)?;
        let rows = describe(&version);
        let (names, values): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        let columns: [(&str, ArrayRef); 2] = [
            ("property", Arc::new(StringArray::from(names))),
            ("value", Arc::new(StringArray::from(values))),
        ];
        let batch = RecordBatch::try_from_iter(columns).map_err(DataFusionError::from)?;
        Ok(context.session.read_batch(batch)?)
    }
}

/// Returns what a card says, as people read it.
fn describe(version: &ModelVersion) -> Vec<(String, String)> {
    let card = &version.card;
    let mut rows = vec![
        ("model".to_string(), version.reference().to_string()),
        ("task".to_string(), card.task.to_string()),
        ("current".to_string(), version.current.to_string()),
        ("digest".to_string(), version.digest.to_string()),
        ("body".to_string(), card.body.to_string()),
        ("architecture".to_string(), card.encoder.architecture.to_string()),
        ("dimensions".to_string(), card.encoder.dim.to_string()),
        ("window".to_string(), format!("{} tokens", card.encoder.window)),
    ];
    if card.reads_pairs() {
        rows.push(("reads".to_string(), "pairs of texts".to_string()));
    }
    let optional = [
        ("base", &card.base),
        ("source", &card.source),
        ("method", &card.method),
        ("target", &card.target),
        ("query", &card.query),
        ("data digest", &card.data_digest),
    ];
    for (name, value) in optional {
        rows.extend(value.iter().map(|value| (name.to_string(), value.clone())));
    }
    if !card.inputs.is_empty() {
        rows.push(("inputs".to_string(), card.inputs.join(", ")));
    }
    if !card.labels.is_empty() {
        rows.push(("labels".to_string(), card.labels.join(", ")));
    }
    if card.multi_label {
        rows.push(("labels of a text".to_string(), "any number".to_string()));
        let thresholds = card.labels.iter().zip(&card.thresholds);
        rows.extend(
            thresholds.map(|(label, threshold)| (format!("threshold {label}"), threshold.to_string())),
        );
    }
    if card.rows > 0 {
        rows.push(("rows".to_string(), card.rows.to_string()));
    }
    rows.extend(card.options.iter().map(|(name, value)| (format!("option {name}"), value.clone())));
    rows.extend(card.metrics.iter().map(|(name, value)| (format!("metric {name}"), value.to_string())));
    rows
}
