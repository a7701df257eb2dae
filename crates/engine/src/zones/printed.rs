//! Timestamps where they are printed.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema};
use nightjar_zones::{ArrowZone, arrow_zone};

use super::rewrite::differing_zone;
use super::values;
use crate::error::{EngineError, Result};

/// Returns rows whose timestamps Arrow would print by other rules than those that decide as text, with their offset. Other columns are as they were.
///
/// Errors: such timestamps inside lists and structs.
pub fn with_zones_as_text(batch: &RecordBatch) -> Result<RecordBatch> {
    if batch.schema().fields().iter().all(|field| matches!(differing_zone(field.data_type()), Ok(None))) {
        return Ok(batch.clone());
    }
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let column = printed(column)?;
        let data_type = column.data_type().clone();
        fields.push(Arc::new(
            Field::new(field.name(), data_type, true).with_metadata(field.metadata().clone()),
        ));
        columns.push(column);
    }
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let schema = Schema::new(fields).with_metadata(batch.schema().metadata().clone());
    RecordBatch::try_new_with_options(Arc::new(schema), columns, &rows)
        .map_err(|error| EngineError::from(datafusion::error::DataFusionError::from(error)))
}

fn printed(column: &ArrayRef) -> Result<ArrayRef> {
    let zone = match column.data_type() {
        DataType::Timestamp(unit, Some(name)) => match arrow_zone(name)? {
            ArrowZone::Differs(zone) => Some((*unit, zone)),
            ArrowZone::Agrees => None,
        },
        nested => match differing_zone(nested)? {
            Some(zone) => {
                return Err(EngineError::zone_rules("printing a list or struct of timestamps", &zone));
            }
            None => None,
        },
    };
    let Some((unit, zone)) = zone else { return Ok(Arc::clone(column)) };
    let numbers = cast(column, &DataType::Int64).map_err(datafusion::error::DataFusionError::from)?;
    let text = |value: i64| {
        values::text(&zone, unit, value).unwrap_or_else(|| format!("ERROR: {value} is out of range"))
    };
    let texts = numbers.as_primitive::<Int64Type>().iter().map(|value| value.map(text));
    Ok(Arc::new(texts.collect::<StringArray>()))
}
