//! The formats under their names: how files in them are looked at and read.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::config::{CsvOptions, JsonOptions};
use datafusion::common::{DataFusionError, Statistics};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfig, FileScanConfigBuilder, FileSinkConfig, FileSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::physical_expr::LexRequirement;
use datafusion::physical_plan::ExecutionPlan;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{ObjectMeta, ObjectStore};

use super::source::{Dialect, TextSource};
use super::text::{Place, look_bytes};
use super::{csv, json};

/// CSV or JSON: files are written as DataFusion writes them, and read by us.
pub(super) struct TextFiles {
    inner: Box<dyn FileFormat>,
    options: Options,
    /// Whether the table's columns have been found in its files, and not declared. A format is one table's.
    found: AtomicBool,
}

enum Options {
    Csv(CsvOptions),
    Json(JsonOptions),
}

impl fmt::Debug for TextFiles {
    /// Without what it has found: the fingerprint of a materialized view is made of this.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TextFiles").field(&self.inner).finish()
    }
}

impl TextFiles {
    pub(super) fn csv(options: CsvOptions) -> Self {
        let inner = Box::new(CsvFormat::default().with_options(options.clone()));
        Self { inner, options: Options::Csv(options), found: AtomicBool::new(false) }
    }

    pub(super) fn json(options: JsonOptions) -> Self {
        let inner = Box::new(JsonFormat::default().with_options(options.clone()));
        Self { inner, options: Options::Json(options), found: AtomicBool::new(false) }
    }

    fn compression(&self) -> FileCompressionType {
        match &self.options {
            Options::Csv(options) => options.compression.into(),
            Options::Json(options) => options.compression.into(),
        }
    }

    /// Returns the dialect as a session's settings complete it.
    fn dialect(&self, state: &dyn Session) -> Dialect {
        match &self.options {
            Options::Json(_) => Dialect::Json,
            Options::Csv(options) => {
                let catalog = &state.config_options().catalog;
                let mut options = options.clone();
                options.has_header.get_or_insert(catalog.has_header);
                options.newlines_in_values.get_or_insert(catalog.newlines_in_values);
                Dialect::Csv(Box::new(options))
            }
        }
    }

    fn place(&self, store: &Arc<dyn ObjectStore>, url: &str, object: &ObjectMeta) -> Place {
        let terminator = match &self.options {
            Options::Csv(options) => options.terminator.unwrap_or(b'\n'),
            Options::Json(_) => b'\n',
        };
        Place {
            store: Arc::clone(store),
            location: object.location.clone(),
            file: format!("{url}{}", object.location),
            range: None,
            compression: self.compression(),
            terminator,
        }
    }
}

#[async_trait]
impl FileFormat for TextFiles {
    fn get_ext(&self) -> String {
        self.inner.get_ext()
    }

    fn get_ext_with_compression(&self, compression: &FileCompressionType) -> Result<String> {
        self.inner.get_ext_with_compression(compression)
    }

    fn compression_type(&self) -> Option<FileCompressionType> {
        self.inner.compression_type()
    }

    /// Returns the columns of all files, by name, in the order of their first appearance.
    ///
    /// Errors: a record that isn't one; a list or an object in place of a value.
    /// Cost: reads `schema_infer_max_rec` records of each file where that is set, else up to 16 MiB of each, and about
    /// 128 MiB of all, at least 256 KiB of each.
    async fn infer_schema(
        &self,
        state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        objects: &[ObjectMeta],
    ) -> Result<SchemaRef> {
        // A folder is listed in no order, and its table has the same one each time.
        let mut objects: Vec<&ObjectMeta> = objects.iter().collect();
        objects.sort_unstable_by(|one, other| one.location.cmp(&other.location));
        let bytes = look_bytes(objects.len());
        let at_once = state.config_options().execution.meta_fetch_concurrency.get();
        let url = if nightjar_catalog::is_file_system(store.as_ref()) { "file:///" } else { "" };
        let places: Vec<Place> = objects.iter().map(|object| self.place(store, url, object)).collect();
        let fields = match (&self.options, self.dialect(state)) {
            (Options::Csv(options), Dialect::Csv(dialect)) => {
                let records = options.schema_infer_max_rec;
                let looks =
                    places.into_iter().map(|place| csv::look(place, (*dialect).clone(), records, bytes));
                let looks: Vec<_> = looks.collect();
                let found: Vec<_> = stream::iter(looks).buffered(at_once).try_collect().await?;
                csv::fields(found, records == Some(0))
            }
            (Options::Json(options), _) => {
                let records = options.schema_infer_max_rec;
                let looks: Vec<_> =
                    places.into_iter().map(|place| json::look(place, records, bytes)).collect();
                let found: Vec<_> = stream::iter(looks).buffered(at_once).try_collect().await?;
                json::fields(found).map_err(crate::error::EngineError::into_datafusion)?
            }
            (Options::Csv(_), Dialect::Json) => Vec::new(),
        };
        self.found.store(true, Ordering::Relaxed);
        Ok(Arc::new(Schema::new(fields)))
    }

    async fn infer_stats(
        &self,
        _: &dyn Session,
        _: &Arc<dyn ObjectStore>,
        schema: SchemaRef,
        _: &ObjectMeta,
    ) -> Result<Statistics> {
        Ok(Statistics::new_unknown(&schema))
    }

    async fn create_physical_plan(
        &self,
        state: &dyn Session,
        config: FileScanConfig,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let source = (config.file_source().as_ref() as &dyn std::any::Any).downcast_ref::<TextSource>();
        let mut source = source
            .ok_or_else(|| DataFusionError::Internal("a scan of text has another source".to_owned()))?
            .clone();
        source.dialect = self.dialect(state);
        source.exact = self.found.load(Ordering::Relaxed);
        source.splits = match &source.dialect {
            Dialect::Csv(options) => options.newlines_in_values == Some(false),
            Dialect::Json => {
                let store = state.runtime_env().object_store(&config.object_store_url)?;
                let least = state.config_options().optimizer.repartition_file_min_size as u64;
                let objects =
                    config.file_groups.iter().flat_map(FileGroup::iter).map(|file| &file.object_meta);
                let large = objects.filter(|object| object.size >= least);
                let places = large.map(|object| self.place(&store, "", object));
                json::all_in_lines(places.collect()).await?
            }
        };
        let config = FileScanConfigBuilder::from(config)
            .with_file_compression_type(self.compression())
            .with_source(Arc::new(source))
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    async fn create_writer_physical_plan(
        &self,
        input: Arc<dyn ExecutionPlan>,
        state: &dyn Session,
        config: FileSinkConfig,
        order: Option<LexRequirement>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.inner.create_writer_physical_plan(input, state, config, order).await
    }

    fn file_source(&self, schema: TableSchema) -> Arc<dyn FileSource> {
        let dialect = match &self.options {
            Options::Csv(options) => Dialect::Csv(Box::new(options.clone())),
            Options::Json(_) => Dialect::Json,
        };
        Arc::new(TextSource::new(dialect, schema))
    }
}
