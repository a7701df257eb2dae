//! A file's footer, amended when it is read and kept like that.

use std::any::Any;
use std::sync::Arc;

use datafusion::common::HashMap;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::error::Result;
use datafusion::execution::cache::cache_manager::{CachedFileMetadataEntry, FileMetadata, FileMetadataCache};
use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use object_store::{ObjectMeta, ObjectStore};

use super::bounds::with_sound_bounds;
use super::legacy::stored_columns;
use super::schema::with_own_schema;

/// Where footers are kept: DataFusion's cache of them, whose bound is a setting.
pub(super) type Footers = Arc<FileMetadataCache>;

/// An amended footer, as the cache has it. DataFusion's own footers in the cache are of another type, so neither is taken for
/// the other.
struct Footer {
    metadata: Arc<ParquetMetaData>,
    /// Whether the file has been looked at for a page index.
    pages: bool,
}

impl FileMetadata for Footer {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn memory_size(&self) -> usize {
        self.metadata.memory_size()
    }

    fn extra_info(&self) -> HashMap<String, String> {
        HashMap::from([("page_index".to_owned(), self.metadata.column_index().is_some().to_string())])
    }
}

/// Returns a file's amended footer, with its page index unless `pages` says to skip it.
///
/// Cost: for a file that is in the cache, the look-up. Else what DataFusion's own reading of a footer costs, and a copy of the
/// row groups' metadata where something in them doesn't hold.
pub(super) async fn footer(
    store: &dyn ObjectStore,
    object: &ObjectMeta,
    footers: &Footers,
    size_hint: Option<usize>,
    pages: PageIndexPolicy,
) -> Result<Arc<ParquetMetaData>> {
    let pages_wanted = pages != PageIndexPolicy::Skip;
    if let Some(known) = footers.get(&object.location).filter(|known| known.is_valid_for(object))
        && let Some(known) = known.file_metadata.as_any().downcast_ref::<Footer>()
        && (known.pages || !pages_wanted)
    {
        return Ok(Arc::clone(&known.metadata));
    }
    let read = DFParquetMetadata::new(store, object)
        .with_metadata_size_hint(size_hint)
        .with_page_index_policy(Some(pages))
        .fetch_metadata()
        .await?;
    // Nobody else has it: this reading was given no cache.
    let read = Arc::try_unwrap(read).unwrap_or_else(|shared| shared.as_ref().clone());
    let stored = stored_columns(&read);
    let metadata = Arc::new(with_own_schema(with_sound_bounds(read, &stored)?, &stored, object)?);
    let footer = Footer { metadata: Arc::clone(&metadata), pages: pages_wanted };
    footers.put(&object.location, CachedFileMetadataEntry::new(object.clone(), Arc::new(footer)));
    Ok(metadata)
}
