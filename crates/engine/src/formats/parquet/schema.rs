//! The Arrow schema that a file's columns are read by.
//!
//! Writers that use Arrow embed their schema, which says more than Parquet's own: a dictionary, a unit. Where it can't be
//! converted, Parquet's own is used. Where Parquet's own type says less than the values need, a schema is embedded that does:
//! INT96 in microseconds, whose years reach from 1 to 9999 (nanoseconds wrap in 1677 and 2262), and ENUM as the text that it is.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, TimeUnit};
use datafusion::error::{DataFusionError, Result};
use datafusion::parquet::arrow::{
    ARROW_SCHEMA_META_KEY, ProjectionMask, encode_arrow_schema, parquet_to_arrow_schema,
    parquet_to_arrow_schema_by_columns,
};
use datafusion::parquet::basic::{ConvertedType, LogicalType, Type};
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::metadata::{FileMetaData, KeyValue, ParquetMetaData, ParquetMetaDataBuilder};
use datafusion::parquet::schema::types::{
    ColumnDescriptor, SchemaDescPtr, SchemaDescriptor, Type as Node, TypePtr,
};
use object_store::ObjectMeta;

use super::embedded::is_convertible;
use super::stored::Stored;
use crate::error::EngineError;

/// Returns a footer whose embedded schema reads each column as what it is. What says that already is not touched.
///
/// Errors: a column of a type that Arrow doesn't have.
pub(super) fn with_own_schema(
    metadata: ParquetMetaData,
    stored: &[Option<Stored>],
    object: &ObjectMeta,
) -> Result<ParquetMetaData> {
    let file = metadata.file_metadata();
    let columns = without_intervals(file.schema_descr_ptr(), stored)?;
    let plain = without_schema(file.key_value_metadata());
    let embedded = file.key_value_metadata().filter(|pairs| pairs.len() > plain.len());
    let usable = embedded.filter(|pairs| pairs.iter().filter(|pair| is_schema(pair)).all(is_convertible));
    let by_embedded = usable.and_then(|pairs| parquet_to_arrow_schema(&columns, Some(pairs)).ok());
    let trusted = by_embedded.is_some();
    let schema = match by_embedded {
        Some(schema) => schema,
        None => parquet_to_arrow_schema(&columns, Some(&plain))
            .map_err(|error| unreadable(&columns, object, &error))?,
    };
    let name = object.location.as_ref();
    let mut at = 0..;
    let own = with_leaves(&schema, &columns, |leaf, field| {
        let stored = at.next().and_then(|at| stored.get(at).copied().flatten());
        let own = own_type(leaf, field.data_type(), trusted);
        let own = own.map(|own| field.clone().with_data_type(own));
        match stored {
            Some(stored) => Some(stored.mark(own.as_ref().unwrap_or(field), name)),
            None => own,
        }
    });
    let pairs = match own {
        Some(own) => {
            let own = KeyValue::new(ARROW_SCHEMA_META_KEY.to_owned(), encode_arrow_schema(&own));
            plain.into_iter().chain([own]).collect()
        }
        None if stored.iter().any(Option::is_some) => {
            let unlike = ParquetError::General("its schema is nested as Arrow's is not".to_owned());
            return Err(unreadable(&columns, object, &unlike));
        }
        None if embedded.is_some() && !trusted => plain,
        None => return Ok(metadata),
    };
    let file = FileMetaData::new(
        file.version(),
        file.num_rows(),
        file.created_by().map(str::to_owned),
        Some(pairs),
        columns,
        file.column_orders().cloned(),
    );
    let mut read = metadata.into_builder();
    let (pages, places, groups) =
        (read.take_column_index(), read.take_offset_index(), read.take_row_groups());
    let amended = ParquetMetaDataBuilder::new(file).set_row_groups(groups);
    Ok(amended.set_column_index(pages).set_offset_index(places).build())
}

fn is_schema(pair: &KeyValue) -> bool {
    pair.key == ARROW_SCHEMA_META_KEY
}

fn without_schema(pairs: Option<&Vec<KeyValue>>) -> Vec<KeyValue> {
    pairs.into_iter().flatten().filter(|pair| !is_schema(pair)).cloned().collect()
}

/// Returns the type that a column's values are read as, if it isn't the one that they would be. An embedded schema has the unit
/// that an INT96 column had, so its values fit.
fn own_type(leaf: &ColumnDescriptor, data_type: &DataType, embedded: bool) -> Option<DataType> {
    let is_enum = matches!(leaf.logical_type_ref(), Some(LogicalType::Enum))
        || leaf.converted_type() == ConvertedType::ENUM;
    match data_type {
        DataType::Timestamp(TimeUnit::Nanosecond, None)
            if leaf.physical_type() == Type::INT96 && !embedded =>
        {
            Some(DataType::Timestamp(TimeUnit::Microsecond, None))
        }
        DataType::Binary if is_enum => Some(DataType::Utf8),
        _ => None,
    }
}

/// Returns a schema with other types for some of a file's columns, or None where all stay. The leaves of a schema are the
/// columns of the file, in their order.
fn with_leaves(
    schema: &Schema,
    columns: &SchemaDescriptor,
    mut other: impl FnMut(&ColumnDescriptor, &Field) -> Option<Field>,
) -> Option<Schema> {
    let (mut leaves, mut changed) = (columns.columns().iter(), false);
    let mut next = |field: &Field| {
        let other = leaves.next().and_then(|leaf| other(leaf, field));
        changed |= other.is_some();
        other
    };
    let fields: Vec<FieldRef> = schema.fields().iter().map(|field| leaf_by_leaf(field, &mut next)).collect();
    (changed && leaves.next().is_none()).then(|| Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn leaf_by_leaf(field: &FieldRef, next: &mut impl FnMut(&Field) -> Option<Field>) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| leaf_by_leaf(field, next)).collect())
        }
        DataType::List(item) => DataType::List(leaf_by_leaf(item, next)),
        DataType::LargeList(item) => DataType::LargeList(leaf_by_leaf(item, next)),
        DataType::ListView(item) => DataType::ListView(leaf_by_leaf(item, next)),
        DataType::LargeListView(item) => DataType::LargeListView(leaf_by_leaf(item, next)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(leaf_by_leaf(item, next), *size),
        DataType::Map(entries, sorted) => DataType::Map(leaf_by_leaf(entries, next), *sorted),
        _ => return next(field).map_or_else(|| Arc::clone(field), Arc::new),
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
}

/// Returns the columns with intervals as the bytes that they are.
fn without_intervals(columns: SchemaDescPtr, stored: &[Option<Stored>]) -> Result<SchemaDescPtr> {
    if !stored.contains(&Some(Stored::Interval)) {
        return Ok(columns);
    }
    Ok(Arc::new(SchemaDescriptor::new(node_without_intervals(&columns.root_schema_ptr())?)))
}

fn node_without_intervals(node: &TypePtr) -> Result<TypePtr> {
    let info = node.get_basic_info();
    let id = info.has_id().then(|| info.id());
    let node = match node.as_ref() {
        Node::PrimitiveType { .. } if info.converted_type() == ConvertedType::INTERVAL => {
            Node::primitive_type_builder(info.name(), Type::FIXED_LEN_BYTE_ARRAY)
                .with_repetition(info.repetition())
                .with_length(12)
                .with_id(id)
                .build()?
        }
        Node::PrimitiveType { .. } => return Ok(Arc::clone(node)),
        Node::GroupType { fields, .. } => {
            let fields = fields.iter().map(node_without_intervals).collect::<Result<Vec<_>>>()?;
            let group = Node::group_type_builder(info.name())
                .with_converted_type(info.converted_type())
                .with_logical_type(info.logical_type_ref().cloned())
                .with_fields(fields)
                .with_id(id);
            let group = if info.has_repetition() { group.with_repetition(info.repetition()) } else { group };
            group.build()?
        }
    };
    Ok(Arc::new(node))
}

/// Returns the error that names the first column that can't be read.
fn unreadable(columns: &SchemaDescriptor, object: &ObjectMeta, error: &ParquetError) -> DataFusionError {
    let roots = columns.root_schema().get_fields();
    let wrong = (0..roots.len()).find_map(|at| {
        let mask = ProjectionMask::roots(columns, [at]);
        let error = parquet_to_arrow_schema_by_columns(columns, mask, None).err()?;
        Some((roots.get(at)?.name().to_owned(), error.to_string()))
    });
    let (column, reason) = wrong.unwrap_or_else(|| (String::new(), error.to_string()));
    EngineError::ParquetColumn { column, file: object.location.to_string(), reason }.into_datafusion()
}
