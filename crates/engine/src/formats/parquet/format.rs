//! The format under its name: how Parquet files are read and written.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::{GetExt, Statistics};
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::file_format::parquet::{
    ParquetFormat, ParquetFormatFactory, transform_binary_to_string, transform_schema_to_view,
};
use datafusion::datasource::file_format::{FileFormat, FileFormatFactory, FileMeta};
use datafusion::datasource::physical_plan::parquet::metadata::{
    DFParquetMetadata, ordering_from_parquet_metadata,
};
use datafusion::datasource::physical_plan::{FileScanConfig, FileSinkConfig, FileSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::parquet::arrow::parquet_to_arrow_schema;
use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, LexRequirement};
use datafusion::physical_plan::ExecutionPlan;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{ObjectMeta, ObjectStore};

use super::bounds::is_ordered;
use super::metadata::footer;
use super::scan::{forget_floating_bounds, with_amended_metadata, without_floating_bounds};
use super::stored::as_read;
use crate::error::EngineError;
use crate::tables::unify;

/// Makes [`ParquetFiles`], in the place of DataFusion's own factory.
#[derive(Debug)]
pub(crate) struct ParquetFilesFactory {
    inner: ParquetFormatFactory,
}

impl ParquetFilesFactory {
    pub(crate) fn new() -> Self {
        Self { inner: ParquetFormatFactory::new() }
    }
}

impl FileFormatFactory for ParquetFilesFactory {
    fn create(&self, state: &dyn Session, options: &HashMap<String, String>) -> Result<Arc<dyn FileFormat>> {
        ParquetFiles::over(self.inner.create(state, options)?)
    }

    fn default(&self) -> Arc<dyn FileFormat> {
        Arc::new(ParquetFiles { inner: ParquetFormat::default() })
    }
}

impl GetExt for ParquetFilesFactory {
    fn get_ext(&self) -> String {
        self.inner.get_ext()
    }
}

/// DataFusion's format, over amended footers.
struct ParquetFiles {
    inner: ParquetFormat,
}

impl fmt::Debug for ParquetFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ParquetFiles").field(&self.inner).finish()
    }
}

impl ParquetFiles {
    fn over(format: Arc<dyn FileFormat>) -> Result<Arc<dyn FileFormat>> {
        let inner = format.downcast_ref::<ParquetFormat>();
        let options = inner.map(|inner| inner.options().clone()).ok_or_else(|| {
            DataFusionError::Internal("DataFusion's format of Parquet files is another".to_owned())
        })?;
        Ok(Arc::new(Self { inner: ParquetFormat::default().with_options(options) }))
    }

    async fn footer(
        &self,
        state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        object: &ObjectMeta,
    ) -> Result<Arc<ParquetMetaData>> {
        let footers = state.runtime_env().cache_manager.get_file_metadata_cache();
        let hint = self.inner.metadata_size_hint();
        footer(store.as_ref(), object, &footers, hint, PageIndexPolicy::Optional).await
    }

    /// Returns the columns of a file, as DataFusion's options of the format have them.
    fn columns(&self, metadata: &ParquetMetaData) -> Result<Schema> {
        let file = metadata.file_metadata();
        let mut schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata())?;
        schema = as_read(&schema).unwrap_or(schema);
        if self.inner.skip_metadata() {
            let fields = schema.fields().iter();
            let bare = fields.map(|field| field.as_ref().clone().with_metadata(HashMap::new()));
            schema = Schema::new(bare.collect::<Vec<_>>());
        }
        if self.inner.binary_as_string() {
            schema = transform_binary_to_string(&schema);
        }
        if self.inner.force_view_types() {
            schema = transform_schema_to_view(&schema);
        }
        Ok(schema)
    }
}

#[async_trait]
impl FileFormat for ParquetFiles {
    fn get_ext(&self) -> String {
        self.inner.get_ext()
    }

    fn get_ext_with_compression(&self, compression: &FileCompressionType) -> Result<String> {
        self.inner.get_ext_with_compression(compression)
    }

    fn compression_type(&self) -> Option<FileCompressionType> {
        self.inner.compression_type()
    }

    async fn infer_schema(
        &self,
        state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        objects: &[ObjectMeta],
    ) -> Result<SchemaRef> {
        let at_once = state.config_options().execution.meta_fetch_concurrency.get();
        let looks: Vec<_> = objects
            .iter()
            .map(|object| async move {
                let metadata = self.footer(state, store, object).await?;
                let columns = Arc::new(self.columns(&metadata)?);
                Ok::<_, DataFusionError>((object.location.to_string(), columns))
            })
            .collect();
        let mut files: Vec<(String, SchemaRef)> = stream::iter(looks).buffered(at_once).try_collect().await?;
        files.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let views = self.inner.force_view_types();
        Ok(Arc::new(unify(&files, views).map_err(EngineError::into_datafusion)?))
    }

    async fn infer_stats(
        &self,
        state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        table: SchemaRef,
        object: &ObjectMeta,
    ) -> Result<Statistics> {
        let metadata = self.footer(state, store, object).await?;
        statistics(&metadata, &table)
    }

    async fn infer_ordering(
        &self,
        state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        table: SchemaRef,
        object: &ObjectMeta,
    ) -> Result<Option<LexOrdering>> {
        let metadata = self.footer(state, store, object).await?;
        ordering(&metadata, &table)
    }

    async fn infer_stats_and_ordering(
        &self,
        state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        table: SchemaRef,
        object: &ObjectMeta,
    ) -> Result<FileMeta> {
        let metadata = self.footer(state, store, object).await?;
        Ok(FileMeta::new(statistics(&metadata, &table)?).with_ordering(ordering(&metadata, &table)?))
    }

    async fn create_physical_plan(
        &self,
        state: &dyn Session,
        config: FileScanConfig,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let scan = self.inner.create_physical_plan(state, without_floating_bounds(config)).await?;
        with_amended_metadata(scan, state.runtime_env())
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
        self.inner.file_source(schema)
    }
}

fn statistics(metadata: &ParquetMetaData, table: &SchemaRef) -> Result<Statistics> {
    let mut statistics = DFParquetMetadata::statistics_from_parquet_metadata(metadata, table)?;
    forget_floating_bounds(&mut statistics, table);
    Ok(statistics)
}

/// Returns the order that a file says its rows are in, up to the first column that writers order differently.
fn ordering(metadata: &ParquetMetaData, table: &SchemaRef) -> Result<Option<LexOrdering>> {
    let Some(ordering) = ordering_from_parquet_metadata(metadata, table)? else { return Ok(None) };
    let columns = metadata.file_metadata().schema_descr().columns();
    let ordered = ordering.into_iter().take_while(|sort| {
        let column = sort.expr.downcast_ref::<Column>().map(Column::name);
        columns.iter().any(|leaf| Some(leaf.path().string().as_str()) == column && is_ordered(leaf))
    });
    Ok(LexOrdering::new(ordered.collect::<Vec<_>>()))
}
