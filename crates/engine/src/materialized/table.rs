//! A materialized view as a table.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use datafusion::datasource::TableProvider;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::error::Result;
use datafusion::execution::session_state::SessionState;
use nightjar_catalog::{MaterializedView, Store};
use url::Url;

use super::data_files::FORMAT;
use crate::error::EngineError;

/// Returns the data files that a view's ledger names now as a table.
pub(crate) async fn view_table(
    store: &Store,
    view: &MaterializedView,
    state: &SessionState,
) -> Result<Arc<dyn TableProvider>> {
    let folder = store.view_path(&view.folder);
    // First: the table's columns are those of its first file.
    let names = [&view.columns].into_iter().chain(view.files.iter().filter_map(|file| file.data.as_ref()));
    let files = names.map(|name| location(&folder.join(name))).collect::<Result<Vec<_>>>()?;
    let format = state
        .get_file_format_factory(FORMAT)
        .ok_or_else(|| EngineError::ViewFormat)
        .map_err(EngineError::into_datafusion)?
        .create(state, &HashMap::new())?;
    let config = ListingTableConfig::new_with_multi_paths(files)
        .with_listing_options(ListingOptions::new(format).with_file_extension(""));
    Ok(Arc::new(ListingTable::try_new(config.infer_schema(state).await?)?))
}

fn location(path: &Path) -> Result<ListingTableUrl> {
    let invalid = || EngineError::FileName {
        path: path.display().to_string(),
        reason: "it is not absolute".to_owned(),
    };
    let url = Url::from_file_path(path).map_err(|()| invalid().into_datafusion())?;
    ListingTableUrl::try_new(url, None)
}
