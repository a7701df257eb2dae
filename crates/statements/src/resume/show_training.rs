//! `SHOW TRAINING OF`.

use crate::error::Result;
use crate::evaluation::rounded;
use crate::execute::Execute;
use crate::{Chart, Series, StatementContext};
use datafusion::arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array,
    UInt64Array,
};
use datafusion::error::DataFusionError;
use datafusion::prelude::DataFrame;
use nightjar_catalog::{RunId, TrainingMetric, TrainingRun};
use nightjar_sql::ShowTraining;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The metrics of single steps and of candidates: in `nightjar.training_metrics`, and too many to list here.
const OF_STEPS: &[&str] = &["loss", "candidate_loss", "candidate_regularization"];

/// The metrics that come first, in this order.
const FIRST: &[&str] = &[
    "train_loss",
    "validation_loss",
    "accuracy",
    "macro_f1",
    "rmse",
    "r2",
    "rows_per_second",
    "tokens_per_second",
    "learning_rate",
];

impl Execute for ShowTraining {
    async fn run(&self, context: &StatementContext) -> Result<DataFrame> {
        let runs = runs_of(&self.model, context)?;
        if runs.is_empty() {
            // Either no such model, which is an error, or one that was never trained.
            context.store.catalog().versions(&self.model)?;
        }
        Ok(context.session.read_batch(rows(&runs)?)?)
    }

    fn chart(&self, context: &StatementContext) -> Result<Option<Chart>> {
        Ok(runs_of(&self.model, context)?.iter().rev().find_map(loss_curve))
    }
}

/// A run with its metrics.
struct Shown {
    run: TrainingRun,
    metrics: Vec<TrainingMetric>,
}

impl Shown {
    /// The values of a metric over the steps; those that are no numbers are left out.
    fn points(&self, name: &str) -> Vec<(f64, f64)> {
        let named = self.metrics.iter().filter(|metric| metric.name == name && metric.value.is_finite());
        named.map(|metric| (metric.step as f64, metric.value)).collect()
    }
}

/// The model's runs, oldest first.
fn runs_of(model: &str, context: &StatementContext) -> Result<Vec<Shown>> {
    let catalog = context.store.catalog();
    let mut metrics: HashMap<RunId, Vec<TrainingMetric>> = HashMap::new();
    for metric in catalog.training_metrics()? {
        metrics.entry(metric.run_id).or_default().push(metric);
    }
    let runs = catalog.training_runs()?.into_iter().filter(|run| run.model == model);
    Ok(runs.map(|run| Shown { metrics: metrics.remove(&run.run_id).unwrap_or_default(), run }).collect())
}

/// One row of the result: a run, and what it measured at one step.
struct Row<'a> {
    run: &'a TrainingRun,
    /// Which of the run's epochs was measured, from 1; the one fit of a head counts as one.
    epoch: Option<u32>,
    step: Option<i64>,
    values: BTreeMap<&'a str, f64>,
}

/// A row per run and epoch; a run that has measured nothing yet has one row.
fn rows(runs: &[Shown]) -> Result<RecordBatch> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for Shown { run, metrics } in runs {
        let first = rows.len();
        for metric in metrics.iter().filter(|metric| !OF_STEPS.contains(&metric.name.as_str())) {
            match rows[first..].last_mut().filter(|row| row.step == Some(metric.step)) {
                Some(row) => drop(row.values.insert(&metric.name, metric.value)),
                None => {
                    let values = BTreeMap::from([(metric.name.as_str(), metric.value)]);
                    let epoch = u32::try_from(rows.len() - first + 1).ok();
                    rows.push(Row { run, epoch, step: Some(metric.step), values });
                }
            }
        }
        if rows.len() == first {
            rows.push(Row { run, epoch: None, step: None, values: BTreeMap::new() });
        }
    }
    let texts = |text: fn(&TrainingRun) -> Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(|row| text(row.run)).collect::<StringArray>())
    };
    let times = |time: fn(&TrainingRun) -> Option<i64>| -> ArrayRef {
        let times = rows.iter().map(|row| time(row.run));
        Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
    };
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("run_id", Arc::new(rows.iter().map(|row| Some(row.run.run_id.0)).collect::<UInt64Array>())),
        ("status", texts(|run| Some(run.status.to_string()))),
        ("version", Arc::new(rows.iter().map(|row| row.run.version).collect::<UInt32Array>())),
        ("started_at", times(|run| Some(run.started_at))),
        ("finished_at", times(|run| run.finished_at)),
        ("rows", Arc::new(rows.iter().map(|row| row.run.rows).collect::<UInt64Array>())),
        ("epoch", Arc::new(rows.iter().map(|row| row.epoch).collect::<UInt32Array>())),
        ("step", Arc::new(rows.iter().map(|row| row.step).collect::<Int64Array>())),
    ];
    for name in measured(&rows) {
        let values = rows.iter().map(|row| row.values.get(name).copied().map(readable));
        columns.push((name, Arc::new(values.collect::<Float64Array>())));
    }
    columns.push(("error", texts(|run| run.error.clone())));
    Ok(RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .map_err(DataFusionError::from)?)
}

/// The value to compare with others; a learning rate keeps its few digits.
fn readable(value: f64) -> f64 {
    if value.abs() < 1e-3 { value } else { rounded(value) }
}

/// The metrics that any of the rows has, the best known first.
fn measured<'a>(rows: &[Row<'a>]) -> Vec<&'a str> {
    let names: BTreeSet<&str> = rows.iter().flat_map(|row| row.values.keys().copied()).collect();
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_by_key(|name| FIRST.iter().position(|first| first == name).unwrap_or(FIRST.len()));
    names
}

/// The losses of a run, if it has any.
fn loss_curve(shown: &Shown) -> Option<Chart> {
    let of_steps = shown.points("loss");
    let training = if of_steps.is_empty() { shown.points("train_loss") } else { of_steps };
    let series = [
        Series { name: "training loss", marked: false, points: training },
        Series { name: "validation loss", marked: true, points: shown.points("validation_loss") },
    ];
    let series: Vec<Series> = series.into_iter().filter(|series| !series.points.is_empty()).collect();
    // A method that does not go by steps has one value, which no curve says better.
    let course = series.iter().any(|series| series.points.len() > 1);
    let title = format!("run {}, {}", shown.run.run_id, shown.run.status);
    course.then_some(Chart { title, x: "step", series })
}
