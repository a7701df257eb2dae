//! Tables of CREATE EXTERNAL TABLE.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::TableProviderFactory;
use datafusion::common::{DFSchema, config_datafusion_err, plan_err};
use datafusion::datasource::TableProvider;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::listing::ListingTableUrl;
use datafusion::error::Result;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::CreateExternalTable;

use super::columns::file_columns;
use super::data_files::data_files;
use super::file_table::{FileTable, without};
use super::foreign::check_place;
use super::partitions::{PartitionColumns, infer_partitions, partition_folders};
use super::place::place;
use crate::error::EngineError;
use crate::write::follow_location;
use crate::zones::check_columns;

/// Returns the table of a definition. `factory` makes those that are no files.
///
/// Errors: locations that can't be read, or that are tables of another format; files that disagree about a column.
pub(crate) async fn external_table(
    state: &SessionState,
    factory: &dyn TableProviderFactory,
    create: &CreateExternalTable,
) -> Result<Arc<dyn TableProvider>> {
    check_columns(create.schema.as_arrow(), "a table of files with a timestamp")?;
    let mut create = create.clone();
    follow_location(&mut create).map_err(EngineError::into_datafusion)?;
    let create = &create;
    let unbounded = |(key, value): (&String, &String)| {
        key.eq_ignore_ascii_case("unbounded") && value.eq_ignore_ascii_case("true")
    };
    if create.unbounded || create.options.iter().any(unbounded) {
        return factory.create(state, create).await;
    }
    let format = state
        .get_file_format_factory(&create.file_type)
        .ok_or_else(|| config_datafusion_err!("no format of files is called {}", create.file_type))?;
    let format = format.create(state, &create.options)?;
    let places = places(state, create).await?;
    let (columns, partitions, ending) = if create.schema.fields().is_empty() {
        found(state, create, &format, &places).await?
    } else {
        declared(create)?
    };
    let table = FileTable::new(places, format, ending, columns, partitions)
        .with_orders(create.order_exprs.clone())
        .with_statistics_cache(state.runtime_env().cache_manager.get_file_statistic_cache())
        .with_declaration(
            create.definition.clone(),
            create.constraints.clone(),
            create.column_defaults.clone(),
        );
    let schema = DFSchema::try_from(table.schema())?;
    let orders = create.order_exprs.iter().flatten();
    if let Some(column) =
        orders.flat_map(|sort| sort.expr.column_refs()).find(|column| !schema.has_column(column))
    {
        return plan_err!("Column {column} is not in schema");
    }
    Ok(Arc::new(table))
}

/// Refuses a definition whose partition columns are not those that the folders of its location name: the table would be
/// empty. One with the same columns in another order may share the folder.
///
/// Cost: a listing of each location.
pub(crate) async fn check_partitions(state: &SessionState, create: &CreateExternalTable) -> Result<()> {
    if create.table_partition_cols.is_empty() {
        return Ok(());
    }
    for place in places(state, create).await? {
        let files = data_files(state, &place, "").await?;
        let mut found = None;
        for file in files.iter().filter(|file| file.size > 0) {
            let names: Vec<_> = partition_folders(&place, &file.location)
                .into_iter()
                .map(|(name, _)| name.into_owned())
                .collect();
            let declared = create.table_partition_cols.iter();
            if declared.clone().all(|column| names.contains(column)) {
                found = None;
                break;
            }
            found.get_or_insert(names);
        }
        if let Some(found) = found {
            return Err(EngineError::PartitionNames {
                location: place.to_string(),
                declared: create.table_partition_cols.clone(),
                found,
            }
            .into_datafusion());
        }
    }
    Ok(())
}

async fn places(state: &SessionState, create: &CreateExternalTable) -> Result<Vec<ListingTableUrl>> {
    let mut places: Vec<ListingTableUrl> = Vec::new();
    for location in &create.locations {
        let place = place(state.runtime_env(), location).await?.with_table_ref(create.name.clone());
        check_place(state.runtime_env(), &place).await?;
        if !create.table_partition_cols.is_empty() && !place.is_collection() && place.get_glob().is_none() {
            return plan_err!(
                "a table with partition columns is a folder, and {place} is none: write the location with '/' at its end"
            );
        }
        places.push(place);
    }
    let Some(first) = places.first() else {
        return plan_err!("CREATE EXTERNAL TABLE requires at least one location");
    };
    if let Some(other) = places.iter().find(|place| place.object_store() != first.object_store()) {
        return plan_err!(
            "all locations of a table are in one object store, and {first} and {other} are in two"
        );
    }
    let mut seen = HashSet::new();
    if let Some(twice) = places.iter().find(|place| !seen.insert(*place)) {
        return plan_err!("the location {twice} is named twice");
    }
    Ok(places)
}

/// Returns what a definition with columns says: those of the files and of the folders, and that all files are the table's.
fn declared(create: &CreateExternalTable) -> Result<(SchemaRef, PartitionColumns, String)> {
    let schema: &Schema = create.schema.as_arrow();
    let mut partitions = Vec::new();
    for name in &create.table_partition_cols {
        partitions.push(Arc::new(schema.field_with_name(name)?.clone()));
    }
    let partitions = PartitionColumns::declared(partitions);
    Ok((without(schema, &partitions), partitions, String::new()))
}

/// Returns the columns that nobody has declared, those of the folders, and the ending of the files that they are of.
async fn found(
    state: &SessionState,
    create: &CreateExternalTable,
    format: &Arc<dyn FileFormat>,
    places: &[ListingTableUrl],
) -> Result<(SchemaRef, PartitionColumns, String)> {
    // Of a folder the files in the format are the table's.
    let is_folder = places.iter().any(|place| place.is_folder() && place.get_glob().is_none());
    let ending = match format.compression_type().map(|kind| format.get_ext_with_compression(&kind)) {
        _ if !is_folder => String::new(),
        Some(Ok(ending)) => format!(".{}", ending.trim_start_matches('.')),
        _ => format!(".{}", create.file_type.to_lowercase()),
    };
    let mut names = create.table_partition_cols.clone();
    if let (true, Some(first)) = (names.is_empty(), places.first())
        && state.config_options().execution.listing_table_factory_infer_partitions
    {
        let files = data_files(state, first, &ending).await?;
        names = infer_partitions(first, files.iter().map(|file| &file.location))
            .map_err(EngineError::into_datafusion)?;
    }
    let partitions = PartitionColumns::inferred(names);
    let columns = file_columns(state, format, &create.file_type, &ending, places, &partitions).await?;
    Ok((columns, partitions, ending))
}
