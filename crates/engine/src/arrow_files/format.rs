//! The format under its name: how files in it are read and written.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::{GetExt, Statistics};
use datafusion::datasource::file_format::arrow::ArrowFormat;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::file_format::{FileFormat, FileFormatFactory};
use datafusion::datasource::physical_plan::{FileScanConfig, FileSinkConfig, FileSource};
use datafusion::datasource::sink::DataSinkExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::LexRequirement;
use datafusion::physical_plan::ExecutionPlan;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{ObjectMeta, ObjectStore};

use super::schema::schema;
use super::sink::ArrowSink;
use crate::error::EngineError;

/// Makes [`ArrowFiles`], in the place of DataFusion's own factory.
#[derive(Debug, Default)]
pub(crate) struct ArrowFilesFactory;

impl FileFormatFactory for ArrowFilesFactory {
    /// Errors: any option of the format, since it has none, rather than files that are not what was asked for.
    fn create(&self, _: &dyn Session, options: &HashMap<String, String>) -> Result<Arc<dyn FileFormat>> {
        match options.keys().filter(|option| option.starts_with("format.")).min() {
            Some(option) => {
                let option = option.clone();
                Err(DataFusionError::External(Box::new(EngineError::ArrowOption { option })))
            }
            None => Ok(self.default()),
        }
    }

    fn default(&self) -> Arc<dyn FileFormat> {
        Arc::new(ArrowFiles(ArrowFormat))
    }
}

impl GetExt for ArrowFilesFactory {
    fn get_ext(&self) -> String {
        ArrowFormat.get_ext()
    }
}

/// DataFusion's format, with our look at files' columns and our writer.
#[derive(Debug)]
struct ArrowFiles(ArrowFormat);

impl ArrowFiles {
    async fn columns(
        &self,
        state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        object: &ObjectMeta,
    ) -> Result<Schema> {
        match schema(store.as_ref(), object).await? {
            Some(schema) => Ok(schema),
            None => {
                let schema = self.0.infer_schema(state, store, std::slice::from_ref(object)).await?;
                Ok(Arc::unwrap_or_clone(schema))
            }
        }
    }
}

#[async_trait]
impl FileFormat for ArrowFiles {
    fn get_ext(&self) -> String {
        self.0.get_ext()
    }

    fn get_ext_with_compression(&self, compression: &FileCompressionType) -> Result<String> {
        self.0.get_ext_with_compression(compression)
    }

    fn compression_type(&self) -> Option<FileCompressionType> {
        self.0.compression_type()
    }

    async fn infer_schema(
        &self,
        state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        objects: &[ObjectMeta],
    ) -> Result<SchemaRef> {
        let at_once = state.config_options().execution.meta_fetch_concurrency.get();
        let looks: Vec<_> = objects.iter().map(|object| self.columns(state, store, object)).collect();
        let found: Vec<_> = stream::iter(looks).buffered(at_once).try_collect().await?;
        Ok(Arc::new(Schema::try_merge(found)?))
    }

    async fn infer_stats(
        &self,
        state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        schema: SchemaRef,
        object: &ObjectMeta,
    ) -> Result<Statistics> {
        self.0.infer_stats(state, store, schema, object).await
    }

    async fn create_physical_plan(
        &self,
        state: &dyn Session,
        config: FileScanConfig,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.0.create_physical_plan(state, config).await
    }

    async fn create_writer_physical_plan(
        &self,
        input: Arc<dyn ExecutionPlan>,
        _: &dyn Session,
        config: FileSinkConfig,
        order: Option<LexRequirement>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(DataSinkExec::new(input, Arc::new(ArrowSink::new(config)), order)))
    }

    fn file_source(&self, schema: TableSchema) -> Arc<dyn FileSource> {
        self.0.file_source(schema)
    }
}
