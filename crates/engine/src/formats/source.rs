//! The scan of CSV and JSON files.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::config::CsvOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileOpenFuture, FileOpener, FileScanConfig, FileSource};
use datafusion::datasource::projection::{ProjectionOpener, SplitProjection};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayFormatType, PhysicalExpr};
use object_store::ObjectStore;

use super::text::Place;
use super::{csv, json};

/// Which of the formats a file has, and how.
#[derive(Debug, Clone)]
pub(super) enum Dialect {
    /// With what was to be found in the session's settings filled in.
    Csv(Box<CsvOptions>),
    Json,
}

/// What a scan reads, of all of its files.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// The table's columns that files have, and the places of those that are read.
    pub(super) table: SchemaRef,
    pub(super) columns: Vec<usize>,
    /// The columns that name folders.
    pub(super) folders: Vec<String>,
    /// Whether the columns were found and not declared.
    pub(super) exact: bool,
    pub(super) batch_size: usize,
}

impl Wanted {
    /// Returns the columns that are read.
    pub(super) fn schema(&self) -> Result<SchemaRef> {
        Ok(Arc::new(self.table.project(&self.columns)?))
    }
}

/// Reads CSV or JSON files: columns by name, each value checked.
#[derive(Debug, Clone)]
pub(crate) struct TextSource {
    pub(super) dialect: Dialect,
    /// Whether the columns were found and not declared: a value that they would change is refused.
    pub(super) exact: bool,
    /// Whether a file may be read in pieces.
    pub(super) splits: bool,
    schema: TableSchema,
    projection: SplitProjection,
    batch_size: Option<usize>,
    metrics: ExecutionPlanMetricsSet,
}

impl TextSource {
    pub(super) fn new(dialect: Dialect, schema: TableSchema) -> Self {
        Self {
            dialect,
            exact: false,
            splits: false,
            projection: SplitProjection::unprojected(&schema),
            schema,
            batch_size: None,
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    /// Returns the source that gives these columns.
    pub(super) fn projected(&self, projection: &ProjectionExprs) -> Self {
        Self { projection: SplitProjection::new(self.schema.file_schema(), projection), ..self.clone() }
    }
}

impl FileSource for TextSource {
    fn create_file_opener(
        &self,
        store: Arc<dyn ObjectStore>,
        config: &FileScanConfig,
        _: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        let table: &Schema = self.schema.file_schema();
        let opener = Opener {
            dialect: self.dialect.clone(),
            wanted: Wanted {
                table: Arc::clone(self.schema.file_schema()),
                columns: self.projection.file_indices.clone(),
                folders: config.table_partition_cols().iter().map(|field| field.name().clone()).collect(),
                exact: self.exact,
                batch_size: self.batch_size.unwrap_or(8192),
            },
            store,
            url: config.object_store_url.as_str().to_owned(),
            compression: config.file_compression_type,
        };
        ProjectionOpener::try_new(self.projection.clone(), Arc::new(opener), table)
    }

    fn table_schema(&self) -> &TableSchema {
        &self.schema
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        Arc::new(Self { batch_size: Some(batch_size), ..self.clone() })
    }

    fn try_pushdown_projection(&self, projection: &ProjectionExprs) -> Result<Option<Arc<dyn FileSource>>> {
        let merged = self.projection.source.try_merge(projection)?;
        Ok(Some(Arc::new(self.projected(&merged))))
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        Some(&self.projection.source)
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        &self.metrics
    }

    fn file_type(&self) -> &str {
        match self.dialect {
            Dialect::Csv(_) => "csv",
            Dialect::Json => "json",
        }
    }

    fn supports_repartitioning(&self) -> bool {
        self.splits
    }

    fn fmt_extra(&self, kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.dialect, kind) {
            (Dialect::Csv(options), DisplayFormatType::Default | DisplayFormatType::Verbose) => {
                write!(f, ", has_header={}", options.has_header.unwrap_or(true))
            }
            _ => Ok(()),
        }
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        datafusion::physical_plan::apply_expression_roots(self.projection.source.iter(), f)
    }
}

/// Opens one file after the other.
struct Opener {
    dialect: Dialect,
    wanted: Wanted,
    store: Arc<dyn ObjectStore>,
    url: String,
    compression: FileCompressionType,
}

impl FileOpener for Opener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let range = file.range.as_ref().map(|range| {
            (u64::try_from(range.start).unwrap_or(0), u64::try_from(range.end).unwrap_or(u64::MAX))
        });
        let terminator = match &self.dialect {
            Dialect::Csv(options) => options.terminator.unwrap_or(b'\n'),
            Dialect::Json => b'\n',
        };
        let place = Place {
            store: Arc::clone(&self.store),
            file: format!("{}{}", self.url, file.object_meta.location),
            location: file.object_meta.location,
            range,
            compression: self.compression,
            terminator,
        };
        let (dialect, wanted) = (self.dialect.clone(), self.wanted.clone());
        Ok(Box::pin(async move {
            match dialect {
                Dialect::Csv(options) => csv::rows(place, wanted, &options).await,
                Dialect::Json => json::rows(place, wanted).await,
            }
        }))
    }
}
