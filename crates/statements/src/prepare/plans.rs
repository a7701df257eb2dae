//! The plans of preparing, made apart from being run, so that EXPLAIN prints what runs.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::datasource::MemTable;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::functions::core::expr_fn::get_field;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::{col, ident, lit};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{DataFrame, ParquetReadOptions, SessionConfig, SessionContext};
use nightjar_catalog::Task;

use super::row_key::{row_key, row_place};
use super::text_features::{Reading, feature_fields, text_features};
use crate::StatementContext;
use crate::error::Result;
use crate::labelled_rows::Roles;
use crate::training::Training;

/// The memory of the sort of staged rows; what is more spills to the folder.
const SORT_BYTES: usize = 256 << 20;
/// Few, because each sorts in its part of that memory; the same on every machine, so that EXPLAIN is.
const SORT_PARTITIONS: usize = 2;
/// The token ids of a batch: few, because a sort holds some batches whole.
const SORT_BATCH_BYTES: usize = 2 << 20;

/// Returns the statement's rows with their keys, places and features: the columns of [`staged_schema`].
pub(crate) fn read(
    context: &StatementContext,
    training: &Training<'_>,
    rows: DataFrame,
    roles: &Roles,
) -> Result<DataFrame> {
    let texts: Vec<_> = roles.texts().map(ident).collect();
    let reading = match (&roles.second, roles.task) {
        (None, _) => Reading::One,
        (Some(_), Task::Embed) => Reading::Apart,
        (Some(_), _) => Reading::Together,
    };
    let about = [lit(training.pinned().to_string()), lit(reading.name())];
    let features =
        text_features(context.models.clone()).call(about.into_iter().chain(texts.clone()).collect());
    let key_of = std::iter::once(roles.target_expr()).chain(texts.clone()).collect();
    let rows = rows.select(vec![
        row_key().call(key_of).alias("key"),
        roles.target_expr().alias("target"),
        features.alias("features"),
    ])?;
    let place = row_place().call(vec![col("key"), lit(training.options.seed() as i64)]);
    let mut columns = vec![col("key"), place.alias("place"), col("target")];
    let fields = feature_fields();
    let kept = fields.iter().filter(|field| texts.len() > 1 || field.name() != "first_tokens");
    columns.extend(kept.map(|field| get_field(col("features"), field.name().as_str()).alias(field.name())));
    Ok(rows.select(columns)?)
}

/// Returns the columns of staged rows.
pub(crate) fn staged_schema(roles: &Roles) -> SchemaRef {
    let pairs = roles.texts().count() > 1;
    let mut fields = vec![
        Arc::new(Field::new("key", DataType::Binary, true)),
        Arc::new(Field::new("place", DataType::Binary, true)),
        Arc::new(Field::new("target", roles.target_type(), true)),
    ];
    fields.extend(feature_fields().iter().filter(|field| pairs || field.name() != "first_tokens").cloned());
    Arc::new(Schema::new(fields))
}

/// Returns how many rows each label has.
pub(crate) fn classes(staged: DataFrame) -> Result<DataFrame> {
    Ok(staged.aggregate(vec![col("target")], vec![count(lit(1)).alias("rows")])?)
}

/// Returns the keys in order, of which the digest of the data is made.
pub(crate) fn keys(staged: DataFrame) -> Result<DataFrame> {
    Ok(staged.select(vec![col("key")])?.sort(vec![col("key").sort(true, false)])?)
}

/// Returns the staged rows in the order in which they are dealt out.
pub(crate) fn ordered(staged: DataFrame) -> Result<DataFrame> {
    Ok(staged.sort(vec![col("place").sort(true, false)])?)
}

/// Returns a session for plans over staged rows of at most `window` tokens, whose sorts have a bounded memory and spill
/// to `folder`.
pub(crate) fn staged_session(folder: &Path, window: usize) -> Result<SessionContext> {
    bounded_session(folder, window, SORT_BYTES)
}

fn bounded_session(folder: &Path, window: usize, sort_bytes: usize) -> Result<SessionContext> {
    let batch_rows = (SORT_BATCH_BYTES / size_of::<i32>() / window.max(1)).clamp(16, 1024);
    let mut config = SessionConfig::new().with_batch_size(batch_rows).with_target_partitions(SORT_PARTITIONS);
    // Columns come back in the types that were written.
    config.options_mut().execution.parquet.schema_force_view_types = false;
    let spill = DiskManagerMode::Directories(vec![folder.to_owned()]);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(sort_bytes)))
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(spill))
        .build_arc()?;
    Ok(SessionContext::new_with_config_rt(config, runtime))
}

/// Returns the rows of a file of ours.
pub(crate) async fn open(session: &SessionContext, path: &Path) -> Result<DataFrame> {
    let path = path.to_string_lossy();
    Ok(session.read_parquet(path.as_ref(), ParquetReadOptions::default()).await?)
}

/// Returns the plans of preparing, by the names of their phases, without running any.
///
/// Staged rows are not there yet: where a plan reads them, it reads an empty table of their columns.
pub(crate) async fn prepare_plans(
    context: &StatementContext,
    training: &Training<'_>,
) -> Result<Vec<(&'static str, Arc<dyn ExecutionPlan>)>> {
    let (roles, rows) = training.roles(context).await?;
    let mut plans =
        vec![("prepare: read", read(context, training, rows, &roles)?.create_physical_plan().await?)];
    if let Some(data) = &training.fine_tune.validate {
        let rows = context.rows(data).await?;
        let roles = training.roles_like(&roles, &rows)?;
        let plan = read(context, training, rows, &roles)?.create_physical_plan().await?;
        plans.push(("prepare: read validation", plan));
    }
    let session = staged_session(&std::env::temp_dir(), training.window())?;
    let empty = MemTable::try_new(staged_schema(&roles), vec![vec![]])?;
    let staged = session.read_table(Arc::new(empty))?;
    if roles.task == Task::Classify {
        plans.push(("prepare: classes", classes(staged.clone())?.create_physical_plan().await?));
    }
    plans.push(("prepare: deal", ordered(staged)?.create_physical_plan().await?));
    Ok(plans)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, AsArray, BinaryArray, Int32Array, RecordBatch};
    use datafusion::physical_plan::collect;
    use nightjar_catalog::Digest;

    use super::*;

    fn spills(plan: &dyn ExecutionPlan) -> usize {
        let own = plan.metrics().and_then(|metrics| metrics.spill_count());
        own.unwrap_or(0) + plan.children().into_iter().map(|child| spills(child.as_ref())).sum::<usize>()
    }

    #[tokio::test]
    async fn rows_beyond_the_memory_of_a_sort_are_sorted_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let session = bounded_session(folder.path(), 2048, 48 << 20).unwrap();
        // 96 MB of rows, each 4 kB wide.
        let batch = |number: u32| {
            let places = (0..128).map(|row| Digest::of(&(number * 128 + row).to_le_bytes()).0);
            let places: ArrayRef = Arc::new(BinaryArray::from_iter_values(places));
            let ids = Int32Array::from_iter_values(0..128 * 1024);
            let ids = datafusion::arrow::array::FixedSizeListArray::new(
                Arc::new(Field::new("item", DataType::Int32, true)),
                1024,
                Arc::new(ids),
                None,
            );
            RecordBatch::try_from_iter([("place", places), ("ids", Arc::new(ids) as ArrayRef)]).unwrap()
        };
        let batches: Vec<RecordBatch> = (0..192).map(batch).collect();
        let table = MemTable::try_new(batches[0].schema(), vec![batches]).unwrap();
        let rows = ordered(session.read_table(Arc::new(table)).unwrap()).unwrap();
        let context = Arc::new(rows.task_ctx());
        let plan = rows.create_physical_plan().await.unwrap();
        let sorted = collect(Arc::clone(&plan), context).await.unwrap();
        assert!(spills(plan.as_ref()) > 0);
        let places: Vec<&[u8]> =
            sorted.iter().flat_map(|batch| batch.column(0).as_binary::<i32>().iter().flatten()).collect();
        assert_eq!(places.len(), 192 * 128);
        assert!(places.is_sorted());
    }
}
