//! The plans of a training's phases, of rows that are not prepared.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch};
use datafusion::arrow::datatypes::Int32Type;
use datafusion::error::DataFusionError;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::physical_plan::displayable;
use datafusion::prelude::DataFrame;
use nightjar_catalog::{Digest, Task};

use super::{plan::plan, queries};
use crate::StatementContext;
use crate::error::{Result, StatementError};
use crate::labelled_rows::Roles;
use crate::prepare::{FeatureFile, Prepared, file_error, prepare_plans};
use crate::training::Training;

/// Returns each phase of a training by gradient with its plan as text; runs none of them.
///
/// Rounds and validation are planned over files of one row, which stand for those that preparing will write.
pub(crate) async fn tuning_phases(
    context: &StatementContext,
    training: &Training<'_>,
) -> Result<Vec<(&'static str, String)>> {
    let prepare = prepare_plans(context, training).await?;
    let text = |(phase, plan): &(&'static str, Arc<dyn datafusion::physical_plan::ExecutionPlan>)| {
        (*phase, displayable(plan.as_ref()).indent(false).to_string())
    };
    let mut phases: Vec<_> = prepare.iter().map(text).collect();
    let (roles, _) = training.roles(context).await?;
    let folder = tempfile::tempdir().map_err(|error| file_error(&std::env::temp_dir(), error))?;
    let prepared = stand_in(training, &roles, folder.path())?;
    let plan = plan(context, training, &prepared).await?;
    let run = "runs/<run>";
    // DataFusion shows paths without their first slash.
    let path = folder.path().to_string_lossy().trim_start_matches('/').to_owned();
    let shown = async |query: DataFrame| -> Result<String> {
        let plan = query.create_physical_plan().await?;
        Ok(displayable(plan.as_ref()).indent(false).to_string().replace(&path, "runs/<run>/features"))
    };
    phases.push(("round", shown(queries::round(context, &plan, &prepared, run, 0).await?).await?));
    if let Some(query) = queries::validation(context, &prepared, run, 0).await? {
        phases.push(("validate", shown(query).await?));
    }
    let parts = if roles.task == Task::Embed { "encoder and card" } else { "encoder, head and card" };
    phases.push(("commit", format!("one version of {}, with its {parts}", training.name)));
    Ok(phases)
}

/// Returns what preparing would leave, with files of one row.
fn stand_in(training: &Training<'_>, roles: &Roles, folder: &Path) -> Result<Prepared> {
    let pairs = roles.second.is_some();
    let row = one_row(roles, pairs)?;
    let write = |name: String| -> Result<FeatureFile> {
        let path = folder.join(name);
        let file = std::fs::File::create(&path).map_err(|error| file_error(&path, error))?;
        let mut writer = ArrowWriter::try_new(file, row.schema(), None).map_err(DataFusionError::from)?;
        writer.write(&row).map_err(DataFusionError::from)?;
        let bytes = writer.close().map_err(DataFusionError::from)?.file_metadata().num_rows() as u64;
        Ok(FeatureFile { path, rows: 1, tokens: 1, bytes })
    };
    let shards = 0..training.options.shards();
    let validated = training.fine_tune.validate.is_some() || training.options.validation_fraction() > 0.0;
    Ok(Prepared {
        task: roles.task,
        multi_label: roles.multi_label,
        pairs,
        scored: roles.target.is_some(),
        inputs: roles.texts().map(str::to_owned).collect(),
        target: roles.target.clone(),
        labels: if roles.task == Task::Classify { vec![String::new(); 2] } else { Vec::new() },
        class_counts: Vec::new(),
        train: shards.map(|shard| write(format!("train-{shard}.parquet"))).collect::<Result<_>>()?,
        validation: if validated { Some(write("validation.parquet".to_owned())?) } else { None },
        rows: 1,
        skipped: 0,
        truncated: 0,
        data_digest: Digest::of(b""),
        warnings: Vec::new(),
    })
}

fn one_row(roles: &Roles, pairs: bool) -> Result<RecordBatch> {
    let ids = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(0)])]);
    let target: ArrayRef = match roles.task {
        Task::Classify if roles.multi_label => Arc::new(ids.clone()),
        Task::Classify => Arc::new(Int32Array::from(vec![0])),
        Task::Regress | Task::Embed => Arc::new(Float64Array::from(vec![0.0])),
    };
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("shard", Arc::new(Int32Array::from(vec![0]))),
        ("position", Arc::new(Int64Array::from(vec![0]))),
        ("ids", Arc::new(ids)),
        ("target", target),
    ];
    if pairs {
        columns.push(("first_tokens", Arc::new(Int32Array::from(vec![1]))));
    }
    RecordBatch::try_from_iter(columns).map_err(|error| StatementError::from(DataFusionError::from(error)))
}
