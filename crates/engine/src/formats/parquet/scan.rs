//! Scans of Parquet files, made to read amended footers.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfig, FileScanConfigBuilder, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::ExecutionPlan;

use super::adapter::StoredColumns;
use super::reader::AmendedReaders;

/// Returns a plan whose scans of Parquet files read amended footers, from the stores and the cache of `runtime`.
///
/// For plans that were decoded: the form on the wire knows DataFusion's own reader alone.
pub fn with_amended_metadata(
    plan: Arc<dyn ExecutionPlan>,
    runtime: &RuntimeEnv,
) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        let Some(config) = config(node.as_ref()) else { return Ok(Transformed::no(node)) };
        let Some(source) = config.file_source().downcast_ref::<ParquetSource>() else {
            return Ok(Transformed::no(node));
        };
        let store = runtime.object_store(&config.object_store_url)?;
        let readers = AmendedReaders::new(store, runtime.cache_manager.get_file_metadata_cache());
        let source = source.clone().with_parquet_file_reader_factory(Arc::new(readers));
        let config = FileScanConfigBuilder::from(config.clone())
            .with_source(Arc::new(source))
            .with_expr_adapter(Some(Arc::new(StoredColumns)))
            .build();
        Ok(Transformed::yes(DataSourceExec::from_data_source(config) as Arc<dyn ExecutionPlan>))
    })
    .data()
}

pub(super) fn config(node: &dyn ExecutionPlan) -> Option<&FileScanConfig> {
    let scan = node.downcast_ref::<DataSourceExec>()?;
    (scan.data_source().as_ref() as &dyn std::any::Any).downcast_ref()
}

/// Returns a scan to plan without what is said to be known of floating columns: their bounds in files, and those that were
/// made from the values that name folders, where NaN compares with nothing.
pub(super) fn without_floating_bounds(config: FileScanConfig) -> FileScanConfig {
    let table = Arc::clone(config.file_source.table_schema().table_schema());
    if !table.fields().iter().any(|field| is_floating(field.data_type())) {
        return config;
    }
    let forget = |statistics: &Statistics| {
        let mut statistics = statistics.clone();
        forget_floating_bounds(&mut statistics, &table);
        statistics
    };
    let files = |group: FileGroup| {
        let whole = group.file_statistics(None).map(forget);
        let files = group.into_inner().into_iter().map(|file| PartitionedFile {
            statistics: file.statistics.as_deref().map(|known| Arc::new(forget(known))),
            ..file
        });
        let group = FileGroup::new(files.collect());
        match whole {
            Some(whole) => group.with_statistics(Arc::new(whole)),
            None => group,
        }
    };
    let groups = config.file_groups.iter().cloned().map(files).collect();
    let whole = forget(&config.statistics());
    FileScanConfigBuilder::from(config).with_file_groups(groups).with_statistics(whole).build()
}

/// Takes the bounds of floating columns, and bounds that are none, out of statistics of the columns of `schema`.
pub(super) fn forget_floating_bounds(statistics: &mut Statistics, schema: &Schema) {
    for (column, field) in statistics.column_statistics.iter_mut().zip(schema.fields()) {
        let unknown = |bound: &Precision<ScalarValue>| bound.get_value().is_some_and(ScalarValue::is_null);
        // A file without bounds is said to have NULL for one.
        let unbounded = unknown(&column.min_value) || unknown(&column.max_value);
        if unbounded || is_floating(field.data_type()) {
            column.min_value = Precision::Absent;
            column.max_value = Precision::Absent;
            column.sum_value = Precision::Absent;
            column.distinct_count = Precision::Absent;
        }
    }
}

fn is_floating(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_floating(values),
        other => other.is_floating(),
    }
}
