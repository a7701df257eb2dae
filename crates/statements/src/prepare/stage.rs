//! The statement's query, run once into a staging file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::{and, filter_record_batch, is_not_null};
use datafusion::arrow::datatypes::Float64Type;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::DataFrame;
use futures::TryStreamExt;

use super::feature_file::FeatureWriter;
use super::plans::staged_schema;
use super::prepared::file_error;
use crate::error::Result;
use crate::labelled_rows::Roles;
use crate::plan_progress::execute_watched;
use crate::training_error::TrainingError;
use crate::{StatementContext, plan_progress};

/// The rows that are tokenized in one go: few, because nothing stops the statement in between.
const READ_ROWS: usize = 256;

/// Rows in a staging file, which goes away with the value.
pub(crate) struct Staged {
    pub(crate) path: PathBuf,
    /// Rows in the file: those with texts and a target.
    pub(crate) rows: u64,
    /// Rows left out for a NULL.
    pub(crate) skipped: u64,
    /// Rows cut at the window.
    pub(crate) truncated: u64,
}

impl Drop for Staged {
    fn drop(&mut self) {
        // The next attempt overwrites what can't be removed.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Staged {
    /// Runs a plan of [`super::plans::read`] and writes its rows as they come.
    ///
    /// # Errors
    /// `NoRows`, `AllNull` and `NotFinite`, and whatever the query fails with.
    pub(crate) async fn write(
        context: &StatementContext,
        rows: DataFrame,
        roles: &Roles,
        purpose: &'static str,
        path: &Path,
    ) -> Result<Self> {
        let folder = path.parent().unwrap_or(path);
        std::fs::create_dir_all(folder).map_err(|error| file_error(folder, error))?;
        let (mut state, plan) = rows.into_parts();
        *state.config_mut() = state.config().clone().with_batch_size(READ_ROWS);
        let task_context = state.task_ctx();
        let plan = state.create_physical_plan(&plan).await?;
        let progress = plan_progress(plan.as_ref());
        context.watch.phase("reading", progress.unit, progress.total);
        let watch = Arc::clone(&context.watch);
        let (mut stream, _watched) =
            execute_watched(Arc::clone(&plan) as Arc<dyn ExecutionPlan>, task_context, watch)?;
        let schema = staged_schema(roles);
        let mut staged = Self { path: path.to_owned(), rows: 0, skipped: 0, truncated: 0 };
        let mut writer = FeatureWriter::create(path, Arc::clone(&schema))?;
        let (mut seen, mut null_targets) = (0, 0);
        while let Some(batch) = stream.try_next().await? {
            seen += batch.num_rows() as u64;
            // The columns are as written here, but for what the plan knows of their NULLs.
            let batch = RecordBatch::try_new(Arc::clone(&schema), batch.columns().to_vec());
            let batch = batch.map_err(DataFusionError::from)?;
            null_targets += column(&batch, "target").null_count() as u64;
            let complete = complete(&batch)?;
            check_finite(&complete, roles)?;
            staged.rows += complete.num_rows() as u64;
            staged.truncated += column(&complete, "truncated").as_boolean().true_count() as u64;
            writer.write(&complete)?;
        }
        writer.finish()?;
        if seen == 0 {
            return Err(TrainingError::NoRows { purpose }.into());
        }
        if staged.rows == 0 {
            let column = if null_targets == seen { roles.target_name() } else { &roles.text };
            return Err(TrainingError::AllNull { rows: seen, purpose, column: column.to_owned() }.into());
        }
        staged.skipped = seen - staged.rows;
        Ok(staged)
    }
}

/// Returns the rows without a NULL text or target.
fn complete(batch: &RecordBatch) -> Result<RecordBatch> {
    let filtered = || {
        let texts = is_not_null(column(batch, "ids").as_ref())?;
        let targets = is_not_null(column(batch, "target").as_ref())?;
        filter_record_batch(batch, &and(&texts, &targets)?)
    };
    Ok(filtered().map_err(DataFusionError::from)?)
}

fn check_finite(batch: &RecordBatch, roles: &Roles) -> Result<()> {
    let Some(numbers) = column(batch, "target").as_primitive_opt::<Float64Type>() else {
        return Ok(());
    };
    match numbers.values().iter().find(|value| !value.is_finite()) {
        Some(value) => {
            Err(TrainingError::NotFinite { target: roles.target_name().to_owned(), value: *value }.into())
        }
        None => Ok(()),
    }
}

/// A column of a batch that has it by its schema.
fn column<'a>(batch: &'a RecordBatch, name: &str) -> &'a Arc<dyn Array> {
    let index = batch.schema_ref().index_of(name).unwrap_or_default();
    batch.column(index)
}
