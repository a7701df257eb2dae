//! The format under its name: how files in it are read and written.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::{GetExt, Statistics};
use datafusion::datasource::file_format::arrow::ArrowFormat;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::file_format::{FileFormat, FileFormatFactory};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileSinkConfig, FileSource};
use datafusion::datasource::sink::DataSinkExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::LexRequirement;
use datafusion::physical_plan::ExecutionPlan;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};
use parking_lot::Mutex;

use super::scan::{Look, scan};
use super::schema::schema;
use super::sink::ArrowSink;
use crate::error::EngineError;
use crate::tables::unify;

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
        Arc::new(ArrowFiles { inner: ArrowFormat, seen: Mutex::default() })
    }
}

impl GetExt for ArrowFilesFactory {
    fn get_ext(&self) -> String {
        ArrowFormat.get_ext()
    }
}

/// DataFusion's format, with our look at files' columns, our scan and our writer.
struct ArrowFiles {
    inner: ArrowFormat,
    /// The files that have been looked at, as they were: a query looks when it finds the table's columns, and when it plans
    /// the scan. A format is one table's, so it sees one store.
    seen: Mutex<HashMap<Path, (ObjectMeta, Look)>>,
}

impl fmt::Debug for ArrowFiles {
    /// Without what it has seen: the fingerprint of a materialized view is made of this.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ArrowFiles").field(&self.inner).finish()
    }
}

impl ArrowFiles {
    /// Looks at files, several at once. Cost: a few small reads for each that hasn't been looked at.
    async fn look(
        &self,
        state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        objects: impl Iterator<Item = &ObjectMeta>,
    ) -> Result<Vec<Look>> {
        let at_once = state.config_options().execution.meta_fetch_concurrency.get();
        let looks: Vec<_> = objects.map(|object| self.look_at(state, store, object)).collect();
        stream::iter(looks).buffered(at_once).try_collect().await
    }

    async fn look_at(
        &self,
        state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        object: &ObjectMeta,
    ) -> Result<Look> {
        let seen = self.seen.lock().get(&object.location).cloned();
        if let Some((_, look)) = seen.filter(|(then, _)| then == object) {
            return Ok(look);
        }
        let look = match schema(store.as_ref(), object).await? {
            Some(schema) => Look { columns: Arc::new(schema), stream: false },
            None => {
                let columns = self.inner.infer_schema(state, store, std::slice::from_ref(object)).await?;
                Look { columns, stream: true }
            }
        };
        self.seen.lock().insert(object.location.clone(), (object.clone(), look.clone()));
        Ok(look)
    }
}

#[async_trait]
impl FileFormat for ArrowFiles {
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
        let looks = self.look(state, store, objects.iter()).await?;
        let files =
            objects.iter().zip(looks).map(|(object, look)| (object.location.to_string(), look.columns));
        let views = state.config_options().execution.parquet.schema_force_view_types;
        Ok(Arc::new(unify(&files.collect::<Vec<_>>(), views).map_err(EngineError::into_datafusion)?))
    }

    async fn infer_stats(
        &self,
        state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        schema: SchemaRef,
        object: &ObjectMeta,
    ) -> Result<Statistics> {
        self.inner.infer_stats(state, store, schema, object).await
    }

    async fn create_physical_plan(
        &self,
        state: &dyn Session,
        config: FileScanConfig,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let store = state.runtime_env().object_store(&config.object_store_url)?;
        let objects = config.file_groups.iter().flat_map(FileGroup::iter).map(|file| &file.object_meta);
        let looks = self.look(state, &store, objects).await?;
        scan(&config, &looks)
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
        self.inner.file_source(schema)
    }
}
