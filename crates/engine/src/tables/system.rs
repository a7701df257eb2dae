//! The schema `nightjar`: the catalog's contents as plain tables, read anew by each query.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    UInt32Array, UInt64Array,
};
use datafusion::catalog::SchemaProvider;
use datafusion::datasource::{MemTable, TableProvider};
use datafusion::error::{DataFusionError, Result};
use nightjar_catalog::{CatalogError, Store};
use nightjar_functions::into_datafusion;

use super::system_jobs::{job_run_statements, job_runs, job_skips, jobs};
use crate::error::EngineError;
use crate::executors::{ExecutorState, Executors};
use crate::registration::SYSTEM_SCHEMA;

/// Columns with their names.
pub(super) type Columns = Vec<(&'static str, ArrayRef)>;

/// A system table: its name and where the columns of now come from.
struct SystemTable {
    name: &'static str,
    read: Origin,
}

/// Where a system table's rows come from.
enum Origin {
    /// The catalog.
    Catalog(fn(&Store) -> Result<Columns, CatalogError>),
    /// Who runs the session's plans.
    Executors,
}

/// Every system table; adding one is one entry and one function.
static TABLES: &[SystemTable] = &[
    SystemTable { name: "models", read: Origin::Catalog(models) },
    SystemTable { name: "model_versions", read: Origin::Catalog(model_versions) },
    SystemTable { name: "training_runs", read: Origin::Catalog(training_runs) },
    SystemTable { name: "training_metrics", read: Origin::Catalog(training_metrics) },
    SystemTable { name: "training_warnings", read: Origin::Catalog(training_warnings) },
    SystemTable { name: "jobs", read: Origin::Catalog(jobs) },
    SystemTable { name: "job_runs", read: Origin::Catalog(job_runs) },
    SystemTable { name: "job_run_statements", read: Origin::Catalog(job_run_statements) },
    SystemTable { name: "job_skips", read: Origin::Catalog(job_skips) },
    SystemTable { name: "materialized_views", read: Origin::Catalog(materialized_views) },
    SystemTable { name: "cache", read: Origin::Catalog(cache) },
    SystemTable { name: "executors", read: Origin::Executors },
];

/// Answers queries on the system tables of one store.
pub(crate) struct SystemSchema {
    store: Store,
    executors: Arc<dyn Executors>,
}

impl std::fmt::Debug for SystemSchema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SystemSchema").finish_non_exhaustive()
    }
}

impl SystemSchema {
    pub(crate) fn new(store: Store, executors: Arc<dyn Executors>) -> Self {
        Self { store, executors }
    }
}

#[async_trait]
impl SchemaProvider for SystemSchema {
    fn table_names(&self) -> Vec<String> {
        TABLES.iter().map(|table| table.name.to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(table) = TABLES.iter().find(|table| table.name == name) else {
            return Ok(None);
        };
        let columns = match table.read {
            Origin::Catalog(read) => read(&self.store).map_err(into_datafusion)?,
            Origin::Executors => executors(&self.executors.executors().await?),
        };
        let batch = RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, array)| (name, array, true)),
        )?;
        Ok(Some(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?)))
    }

    fn table_exist(&self, name: &str) -> bool {
        TABLES.iter().any(|table| table.name == name)
    }

    fn register_table(&self, _: String, _: Arc<dyn TableProvider>) -> Result<Option<Arc<dyn TableProvider>>> {
        Err(DataFusionError::External(Box::new(EngineError::SystemSchema {
            schema: SYSTEM_SCHEMA.to_owned(),
        })))
    }

    fn deregister_table(&self, _: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Err(DataFusionError::External(Box::new(EngineError::SystemSchema {
            schema: SYSTEM_SCHEMA.to_owned(),
        })))
    }
}

pub(super) fn texts<T: ToString>(values: impl Iterator<Item = Option<T>>) -> ArrayRef {
    Arc::new(values.map(|value| value.map(|value| value.to_string())).collect::<StringArray>())
}

pub(super) fn times(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

fn models(store: &Store) -> Result<Columns, CatalogError> {
    let models = store.catalog().models()?;
    Ok(vec![
        ("name", texts(models.iter().map(|model| Some(&model.name)))),
        ("task", texts(models.iter().map(|model| Some(model.task)))),
        (
            "version",
            Arc::new(models.iter().map(|model| Some(model.current_version)).collect::<UInt32Array>()),
        ),
        ("versions", Arc::new(models.iter().map(|model| Some(model.versions)).collect::<UInt64Array>())),
        ("is_default", Arc::new(models.iter().map(|model| Some(model.is_default)).collect::<BooleanArray>())),
        ("base", texts(models.iter().map(|model| model.base.as_ref()))),
        ("created_at", times(models.iter().map(|model| Some(model.created_at)))),
        ("updated_at", times(models.iter().map(|model| Some(model.updated_at)))),
    ])
}

fn model_versions(store: &Store) -> Result<Columns, CatalogError> {
    let versions = store.catalog().all_versions()?;
    let metric = |name: &'static str| -> ArrayRef {
        let values = versions.iter().map(|version| version.card.metrics.get(name).copied());
        Arc::new(values.collect::<Float64Array>())
    };
    Ok(vec![
        ("model", texts(versions.iter().map(|version| Some(&version.name)))),
        ("version", Arc::new(versions.iter().map(|version| Some(version.version)).collect::<UInt32Array>())),
        ("current", Arc::new(versions.iter().map(|version| Some(version.current)).collect::<BooleanArray>())),
        ("task", texts(versions.iter().map(|version| Some(version.card.task)))),
        ("base", texts(versions.iter().map(|version| version.card.base.as_ref()))),
        ("method", texts(versions.iter().map(|version| version.card.method.as_ref()))),
        ("rows", Arc::new(versions.iter().map(|version| Some(version.card.rows)).collect::<UInt64Array>())),
        ("accuracy", metric("accuracy")),
        ("macro_f1", metric("macro_f1")),
        ("validation_loss", metric("validation_loss")),
        ("source", texts(versions.iter().map(|version| version.card.source.as_ref()))),
        ("digest", texts(versions.iter().map(|version| Some(version.digest)))),
        ("created_at", times(versions.iter().map(|version| Some(version.created_at)))),
    ])
}

fn training_runs(store: &Store) -> Result<Columns, CatalogError> {
    let runs = store.catalog().training_runs()?;
    Ok(vec![
        ("run_id", Arc::new(runs.iter().map(|run| Some(run.run_id.0)).collect::<UInt64Array>())),
        ("model", texts(runs.iter().map(|run| Some(&run.model)))),
        ("version", Arc::new(runs.iter().map(|run| run.version).collect::<UInt32Array>())),
        ("status", texts(runs.iter().map(|run| Some(run.status)))),
        ("statement", texts(runs.iter().map(|run| Some(&run.statement)))),
        ("started_at", times(runs.iter().map(|run| Some(run.started_at)))),
        ("finished_at", times(runs.iter().map(|run| run.finished_at))),
        ("rows", Arc::new(runs.iter().map(|run| run.rows).collect::<UInt64Array>())),
        ("error", texts(runs.iter().map(|run| run.error.as_ref()))),
    ])
}

fn training_metrics(store: &Store) -> Result<Columns, CatalogError> {
    let metrics = store.catalog().training_metrics()?;
    Ok(vec![
        ("run_id", Arc::new(metrics.iter().map(|metric| Some(metric.run_id.0)).collect::<UInt64Array>())),
        ("step", Arc::new(metrics.iter().map(|metric| Some(metric.step)).collect::<Int64Array>())),
        ("name", texts(metrics.iter().map(|metric| Some(&metric.name)))),
        ("value", Arc::new(metrics.iter().map(|metric| Some(metric.value)).collect::<Float64Array>())),
    ])
}

fn training_warnings(store: &Store) -> Result<Columns, CatalogError> {
    let warnings = store.catalog().training_warnings()?;
    Ok(vec![
        ("run_id", Arc::new(warnings.iter().map(|(run, _)| Some(run.0)).collect::<UInt64Array>())),
        ("check_name", texts(warnings.iter().map(|(_, warning)| Some(&warning.check)))),
        ("rows", Arc::new(warnings.iter().map(|(_, warning)| Some(warning.rows)).collect::<UInt64Array>())),
        ("message", texts(warnings.iter().map(|(_, warning)| Some(&warning.message)))),
    ])
}

fn materialized_views(store: &Store) -> Result<Columns, CatalogError> {
    let views = store.catalog().materialized_views()?;
    let sources =
        views.iter().map(|view| view.files.iter().filter(|file| file.source.is_some()).count() as u64);
    let rows = views.iter().map(|view| view.files.iter().map(|file| file.rows).sum::<u64>());
    Ok(vec![
        ("name", texts(views.iter().map(|view| Some(&view.name)))),
        ("rows", Arc::new(rows.map(Some).collect::<UInt64Array>())),
        ("source_files", Arc::new(sources.map(Some).collect::<UInt64Array>())),
        ("on_model_change", texts(views.iter().map(|view| Some(view.on_model_change)))),
        ("refreshed_at", times(views.iter().map(|view| Some(view.refreshed_at)))),
        ("definition", texts(views.iter().map(|view| Some(&view.sql)))),
    ])
}

fn cache(store: &Store) -> Result<Columns, CatalogError> {
    let bodies = store.files().cached_bodies()?;
    let versions = store.catalog().all_versions()?;
    // The catalog's names of a body: a head on a base leaves its body as it is.
    let models = bodies.iter().map(|body| {
        let of_body = versions.iter().filter(|version| version.card.body == body.key.body);
        let names: Vec<String> =
            of_body.map(|version| format!("{}@{}", version.name, version.version)).collect();
        (!names.is_empty()).then(|| names.join(", "))
    });
    Ok(vec![
        ("body", texts(bodies.iter().map(|body| Some(body.key.body)))),
        ("models", texts(models)),
        ("precision", texts(bodies.iter().map(|body| Some(&body.key.precision)))),
        ("instruction_set", texts(bodies.iter().map(|body| Some(&body.key.instruction_set)))),
        ("entries", Arc::new(bodies.iter().map(|body| Some(body.entries)).collect::<UInt64Array>())),
        ("bytes", Arc::new(bodies.iter().map(|body| Some(body.bytes)).collect::<UInt64Array>())),
        ("last_used", times(bodies.iter().map(|body| Some(body.last_used)))),
    ])
}

fn executors(executors: &[ExecutorState]) -> Columns {
    let micros =
        |at: &SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_micros().try_into().ok();
    vec![
        ("id", texts(executors.iter().map(|executor| Some(&executor.id)))),
        ("address", texts(executors.iter().map(|executor| executor.address.as_ref()))),
        ("vcores", Arc::new(executors.iter().map(|executor| Some(executor.vcores)).collect::<UInt32Array>())),
        ("last_heard", times(executors.iter().map(|executor| executor.last_heard.as_ref().and_then(micros)))),
    ]
}
