//! What is asked of the JSON decoder: numbers and other values as the text that they are written as.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};

/// Returns columns whose values are text, nested as `schema` is.
pub(super) fn as_text(schema: &Schema) -> SchemaRef {
    Arc::new(Schema::new(schema.fields().iter().map(field_as_text).collect::<Fields>()))
}

fn field_as_text(field: &FieldRef) -> FieldRef {
    Arc::new(Field::new(field.name(), type_as_text(field.data_type()), true))
}

fn type_as_text(data_type: &DataType) -> DataType {
    match data_type {
        DataType::List(item) | DataType::FixedSizeList(item, _) => DataType::List(field_as_text(item)),
        DataType::LargeList(item) => DataType::LargeList(field_as_text(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field_as_text).collect()),
        DataType::Map(entry, sorted) => match entry.data_type() {
            DataType::Struct(parts) => {
                let parts = parts.iter().enumerate().map(|(at, part)| {
                    let text = Field::new(part.name(), type_as_text(part.data_type()), at > 0);
                    Arc::new(text)
                });
                let parts = DataType::Struct(parts.collect());
                DataType::Map(Arc::new(Field::new(entry.name(), parts, false)), *sorted)
            }
            _ => data_type.clone(),
        },
        // They are written as hexadecimal digits, which the decoder knows.
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            data_type.clone()
        }
        _ => DataType::Utf8,
    }
}
