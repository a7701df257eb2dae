//! Tables of CREATE EXTERNAL TABLE.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::TableProviderFactory;
use datafusion::common::{DFSchema, plan_err};
use datafusion::datasource::TableProvider;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::CreateExternalTable;

use super::columns::{columns, says_columns};
use crate::zones::check_columns;

/// Returns the table of a definition. `factory` makes it; only the columns that nobody has declared are ours to find, in
/// each file by itself, where files say what they have.
///
/// Errors: what DataFusion refuses; files that disagree about a column.
pub(crate) async fn external_table(
    state: &SessionState,
    factory: &dyn TableProviderFactory,
    create: &CreateExternalTable,
) -> Result<Arc<dyn TableProvider>> {
    check_columns(create.schema.as_arrow(), "a table of files with a timestamp")?;
    let formats = state.get_file_format_factory(&create.file_type);
    let Some(format) =
        formats.filter(|_| create.schema.fields().is_empty() && says_columns(&create.file_type))
    else {
        return factory.create(state, create).await;
    };
    let mut places = Vec::new();
    for location in &create.locations {
        let place = ListingTableUrl::parse(location)?.with_table_ref(create.name.clone());
        // Of a folder the files in the format are the table's.
        let whole = place.is_folder() && place.get_glob().is_none();
        places.push(if whole {
            place.with_glob(&format!("*.{}", create.file_type.to_lowercase()))?
        } else {
            place
        });
    }
    let listing = ListingOptions::new(format.create(state, &create.options)?).with_file_extension("");
    let mut folders = create.table_partition_cols.clone();
    if let (true, Some(first)) = (folders.is_empty(), places.first())
        && state.config_options().execution.listing_table_factory_infer_partitions
    {
        folders = listing.infer_partitions(state, first).await?;
    }
    let value = DataType::Dictionary(Box::new(DataType::UInt16), Box::new(DataType::Utf8));
    let typed = folders.iter().map(|folder| (folder.clone(), value.clone())).collect();
    let listing = listing.with_table_partition_cols(typed);
    let in_files = columns(state, &listing, &places).await?;
    let fields = in_files.fields().iter().cloned();
    let named = folders.iter().map(|folder| Arc::new(Field::new(folder, value.clone(), false)));
    let all = Schema::new(fields.chain(named).collect::<Vec<_>>());
    let schema = DFSchema::try_from(all)?;
    let orders = create.order_exprs.iter().flatten();
    if let Some(column) =
        orders.flat_map(|sort| sort.expr.column_refs()).find(|column| !schema.has_column(column))
    {
        return plan_err!("Column {column} is not in schema");
    }
    let mut declared = create.clone();
    (declared.schema, declared.table_partition_cols) = (Arc::new(schema), folders);
    // The files' statistics are for the scan to collect, of the files that are the table's.
    let mut plain = state.clone();
    plain.config_mut().options_mut().execution.collect_statistics = false;
    let made = factory.create(&plain, &declared).await?;
    let Some(made) = made.downcast_ref::<ListingTable>() else {
        return Err(DataFusionError::Internal("a table of files is none".to_owned()));
    };
    // With columns declared it would have all files of a folder, whatever their endings.
    let config = ListingTableConfig::new_with_multi_paths(places)
        .with_listing_options(made.options().clone())
        .with_schema(in_files);
    let table = ListingTable::try_new(config)?
        .with_cache(state.runtime_env().cache_manager.get_file_statistic_cache())
        .with_definition(create.definition.clone())
        .with_constraints(create.constraints.clone())
        .with_column_defaults(create.column_defaults.clone());
    Ok(Arc::new(table))
}
