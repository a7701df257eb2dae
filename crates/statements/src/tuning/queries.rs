//! The queries of a training: a round, a validation.

use std::ops::Range;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::Float64Type;
use datafusion::common::DataFusionError;
use datafusion::common::runtime::SpawnedTask;
use datafusion::logical_expr::Expr;
use datafusion::prelude::{DataFrame, ParquetReadOptions, SessionContext};
use nightjar_catalog::Task;
use nightjar_functions::rounds::{RoundReport, TrainingPlan};

use super::label_validation::Validation;
use crate::StatementContext;
use crate::error::{Result, StatementError};
use crate::one_sided::OneSided;
use crate::prepare::{FeatureFile, Prepared};
use nightjar_sql::quote_literal;

/// The metrics of a validation, by name, as SQL over the columns `label`, `prediction` and `loss`.
const CLASSIFICATION: &[(&str, &str)] = &[
    ("validation_loss", "avg(loss)"),
    ("accuracy", "accuracy(label, prediction)"),
    ("macro_precision", "precision(label, prediction)"),
    ("macro_recall", "recall(label, prediction)"),
    ("macro_f1", "f1(label, prediction)"),
    (LEAST_CLASS, "min(CAST(prediction AS DOUBLE))"),
    (GREATEST_CLASS, "max(CAST(prediction AS DOUBLE))"),
    (LEAST_LABEL, "min(CAST(label AS DOUBLE))"),
    (GREATEST_LABEL, "max(CAST(label AS DOUBLE))"),
];

// Whether one class alone is predicted; no metrics.
const LEAST_CLASS: &str = "least_class";
const GREATEST_CLASS: &str = "greatest_class";
const LEAST_LABEL: &str = "least_label";
const GREATEST_LABEL: &str = "greatest_label";

const REGRESSION: &[(&str, &str)] = &[
    ("validation_loss", "avg(loss)"),
    ("rmse", "rmse(label, prediction)"),
    ("mae", "mae(label, prediction)"),
    ("r2", "r2(label, prediction)"),
    ("pearson", "pearson(label, prediction)"),
    ("spearman", "spearman(label, prediction)"),
];

const SIMILARITY: &[(&str, &str)] = &[
    ("validation_loss", "avg(loss)"),
    ("pearson", "pearson(label, prediction)"),
    ("spearman", "spearman(label, prediction)"),
];

/// The prediction is the rank of the right text.
const CONTRAST: &[(&str, &str)] = &[
    ("validation_loss", "avg(loss)"),
    ("accuracy_at_1", "avg(CASE WHEN prediction = 1 THEN 1.0 ELSE 0.0 END)"),
    ("mrr", "avg(1.0 / prediction)"),
];

/// Of lists of labels the metrics follow from thresholds, which all rows decide.
const NO_METRICS: &[(&str, &str)] = &[];

/// Rows that are read at a time: whole groups of those among which pairs are ranked.
const BATCH_ROWS: usize = 1024;

/// Returns the rows of feature files, a partition each: a file is read in its order and by one task.
pub(super) async fn features<'a>(
    context: &StatementContext,
    files: impl Iterator<Item = &'a FeatureFile>,
    partitions: usize,
) -> Result<DataFrame> {
    let mut state = context.session.state();
    let config = state.config().clone().with_batch_size(BATCH_ROWS).with_target_partitions(partitions);
    *state.config_mut() = config;
    let options = state.config_mut().options_mut();
    options.optimizer.repartition_file_scans = false;
    options.optimizer.enable_round_robin_repartition = false;
    // It would take the fields of a struct from a call each.
    options.optimizer.enable_leaf_expression_pushdown = false;
    options.execution.enable_file_stream_work_stealing = false;
    let paths: Vec<String> = files.map(|file| file.path.to_string_lossy().into_owned()).collect();
    Ok(SessionContext::new_with_state(state).read_parquet(paths, ParquetReadOptions::default()).await?)
}

/// Returns expressions over the rows' columns, given by name as SQL.
fn expressions(rows: &DataFrame, named: &[(&str, impl AsRef<str>)]) -> Result<Vec<Expr>> {
    named.iter().map(|(name, sql)| Ok(rows.parse_sql_expr(sql.as_ref())?.alias(*name))).collect()
}

/// Returns the rows' columns, as SQL.
fn columns(rows: DataFrame, columns: &[(&str, impl AsRef<str>)]) -> Result<DataFrame> {
    let columns = expressions(&rows, columns)?;
    Ok(rows.select(columns)?)
}

/// Returns aggregates over all rows, as SQL.
pub(super) fn aggregates(rows: DataFrame, aggregates: &[(&str, &str)]) -> Result<DataFrame> {
    let aggregates = expressions(&rows, aggregates)?;
    Ok(rows.aggregate(Vec::new(), aggregates)?)
}

/// Returns the query that trains a round.
pub(super) async fn round(
    context: &StatementContext,
    plan: &TrainingPlan,
    prepared: &Prepared,
    run: &str,
    round: u32,
) -> Result<DataFrame> {
    let rows = features(context, prepared.train.iter(), prepared.train.len()).await?;
    let Range { start, end } = plan.rows_of(round);
    let of_round = rows.parse_sql_expr(&format!("position >= {start} AND position < {end}"))?;
    let (first_tokens, run) = (first_tokens(prepared), quote_literal(run));
    let train = format!("train_round(shard, position, ids, {first_tokens}, target, {run}, {round})");
    aggregates(rows.filter(of_round)?, &[("report", &train)])
}

/// Returns a query's rows, computed by a task of its own. Training keeps the thread that it is on for the whole of a round: a statement that is
/// stopped would not notice until its end. As it only waits, it is dropped at once, and the training sees that its session has ended.
pub(super) async fn collected(query: DataFrame) -> Result<Vec<RecordBatch>> {
    match SpawnedTask::spawn(query.collect()).join().await {
        Ok(rows) => Ok(rows?),
        Err(error) => match error.try_into_panic() {
            Ok(payload) => std::panic::resume_unwind(payload),
            Err(_) => Err(StatementError::Internal("a round of training was stopped".to_owned())),
        },
    }
}

/// Runs a round and returns what it did.
pub(super) async fn run_round(query: DataFrame) -> Result<RoundReport> {
    let rows = collected(query).await?;
    let report = rows.iter().find_map(|rows| {
        let reports = rows.column(0).as_string::<i32>();
        reports.iter().flatten().next().map(str::to_owned)
    });
    let report =
        report.ok_or_else(|| StatementError::Internal("a round of training without rows".to_owned()))?;
    serde_json::from_str(&report)
        .map_err(|error| StatementError::Internal(format!("a round's report: {error}")))
}

/// Returns the query that measures the state after a round on the rows to validate on, if there are any.
pub(super) async fn validation(
    context: &StatementContext,
    prepared: &Prepared,
    run: &str,
    round: u32,
) -> Result<Option<DataFrame>> {
    let Some(file) = prepared.validation.as_ref().filter(|file| file.rows > 0) else {
        return Ok(None);
    };
    let rows = features(context, std::iter::once(file), 1).await?;
    let (first_tokens, run) = (first_tokens(prepared), quote_literal(run));
    let outcome = format!("round_outcome(ids, {first_tokens}, target, {run}, {round})");
    let rows = columns(rows, &[("label", "target"), ("outcome", &outcome)])?;
    let (prediction, metrics) = match prepared.task {
        Task::Regress => ("outcome['prediction']", REGRESSION),
        Task::Embed if prepared.scored => ("outcome['prediction']", SIMILARITY),
        Task::Embed => ("outcome['prediction']", CONTRAST),
        Task::Classify if prepared.multi_label => ("outcome['prediction']", NO_METRICS),
        Task::Classify => ("CAST(outcome['prediction'] AS INT)", CLASSIFICATION),
    };
    let parts = [("label", "label"), ("prediction", prediction), ("loss", "outcome['loss']")];
    let rows = columns(rows, &parts)?;
    Ok(Some(if metrics.is_empty() { rows } else { aggregates(rows, metrics)? }))
}

/// Runs a validation of one target a row.
pub(super) async fn run_validation(query: DataFrame) -> Result<Validation> {
    let rows = collected(query).await?;
    let mut metrics = Vec::new();
    for row in rows.iter().filter(|rows| rows.num_rows() > 0) {
        for (field, column) in row.schema().fields().iter().zip(row.columns()) {
            let values = column.as_primitive_opt::<Float64Type>().ok_or_else(|| {
                DataFusionError::Internal(format!("the metric {} is {}", field.name(), column.data_type()))
            })?;
            if values.is_valid(0) {
                metrics.push((field.name().clone(), values.value(0)));
            }
        }
    }
    let mut bound = |name: &str| {
        let found = metrics.iter().position(|(of, _)| of == name)?;
        Some(metrics.remove(found).1)
    };
    let (least, greatest) = (bound(LEAST_CLASS), bound(GREATEST_CLASS));
    let labels_differ = bound(LEAST_LABEL) != bound(GREATEST_LABEL);
    let one_sided =
        least.filter(|_| least == greatest && labels_differ).map(|class| OneSided::Only(class as usize));
    Ok(Validation { metrics, thresholds: Vec::new(), one_sided })
}

fn first_tokens(prepared: &Prepared) -> &'static str {
    if prepared.pairs { "first_tokens" } else { "NULL" }
}
