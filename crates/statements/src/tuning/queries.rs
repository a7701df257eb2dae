//! The queries of a training: a round, a validation.

use std::path::Path;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::Float64Type;
use datafusion::common::DataFusionError;
use datafusion::physical_plan::displayable;
use datafusion::prelude::{DataFrame, ParquetReadOptions, SessionContext};
use nightjar_catalog::Task;
use nightjar_functions::rounds::{RoundReport, TrainingPlan};

use crate::StatementContext;
use crate::error::{Result, StatementError};
use crate::names::quote_literal;
use crate::prepare::Prepared;

/// The metrics of a validation, by name, as SQL over the columns `label`, `prediction` and `loss`.
const CLASSIFICATION: &[(&str, &str)] = &[
    ("validation_loss", "avg(loss)"),
    ("accuracy", "accuracy(label, prediction)"),
    ("macro_precision", "precision(label, prediction)"),
    ("macro_recall", "recall(label, prediction)"),
    ("macro_f1", "f1(label, prediction)"),
];

const REGRESSION: &[(&str, &str)] = &[
    ("validation_loss", "avg(loss)"),
    ("rmse", "rmse(label, prediction)"),
    ("mae", "mae(label, prediction)"),
    ("r2", "r2(label, prediction)"),
    ("pearson", "pearson(label, prediction)"),
    ("spearman", "spearman(label, prediction)"),
];

/// Returns a session of the context's functions where the files are the table `features`, a partition each: a file is read in its order and
/// by one task.
pub(super) async fn features<'a>(
    context: &StatementContext,
    files: impl Iterator<Item = &'a Path>,
    partitions: usize,
) -> Result<SessionContext> {
    let state = context.session.state();
    let mut config = state.config().clone().with_target_partitions(partitions);
    let options = config.options_mut();
    options.optimizer.repartition_file_scans = false;
    options.optimizer.enable_round_robin_repartition = false;
    options.execution.enable_file_stream_work_stealing = false;
    let state = datafusion::execution::session_state::SessionStateBuilder::new_from_existing(state)
        .with_config(config)
        .build();
    let session = SessionContext::new_with_state(state);
    let paths: Vec<String> = files.map(|path| path.to_string_lossy().into_owned()).collect();
    let table = session.read_parquet(paths, ParquetReadOptions::default()).await?;
    // A table of this session alone: the names of the user's tables don't reach here.
    session.register_table(datafusion::sql::TableReference::bare("features"), table.into_view())?;
    Ok(session)
}

/// Returns the query that trains a round.
pub(super) async fn round(
    context: &StatementContext,
    plan: &TrainingPlan,
    prepared: &Prepared,
    folder: &Path,
    round: u32,
) -> Result<DataFrame> {
    let files = prepared.train.iter().map(|file| file.path.as_path());
    let session = features(context, files, prepared.train.len()).await?;
    let positions = plan.rows_of(round).positions;
    let query = format!(
        "SELECT train_round(shard, position, ids, {}, target, {}, {round}) AS report FROM features \
         WHERE position >= {} AND position < {}",
        first_tokens(prepared),
        quote_literal(&folder.to_string_lossy()),
        positions.start,
        positions.end,
    );
    Ok(session.sql(&query).await?)
}

/// Runs a round and returns what it did.
pub(super) async fn run_round(query: DataFrame) -> Result<RoundReport> {
    let rows = query.collect().await?;
    let report = rows.iter().find_map(|rows| {
        let reports = rows.column(0).as_string::<i32>();
        reports.iter().flatten().next().map(str::to_owned)
    });
    let report = report.ok_or_else(|| StatementError::Internal("a round of training without rows".to_owned()))?;
    serde_json::from_str(&report).map_err(|error| StatementError::Internal(format!("a round's report: {error}")))
}

/// Returns the query that measures the state after a round on the rows to validate on, if there are any.
pub(super) async fn validation(
    context: &StatementContext,
    prepared: &Prepared,
    folder: &Path,
    round: u32,
) -> Result<Option<DataFrame>> {
    let Some(file) = prepared.validation.as_ref().filter(|file| file.rows > 0) else {
        return Ok(None);
    };
    let session = features(context, std::iter::once(file.path.as_path()), 1).await?;
    let metrics = match prepared.task {
        Task::Regress => REGRESSION,
        _ => CLASSIFICATION,
    };
    let metrics: Vec<String> = metrics.iter().map(|(name, sql)| format!("{sql} AS {name}")).collect();
    let prediction = match prepared.task {
        Task::Regress => "outcome['prediction']",
        _ => "CAST(outcome['prediction'] AS INT)",
    };
    let query = format!(
        "SELECT {} FROM (SELECT target AS label, {prediction} AS prediction, outcome['loss'] AS loss FROM \
         (SELECT target, round_outcome(ids, {}, target, {}, {round}) AS outcome FROM features))",
        metrics.join(", "),
        first_tokens(prepared),
        quote_literal(&folder.to_string_lossy()),
    );
    Ok(Some(session.sql(&query).await?))
}

/// Runs a validation and returns its metrics by name; one that is undefined is left out.
pub(super) async fn run_validation(query: DataFrame) -> Result<Vec<(String, f64)>> {
    let rows = query.collect().await?;
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
    Ok(metrics)
}

fn first_tokens(prepared: &Prepared) -> &'static str {
    if prepared.pairs { "first_tokens" } else { "NULL" }
}

/// Returns the physical plan of a query as text.
pub(crate) async fn phase_plans(query: DataFrame) -> Result<String> {
    let plan = query.create_physical_plan().await?;
    Ok(displayable(plan.as_ref()).indent(false).to_string())
}
