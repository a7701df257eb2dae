//! DataFusion's writers of files, told to write elsewhere.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::parsers::CompressionTypeVariant;
use datafusion::config::{MaxRowGroupBytes, TableParquetOptions};
use datafusion::datasource::file_format::csv::CsvSink;
use datafusion::datasource::file_format::json::JsonSink;
use datafusion::datasource::file_format::parquet::ParquetSink;
use datafusion::datasource::physical_plan::{FileOutputMode, FileSink, FileSinkConfig};
use datafusion::datasource::sink::{DataSink, DataSinkExec};
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::{ExecutionPlan, replace_children_if_necessary};

use super::csv_sink::CsvRowsSink;
use super::file_name::ending_of;
use super::location::Location;
use crate::arrow_files::ArrowSink;

/// So many bytes of rows are in memory until they are a row group: what Spark and Hive write.
const ROW_GROUP_BYTES: usize = 128 << 20;

/// As [`ROW_GROUP_BYTES`], where a task has many files open at once.
const ROW_GROUP_BYTES_OF_MANY: usize = 32 << 20;

/// A writer of one of the formats: Parquet, CSV, JSON, Arrow.
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
        Self::from_plan(&emptied)?.with_whole_ending()
    }

    /// Returns the writer with the compression in the ending of its files: a table's would have the format's alone.
    fn with_whole_ending(self) -> Option<Self> {
        let Some(compression) = self.compression() else { return Some(self) };
        let config = self.config().ok()?;
        let ending = format!(".{}", ending_of(compression));
        if config.file_extension.ends_with(&ending) {
            return Some(self);
        }
        let file_extension = format!("{}{ending}", config.file_extension);
        let config = FileSinkConfig { file_extension, ..config.clone() };
        let sink: Arc<dyn DataSink> = match self.sink.sink().downcast_ref::<CsvSink>() {
            Some(csv) => Arc::new(CsvSink::new(config, csv.writer_options().clone())),
            None => {
                let json = self.sink.sink().downcast_ref::<JsonSink>()?;
                Arc::new(JsonSink::new(config, json.writer_options().clone()))
            }
        };
        let sink = DataSinkExec::new(Arc::clone(self.sink.input()), sink, self.sink.sort_order().clone());
        Some(Self { sink: Arc::new(sink) })
    }

    /// Returns the format's name.
    pub(super) fn format(&self) -> &'static str {
        let sink = self.sink.sink();
        match () {
            () if sink.is::<ParquetSink>() => "parquet",
            () if sink.is::<CsvSink>() => "csv",
            () if sink.is::<JsonSink>() => "json",
            () => "arrow",
        }
    }

    /// Returns how files are compressed as a whole: text files may be, the others compress inside.
    pub(super) fn compression(&self) -> Option<&'static str> {
        let sink = self.sink.sink();
        let csv = sink.downcast_ref::<CsvSink>().map(|csv| csv.writer_options().compression);
        let text =
            csv.or_else(|| sink.downcast_ref::<JsonSink>().map(|json| json.writer_options().compression));
        match text? {
            CompressionTypeVariant::GZIP => Some("gzip"),
            CompressionTypeVariant::BZIP2 => Some("bzip2"),
            CompressionTypeVariant::XZ => Some("xz"),
            CompressionTypeVariant::ZSTD => Some("zstd"),
            CompressionTypeVariant::UNCOMPRESSED => None,
        }
    }

    /// Returns what stands between the fields of CSV.
    pub(super) fn delimiter(&self) -> Option<u8> {
        let csv = self.sink.sink().downcast_ref::<CsvSink>()?;
        Some(csv.writer_options().writer_options.delimiter())
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
        self.sink(self.at(place, mode)?, ROW_GROUP_BYTES)
    }

    /// Returns the writer for one of many files that are open at once. Its rows have the columns of `schema`, and are all of
    /// one folder.
    pub(super) fn to_one_of_many(&self, place: &Location, schema: SchemaRef) -> Result<Arc<dyn DataSink>> {
        let config = FileSinkConfig {
            output_schema: schema,
            table_partition_cols: Vec::new(),
            ..self.at(place, FileOutputMode::SingleFile)?
        };
        self.sink(config, ROW_GROUP_BYTES_OF_MANY)
    }

    fn at(&self, place: &Location, mode: FileOutputMode) -> Result<FileSinkConfig> {
        let listing = place.listing()?;
        Ok(FileSinkConfig {
            original_url: listing.to_string(),
            object_store_url: listing.object_store(),
            table_paths: vec![listing],
            file_output_mode: mode,
            ..self.config()?.clone()
        })
    }

    fn sink(&self, config: FileSinkConfig, row_group_bytes: usize) -> Result<Arc<dyn DataSink>> {
        let sink = self.sink.sink();
        if let Some(parquet) = sink.downcast_ref::<ParquetSink>() {
            let options = bounded(parquet.parquet_options(), row_group_bytes)?;
            return Ok(Arc::new(ParquetSink::new(config, options)));
        }
        if let Some(csv) = sink.downcast_ref::<CsvSink>() {
            return Ok(Arc::new(CsvRowsSink::new(config, csv.writer_options().clone())));
        }
        if sink.is::<ArrowSink>() {
            return Ok(Arc::new(ArrowSink::new(config)));
        }
        let json = sink.downcast_ref::<JsonSink>().ok_or_else(unknown)?;
        Ok(Arc::new(JsonSink::new(config, json.writer_options().clone())))
    }
}

/// Bounds a row group by its bytes, where the user hasn't: DataFusion's million rows of embeddings are gigabytes in memory. Its
/// writer that encodes a file's columns at once knows no such bound; here partitions are encoded at once.
fn bounded(options: &TableParquetOptions, bytes: usize) -> Result<TableParquetOptions> {
    let mut options = options.clone();
    if options.global.max_row_group_bytes.is_none() {
        options.global.max_row_group_bytes = Some(MaxRowGroupBytes::try_new(bytes)?);
    }
    options.global.allow_single_file_parallelism = false;
    Ok(options)
}

fn config(sink: &dyn DataSink) -> Option<&FileSinkConfig> {
    sink.downcast_ref::<ParquetSink>()
        .map(FileSink::config)
        .or_else(|| sink.downcast_ref::<CsvSink>().map(FileSink::config))
        .or_else(|| sink.downcast_ref::<JsonSink>().map(FileSink::config))
        .or_else(|| sink.downcast_ref::<ArrowSink>().map(ArrowSink::config))
}

fn unknown() -> DataFusionError {
    DataFusionError::Internal("a writer of an unknown format".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_groups_are_bounded_by_bytes_where_the_user_has_not_said() {
        let bytes = |options: &TableParquetOptions| {
            let bounded = bounded(options, ROW_GROUP_BYTES).unwrap();
            assert!(!bounded.global.allow_single_file_parallelism, "that writer heeds no such bound");
            bounded.global.max_row_group_bytes.map(|bytes| bytes.get())
        };
        let mut options = TableParquetOptions::default();
        assert_eq!(bytes(&options), Some(ROW_GROUP_BYTES));
        options.global.max_row_group_bytes = Some(MaxRowGroupBytes::try_new(1 << 20).unwrap());
        assert_eq!(bytes(&options), Some(1 << 20));
    }
}
