//! DataFusion's writers of files, told to write elsewhere.

use std::sync::Arc;

use datafusion::datasource::file_format::csv::CsvSink;
use datafusion::datasource::file_format::json::JsonSink;
use datafusion::datasource::file_format::parquet::ParquetSink;
use datafusion::datasource::physical_plan::{FileOutputMode, FileSink, FileSinkConfig};
use datafusion::datasource::sink::{DataSink, DataSinkExec};
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::{ExecutionPlan, replace_children_if_necessary};

use super::location::Location;

/// A writer of one of the formats that can be redirected: Parquet, CSV, JSON.
///
/// Arrow's has no public type and no form on the wire: DataFusion writes that format itself, from one task.
#[derive(Debug, Clone)]
pub(super) struct FileWriter {
    /// The writer over no rows: the form in which it travels.
    sink: Arc<DataSinkExec>,
}

impl FileWriter {
    /// Returns the writer of a plan that writes files, or None for other sinks.
    pub(super) fn of(plan: &DataSinkExec) -> Option<Self> {
        config(plan.sink())?;
        let rows = Arc::new(EmptyExec::new(plan.input().schema())) as _;
        let emptied = replace_children_if_necessary(Arc::new(plan.clone()), vec![rows]).ok()?;
        Self::from_plan(&emptied)
    }

    /// Returns the writer that [`Self::plan`] carried.
    pub(super) fn from_plan(plan: &Arc<dyn ExecutionPlan>) -> Option<Self> {
        let sink = plan.downcast_ref::<DataSinkExec>()?;
        config(sink.sink())?;
        Some(Self { sink: Arc::new(sink.clone()) })
    }

    /// Returns the writer as an operator over no rows.
    pub(super) fn plan(&self) -> Arc<dyn ExecutionPlan> {
        Arc::clone(&self.sink) as _
    }

    /// Where it would write, what and how.
    pub(super) fn config(&self) -> Result<&FileSinkConfig> {
        config(self.sink.sink()).ok_or_else(unknown)
    }

    /// Returns the order in which it wants its rows.
    pub(super) fn order(&self) -> Option<datafusion::physical_expr::LexRequirement> {
        self.sink.sort_order().clone()
    }

    /// Returns the writer for another place: a folder that gets as many files as it takes, or one file.
    pub(super) fn to(&self, place: &Location, mode: FileOutputMode) -> Result<Arc<dyn DataSink>> {
        let listing = place.listing()?;
        let config = FileSinkConfig {
            original_url: listing.to_string(),
            object_store_url: listing.object_store(),
            table_paths: vec![listing],
            file_output_mode: mode,
            ..self.config()?.clone()
        };
        let sink = self.sink.sink();
        if let Some(parquet) = sink.downcast_ref::<ParquetSink>() {
            return Ok(Arc::new(ParquetSink::new(config, parquet.parquet_options().clone())));
        }
        if let Some(csv) = sink.downcast_ref::<CsvSink>() {
            return Ok(Arc::new(CsvSink::new(config, csv.writer_options().clone())));
        }
        let json = sink.downcast_ref::<JsonSink>().ok_or_else(unknown)?;
        Ok(Arc::new(JsonSink::new(config, json.writer_options().clone())))
    }
}

fn config(sink: &dyn DataSink) -> Option<&FileSinkConfig> {
    sink.downcast_ref::<ParquetSink>()
        .map(FileSink::config)
        .or_else(|| sink.downcast_ref::<CsvSink>().map(FileSink::config))
        .or_else(|| sink.downcast_ref::<JsonSink>().map(FileSink::config))
}

fn unknown() -> DataFusionError {
    DataFusionError::Internal("a writer of an unknown format".to_owned())
}
