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
use super::text_features::{feature_fields, text_features};
use crate::StatementContext;
use crate::error::Result;
use crate::labelled_rows::Roles;
use crate::training::Training;

/// The memory of the sort of staged rows; what is more spills to the folder.
const SORT_BYTES: usize = 256 << 20;
/// Few, because each sorts in its part of that memory.
const SORT_PARTITIONS: usize = 4;
/// Small, because a sort holds some batches whole: 1,024 rows of 512 tokens are 2 MiB.
const SORT_BATCH_ROWS: usize = 1024;

/// Returns the statement's rows with their keys, places and features: the columns of [`staged_schema`].
pub(crate) fn read(
    context: &StatementContext,
    training: &Training<'_>,
    rows: DataFrame,
    roles: &Roles,
) -> Result<DataFrame> {
    let model = training.pinned().to_string();
    let model = context.models.resolve("token_ids", Some(&model), Task::Embed, &context.options())?;
    let texts: Vec<_> = roles.texts().map(ident).collect();
    let features = text_features(context.models.clone(), model, texts.len()).call(texts.clone());
    let key_of = std::iter::once(roles.target_expr()).chain(texts.clone()).collect();
    let rows = rows.select(vec![
        row_key(texts.len()).call(key_of).alias("key"),
        roles.target_expr().alias("target"),
        features.alias("features"),
    ])?;
    let place = row_place(training.options.seed() as i64).call(vec![col("key")]);
    let mut columns = vec![col("key"), place.alias("place"), col("target")];
    let fields = feature_fields();
    let kept = fields.iter().filter(|field| texts.len() > 1 || field.name() != "first_tokens");
    columns.extend(kept.map(|field| get_field(col("features"), field.name().as_str()).alias(field.name())));
    Ok(rows.select(columns)?)
}

/// Returns the columns of staged rows.
pub(crate) fn staged_schema(roles: &Roles) -> SchemaRef {
    let target = if roles.task == Task::Regress { DataType::Float64 } else { DataType::Utf8 };
    let pairs = roles.texts().count() > 1;
    let mut fields = vec![
        Arc::new(Field::new("key", DataType::Binary, true)),
        Arc::new(Field::new("place", DataType::Binary, true)),
        Arc::new(Field::new("target", target, true)),
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

/// Returns a session for plans over staged rows, whose sorts have a bounded memory and spill to `folder`.
pub(crate) fn staged_session(folder: &Path) -> Result<SessionContext> {
    let mut config = SessionConfig::new()
        .with_batch_size(SORT_BATCH_ROWS)
        .with_target_partitions(SORT_PARTITIONS.min(threads()));
    // Columns come back in the types that were written.
    config.options_mut().execution.parquet.schema_force_view_types = false;
    let spill = DiskManagerMode::Directories(vec![folder.to_owned()]);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(SORT_BYTES)))
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(spill))
        .build_arc()?;
    Ok(SessionContext::new_with_config_rt(config, runtime))
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
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
    let session = staged_session(&std::env::temp_dir())?;
    let empty = MemTable::try_new(staged_schema(&roles), vec![vec![]])?;
    let staged = session.read_table(Arc::new(empty))?;
    if roles.task != Task::Regress {
        plans.push(("prepare: classes", classes(staged.clone())?.create_physical_plan().await?));
    }
    plans.push(("prepare: deal", ordered(staged)?.create_physical_plan().await?));
    Ok(plans)
}
