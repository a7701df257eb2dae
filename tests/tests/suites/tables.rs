//! The tables and functions that some of the files expect of their runner. Where one is missing here, its records fail in plain
//! DataFusion too, and are not counted.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BinaryArray, DictionaryArray, Float64Array, Int32Array, LargeBinaryArray, LargeStringArray,
    RecordBatch, StringArray, StructArray, TimestampNanosecondArray, UInt32Array, UnionArray,
};
use datafusion::arrow::buffer::ScalarBuffer;
use datafusion::arrow::compute::kernels::numeric::add;
use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit, UInt32Type, UnionFields};
use datafusion::catalog::{CatalogProvider, TableProvider};
use datafusion::catalog::{MemTable, MemoryCatalogProvider, MemorySchemaProvider};
use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
use datafusion::prelude::SessionContext;

/// Registers what the file `name` expects.
pub(crate) fn register(context: &SessionContext, name: &str) {
    let batch = |table: &str, batch: RecordBatch| {
        context.register_batch(table, batch).expect("a table is registered");
    };
    match name {
        "information_schema_columns.slt" => many_types(context),
        "joins.slt" => {
            many_types(context);
            example_function(context);
        }
        "map.slt" => {
            let table = MemTable::try_new(Arc::new(map_columns()), vec![vec![]]).expect("an empty table");
            context.register_table("table_with_map", Arc::new(table)).expect("a table is registered");
        }
        "metadata.slt" | "arrow_field.slt" => {
            batch("table_with_metadata", with_metadata());
            batch("larger_table", numbers("a", "left", (1..=10).collect()));
            batch("smaller_table", numbers("b", "right", vec![1]));
        }
        "union_function.slt" => batch("union_table", unions()),
        "aggregate.slt" => batch("approx_distinct_union_test", grouped_unions()),
        "dictionary_struct.slt" => {
            batch("dict_struct_table", people());
            batch("dict_struct_nullable", people_with_nulls());
        }
        _ => {}
    }
}

fn rows(columns: Vec<(Field, ArrayRef)>) -> RecordBatch {
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("rows")
}

fn field(name: &str, kind: DataType, nullable: bool) -> Field {
    Field::new(name, kind, nullable)
}

fn told(field: Field, value: &str) -> Field {
    field.with_metadata(metadata(value))
}

fn metadata(value: &str) -> HashMap<String, String> {
    HashMap::from([("metadata_key".to_owned(), value.to_owned())])
}

fn many_types(context: &SessionContext) {
    let nanoseconds = DataType::Timestamp(TimeUnit::Nanosecond, None);
    let rows = rows(vec![
        (field("int32_col", DataType::Int32, false), Arc::new(Int32Array::from(vec![1]))),
        (field("float64_col", DataType::Float64, true), Arc::new(Float64Array::from(vec![1.0]))),
        (field("utf8_col", DataType::Utf8, true), Arc::new(StringArray::from(vec!["foo"]))),
        (field("large_utf8_col", DataType::LargeUtf8, false), Arc::new(LargeStringArray::from(vec!["bar"]))),
        (field("binary_col", DataType::Binary, false), Arc::new(BinaryArray::from(vec![b"foo".as_slice()]))),
        (
            field("large_binary_col", DataType::LargeBinary, false),
            Arc::new(LargeBinaryArray::from(vec![b"foo".as_slice()])),
        ),
        (field("timestamp_nanos", nanoseconds, false), Arc::new(TimestampNanosecondArray::from(vec![123]))),
    ]);
    let catalog = MemoryCatalogProvider::new();
    let _ = catalog.register_schema("my_schema", Arc::new(MemorySchemaProvider::new())).expect("a schema");
    context.register_catalog("my_catalog", Arc::new(catalog));
    let table: Arc<dyn TableProvider> =
        Arc::new(MemTable::try_new(rows.schema(), vec![vec![rows]]).expect("a table"));
    context
        .register_table("my_catalog.my_schema.table_with_many_types", table)
        .expect("a table is registered");
}

fn example_function(context: &SessionContext) {
    let sum = |values: &[ColumnarValue]| {
        let arrays = ColumnarValue::values_to_arrays(values)?;
        Ok(ColumnarValue::from(add(&arrays[0], &arrays[1])?))
    };
    let floats = vec![DataType::Float64, DataType::Float64];
    context.register_udf(create_udf(
        "example",
        floats,
        DataType::Float64,
        Volatility::Immutable,
        Arc::new(sum),
    ));
}

fn map_columns() -> Schema {
    let entry = [field("key", DataType::Int64, false), field("value", DataType::Int64, true)];
    let entries = field("entries", DataType::Struct(entry.into_iter().collect()), false);
    Schema::new(vec![
        field("int_field", DataType::Int64, true),
        field("map_field", DataType::Map(Arc::new(entries), false), true),
    ])
}

fn with_metadata() -> RecordBatch {
    let nanoseconds = DataType::Timestamp(TimeUnit::Nanosecond, None);
    let texts = |values: [Option<&str>; 3]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let rows = rows(vec![
        (
            told(field("id", DataType::Int32, true), "the id field"),
            Arc::new(Int32Array::from(vec![Some(1), None, Some(3)])),
        ),
        (
            told(field("name", DataType::Utf8, true), "the name field"),
            texts([None, Some("bar"), Some("baz")]),
        ),
        (
            told(field("l_name", DataType::Utf8, true), "the l_name field"),
            texts([None, Some("l_bar"), Some("l_baz")]),
        ),
        (
            told(field("ts", nanoseconds, false), "ts non-nullable field"),
            Arc::new(TimestampNanosecondArray::from(vec![1_599_572_549_190_855_123; 3])),
        ),
        (
            told(field("nonnull_name", DataType::Utf8, false), "the nonnull_name field"),
            texts([Some("no_foo"), Some("no_bar"), Some("no_baz")]),
        ),
    ]);
    let schema = rows.schema().as_ref().clone().with_metadata(metadata("the entire schema"));
    rows.with_schema(Arc::new(schema)).expect("the same columns")
}

fn numbers(name: &str, told: &str, values: Vec<i32>) -> RecordBatch {
    let rows = rows(vec![(field(name, DataType::Int32, false), Arc::new(Int32Array::from(values)))]);
    let schema = rows.schema().as_ref().clone().with_metadata(metadata(told));
    rows.with_schema(Arc::new(schema)).expect("the same column")
}

fn unions() -> RecordBatch {
    let members = vec![field("int", DataType::Int32, false), field("string", DataType::Utf8, false)];
    let texts = StringArray::from(vec!["foo", "bar", "baz", "qux", "bar", "quux"]);
    let union = UnionArray::try_new(
        UnionFields::try_new(vec![3, 1], members).expect("two members"),
        ScalarBuffer::from(vec![3, 1, 3, 3, 1, 3]),
        None,
        vec![Arc::new(Int32Array::from(vec![1, 2, 3, 1, 5, 3])), Arc::new(texts)],
    )
    .expect("a union");
    let kind = datafusion::arrow::array::Array::data_type(&union).clone();
    rows(vec![(field("union_column", kind, false), Arc::new(union))])
}

fn grouped_unions() -> RecordBatch {
    let members = vec![field("i", DataType::Int32, true), field("s", DataType::Utf8, true)];
    let numbers = Int32Array::from(vec![Some(1), Some(1), None, None, Some(5)]);
    let texts = StringArray::from(vec![Some("x"), Some("y"), None]);
    let union = UnionArray::try_new(
        UnionFields::try_new(vec![0, 1], members).expect("two members"),
        ScalarBuffer::from(vec![0, 0, 1, 1, 0, 0, 1, 0]),
        Some(ScalarBuffer::from(vec![0, 1, 0, 1, 2, 3, 2, 4])),
        vec![Arc::new(numbers), Arc::new(texts)],
    )
    .expect("a union");
    let kind = datafusion::arrow::array::Array::data_type(&union).clone();
    let groups = Int32Array::from(vec![1, 1, 1, 2, 2, 3, 3, 4]);
    rows(vec![
        (field("g", DataType::Int32, false), Arc::new(groups)),
        (field("u", kind, false), Arc::new(union)),
    ])
}

fn structs(names: Vec<&str>, ids: Vec<i32>) -> (Fields, ArrayRef) {
    let fields: Fields =
        vec![field("name", DataType::Utf8, false), field("id", DataType::Int32, false)].into();
    let columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(names)), Arc::new(Int32Array::from(ids))];
    (fields.clone(), Arc::new(StructArray::new(fields, columns, None)))
}

fn encoded(keys: UInt32Array, fields: &Fields, values: ArrayRef) -> (DataType, ArrayRef) {
    let kind = DataType::Dictionary(Box::new(DataType::UInt32), Box::new(DataType::Struct(fields.clone())));
    (kind, Arc::new(DictionaryArray::<UInt32Type>::try_new(keys, values).expect("a dictionary")))
}

fn people() -> RecordBatch {
    let (fields, distinct) = structs(vec!["Alice", "Bob", "Carol"], vec![1, 2, 3]);
    let (_, plain) = structs(vec!["Alice", "Bob", "Carol", "Alice", "Bob"], vec![1, 2, 3, 1, 2]);
    let (kind, dictionary) = encoded(UInt32Array::from(vec![0, 1, 2, 0, 1]), &fields, distinct);
    rows(vec![
        (field("dict_struct", kind, false), dictionary),
        (field("plain_struct", DataType::Struct(fields), false), plain),
    ])
}

fn people_with_nulls() -> RecordBatch {
    let (fields, distinct) = structs(vec!["X", "Y"], vec![10, 20]);
    let keys = UInt32Array::from(vec![Some(0), None, Some(1), None]);
    let (kind, dictionary) = encoded(keys, &fields, distinct);
    rows(vec![(field("ds", kind, true), dictionary)])
}
