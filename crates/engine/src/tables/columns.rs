//! The columns of a table of files, where nobody has declared them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::plan_err;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::listing::ListingTableUrl;
use datafusion::error::Result;
use datafusion::execution::session_state::SessionState;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{ObjectMeta, ObjectStore};

use super::common_type::common;
use super::data_files::data_files;
use super::file_table::without;
use super::partitions::PartitionColumns;
use crate::error::EngineError;

/// Whether files of a format say what their columns are. Of the others a sample of all rows is looked at.
fn says_columns(format: &str) -> bool {
    ["parquet", "avro", "arrow"].iter().any(|known| format.eq_ignore_ascii_case(known))
}

/// Returns the columns of all files at `places` whose names end with `ending`, but for those that name the table's
/// folders. `name` is the format's.
///
/// Errors: no files; a file whose columns can't be told; files that disagree (see [`unify`]). Cost: one look per file.
pub(super) async fn file_columns(
    state: &SessionState,
    format: &Arc<dyn FileFormat>,
    name: &str,
    ending: &str,
    places: &[ListingTableUrl],
    partitions: &PartitionColumns,
) -> Result<SchemaRef> {
    let mut files = Vec::new();
    for place in places {
        let store = state.runtime_env().object_store(place)?;
        let listed = data_files(state, place, ending).await?;
        if listed.is_empty() {
            return plan_err!(
                "No files found at {place}. Cannot infer schema from an empty location; either add data files or \
                 declare an explicit schema for the table."
            );
        }
        let url = place.object_store();
        // Empty files have neither columns nor rows.
        let found = listed.into_iter().filter(|file| file.size > 0);
        files.extend(
            found.map(|file| (format!("{}{}", url.as_str(), file.location), Arc::clone(&store), file)),
        );
    }
    let found = if says_columns(name) {
        columns_of_each(state, format, files).await?
    } else {
        let Some((_, store, _)) = files.first() else { return Ok(Arc::new(Schema::empty())) };
        let store = Arc::clone(store);
        let files: Vec<_> = files.into_iter().map(|(_, _, file)| file).collect();
        format.infer_schema(state, &store, &files).await?.as_ref().clone()
    };
    Ok(without(&found, partitions))
}

/// Returns the columns of files that say what they have.
async fn columns_of_each(
    state: &SessionState,
    format: &Arc<dyn FileFormat>,
    files: Vec<(String, Arc<dyn ObjectStore>, ObjectMeta)>,
) -> Result<Schema> {
    let looks: Vec<_> = files
        .iter()
        .map(|(name, store, file)| async move {
            let look = format.infer_schema(state, store, std::slice::from_ref(file)).await;
            let columns = look.map_err(|error| EngineError::of_columns(name, error))?;
            Ok::<_, datafusion::error::DataFusionError>((name.clone(), columns))
        })
        .collect();
    let config = state.config_options();
    let at_once = config.execution.meta_fetch_concurrency.get();
    let found: Vec<_> = stream::iter(looks).buffered(at_once).try_collect().await?;
    let views = config.execution.parquet.schema_force_view_types;
    unify(&found, views).map_err(EngineError::into_datafusion)
}

/// A column so far.
struct Column {
    field: Field,
    /// A file that gave it its type, and the type there.
    from: (String, DataType),
    /// The last file that has it, and how many do.
    last: usize,
    files: usize,
}

/// Returns the columns of files, named, that together are a table: by name, in the order of their first appearance.
/// One that a file lacks, or has with NULLs, may be NULL. Types that differ are read as the [common] one.
///
/// Errors: a column whose types in two files don't go together.
pub(crate) fn unify(files: &[(String, SchemaRef)], views: bool) -> Result<Schema, EngineError> {
    let mut columns: Vec<Column> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut metadata = files.first().map(|(_, schema)| schema.metadata.clone()).unwrap_or_default();
    for (at, (file, schema)) in files.iter().enumerate() {
        metadata.retain(|key, value| schema.metadata.get(key) == Some(value));
        for field in schema.fields() {
            let place = match places.entry(field.name()) {
                Entry::Occupied(place) => *place.get(),
                Entry::Vacant(place) => *place.insert(columns.len()),
            };
            match columns.get_mut(place) {
                Some(column) => column.also(at, file, field, views)?,
                None => columns.push(Column {
                    field: field.as_ref().clone(),
                    from: (file.clone(), field.data_type().clone()),
                    last: at,
                    files: 1,
                }),
            }
        }
    }
    let fields = columns.into_iter().map(|column| {
        let nullable = column.field.is_nullable() || column.files < files.len();
        column.field.with_nullable(nullable)
    });
    Ok(Schema::new_with_metadata(fields.collect::<Vec<_>>(), metadata))
}

impl Column {
    /// Takes in the column of another file.
    fn also(&mut self, at: usize, file: &str, field: &Field, views: bool) -> Result<(), EngineError> {
        // A second column of the name in one file can't be read by it.
        if self.last == at {
            return Ok(());
        }
        (self.last, self.files) = (at, self.files + 1);
        let found = field.data_type();
        let Some(both) = common(self.field.data_type(), found, views) else {
            let (other, other_type) = self.from.clone();
            return Err(EngineError::ColumnTypes {
                column: field.name().clone(),
                file: other,
                found: other_type,
                other: file.to_owned(),
                other_found: found.clone(),
            });
        };
        if both != *self.field.data_type() && both == *found {
            self.from = (file.to_owned(), found.clone());
        }
        self.field.metadata_mut().retain(|key, value| field.metadata().get(key) == Some(value));
        let nullable = self.field.is_nullable() || field.is_nullable();
        self.field = self.field.clone().with_nullable(nullable).with_data_type(both);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{FieldRef, Fields};

    use super::*;

    fn file(name: &str, columns: &[(&str, DataType, bool)]) -> (String, SchemaRef) {
        let fields =
            columns.iter().map(|(name, data_type, null)| Field::new(*name, data_type.clone(), *null));
        (name.to_owned(), Arc::new(Schema::new(fields.collect::<Vec<_>>())))
    }

    fn unified(files: &[(String, SchemaRef)], views: bool) -> Vec<(String, DataType, bool)> {
        let schema = unify(files, views).unwrap();
        let parts = |field: &FieldRef| (field.name().clone(), field.data_type().clone(), field.is_nullable());
        schema.fields().iter().map(parts).collect()
    }

    #[test]
    fn columns_are_found_by_name_in_the_order_of_their_appearance() {
        let files = [
            file("a", &[("x", DataType::Int64, false), ("y", DataType::Null, true)]),
            file(
                "b",
                &[("z", DataType::Utf8, false), ("y", DataType::Int32, false), ("x", DataType::Int64, false)],
            ),
        ];
        let expected = [
            ("x".to_owned(), DataType::Int64, false),
            ("y".to_owned(), DataType::Int32, true),
            ("z".to_owned(), DataType::Utf8, true),
        ];
        assert_eq!(unified(&files, true), expected);
        assert_eq!(unify(&[], true).unwrap(), Schema::empty());
    }

    #[test]
    fn texts_are_one_type_however_they_are_kept() {
        let dictionary = DataType::Dictionary(Box::new(DataType::UInt16), Box::new(DataType::Utf8));
        let list = |of: DataType| DataType::List(Arc::new(Field::new("item", of, true)));
        for (one, other, viewed, plain) in [
            (DataType::Utf8, DataType::Utf8, DataType::Utf8, DataType::Utf8),
            (DataType::Utf8, DataType::Utf8View, DataType::Utf8View, DataType::LargeUtf8),
            (dictionary, DataType::Utf8View, DataType::Utf8View, DataType::LargeUtf8),
            (DataType::BinaryView, DataType::LargeBinary, DataType::BinaryView, DataType::LargeBinary),
            (
                list(DataType::Utf8),
                list(DataType::LargeUtf8),
                list(DataType::Utf8View),
                list(DataType::LargeUtf8),
            ),
        ] {
            let files = [file("a", &[("t", one, true)]), file("b", &[("t", other, true)])];
            assert_eq!(unified(&files, true)[0].1, viewed);
            assert_eq!(unified(&files, false)[0].1, plain);
        }
    }

    #[test]
    fn parts_of_a_column_are_found_by_name_too() {
        let part = |name: &str| Field::new(name, DataType::Int64, false);
        let both = |one: Field, other: Field| DataType::Struct(Fields::from(vec![one, other]));
        let files = [
            file("a", &[("s", both(part("p"), part("q")), false)]),
            file("b", &[("s", both(part("q"), part("r")), false)]),
        ];
        let fields =
            Fields::from(vec![part("p").with_nullable(true), part("q"), part("r").with_nullable(true)]);
        assert_eq!(unified(&files, true)[0].1, DataType::Struct(fields));
    }

    #[test]
    fn types_that_do_not_go_together_are_told_with_their_files() {
        let files = [
            file("a", &[("n", DataType::Null, true)]),
            file("b", &[("n", DataType::Int64, true)]),
            file("c", &[("n", DataType::Utf8, true)]),
        ];
        let error = unify(&files, true).unwrap_err();
        assert_eq!(error.to_string(), "the column 'n' is Int64 in 'b' and Utf8 in 'c'");
    }
}
