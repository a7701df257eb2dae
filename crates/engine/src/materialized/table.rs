//! A materialized view as a table.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::datasource::TableProvider;
use datafusion::datasource::listing::ListingTableUrl;
use datafusion::error::Result;
use datafusion::execution::session_state::SessionState;
use nightjar_catalog::{MaterializedView, Store};
use object_store::ObjectStoreExt;
use url::Url;

use super::data_files::FORMAT;
use crate::error::EngineError;
use crate::tables::{FileTable, PartitionColumns};

/// Returns the data files that a view's ledger names now as a table.
pub(crate) async fn view_table(
    store: &Store,
    view: &MaterializedView,
    state: &SessionState,
) -> Result<Arc<dyn TableProvider>> {
    let data = store.view_files(&view.folder);
    // First: the table's columns are those of its first file.
    let names = [&view.columns].into_iter().chain(view.files.iter().filter_map(|file| file.data.as_ref()));
    let files = names.map(|name| location(&data.location(name))).collect::<Result<Vec<_>>>()?;
    let format = state
        .get_file_format_factory(FORMAT)
        .ok_or_else(|| EngineError::ViewFormat)
        .map_err(EngineError::into_datafusion)?
        .create(state, &HashMap::new())?;
    let Some(first) = files.first() else { return Err(EngineError::ViewFormat.into_datafusion()) };
    let store = state.runtime_env().object_store(first)?;
    let object = store.head(first.prefix()).await?;
    let columns = format.infer_schema(state, &store, &[object]).await?;
    Ok(Arc::new(FileTable::new(files, format, String::new(), columns, PartitionColumns::default())))
}

/// Returns the place of one file: a URL, or a path in which nothing is a pattern.
fn location(place: &str) -> Result<ListingTableUrl> {
    let invalid = || EngineError::FileName {
        path: place.to_owned(),
        reason: "it is neither absolute nor a URL".to_owned(),
    };
    let url = Url::from_file_path(place).or_else(|()| Url::parse(place).map_err(drop));
    ListingTableUrl::try_new(url.map_err(|()| invalid().into_datafusion())?, None)
}
