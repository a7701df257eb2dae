//! Numbers that JSON has no form for.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{ArrowPrimitiveType, DataType, Float16Type, Float32Type, Float64Type};
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::TryStreamExt;

use crate::error::EngineError;

/// Returns the rows, which end with an error where a number is NaN or infinite: JSON's writer would leave a `null` in its place.
pub(super) fn finite_rows(rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let schema = rows.schema();
    if !schema.fields().iter().any(|field| has_floats(field.data_type())) {
        return rows;
    }
    let checked =
        rows.and_then(|batch| futures::future::ready(check(batch).map_err(EngineError::into_datafusion)));
    Box::pin(RecordBatchStreamAdapter::new(schema, checked))
}

fn check(batch: RecordBatch) -> Result<RecordBatch, EngineError> {
    let schema = batch.schema();
    let mut columns = schema.fields().iter().zip(batch.columns());
    match columns.find(|(_, values)| has_no_form(values)) {
        None => Ok(batch),
        Some((field, _)) => Err(EngineError::NotFinite {
            column: field.name().clone(),
            nested: field.data_type().is_nested(),
        }),
    }
}

fn has_floats(kind: &DataType) -> bool {
    match kind {
        DataType::Struct(fields) => fields.iter().any(|field| has_floats(field.data_type())),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => has_floats(item.data_type()),
        DataType::Dictionary(_, values) => has_floats(values),
        kind => kind.is_floating(),
    }
}

fn has_no_form(values: &ArrayRef) -> bool {
    fn any<T: ArrowPrimitiveType>(values: &ArrayRef, is_finite: impl Fn(T::Native) -> bool) -> bool {
        values.as_primitive::<T>().iter().flatten().any(|value| !is_finite(value))
    }
    match values.data_type() {
        DataType::Float16 => any::<Float16Type>(values, |value| value.is_finite()),
        DataType::Float32 => any::<Float32Type>(values, f32::is_finite),
        DataType::Float64 => any::<Float64Type>(values, f64::is_finite),
        DataType::Struct(_) => values.as_struct().columns().iter().any(has_no_form),
        // A row at a time: what a list of NULL holds is not written.
        DataType::List(item) if has_floats(item.data_type()) => {
            values.as_list::<i32>().iter().flatten().any(|list| has_no_form(&list))
        }
        DataType::LargeList(item) if has_floats(item.data_type()) => {
            values.as_list::<i64>().iter().flatten().any(|list| has_no_form(&list))
        }
        DataType::FixedSizeList(item, _) if has_floats(item.data_type()) => {
            values.as_fixed_size_list().iter().flatten().any(|list| has_no_form(&list))
        }
        DataType::Map(item, _) if has_floats(item.data_type()) => {
            values.as_map().entries().columns().iter().any(has_no_form)
        }
        DataType::Dictionary(_, kind) if has_floats(kind) => has_no_form(values.as_any_dictionary().values()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{Float64Array, ListArray};

    use super::*;

    #[test]
    fn numbers_without_a_form_are_found_in_lists_too() {
        let has = |value: f64| {
            let plain: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), None, Some(value)]));
            let list =
                ListArray::from_iter_primitive::<Float64Type, _, _>([Some(vec![None, Some(value)]), None]);
            (has_no_form(&plain), has_no_form(&(Arc::new(list) as ArrayRef)))
        };
        assert_eq!(has(-0.0), (false, false));
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(has(value), (true, true), "{value}");
        }
    }
}
