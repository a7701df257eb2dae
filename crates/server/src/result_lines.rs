//! What a statement of ours returned, as lines of a run's log: nobody else sees it.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

/// The most rows of one statement that a log has.
pub(crate) const MOST_ROWS: usize = 50;

/// Returns a line for each row: its values by their columns' names, those that are NULL left out.
///
/// # Errors
/// A column that can't be printed.
pub(crate) fn result_lines(batch: &RecordBatch) -> Result<Vec<String>, ArrowError> {
    let options = FormatOptions::new();
    let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let schema = batch.schema();
    let line = |row: usize| {
        let values = schema.fields().iter().zip(&columns).zip(batch.columns());
        let known = values.filter(|(_, column)| !column.is_null(row));
        let texts = known.map(|((field, column), _)| format!("{}: {}", field.name(), column.value(row)));
        texts.collect::<Vec<_>>().join(", ")
    };
    Ok((0..batch.num_rows()).map(line).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Float64Array, StringArray};

    use super::*;

    #[test]
    fn rows_are_lines() {
        let model: ArrayRef = Arc::new(StringArray::from(vec!["a@1", "b@2"]));
        let value: ArrayRef = Arc::new(Float64Array::from(vec![Some(0.5), None]));
        let batch = RecordBatch::try_from_iter([("model", model), ("value", value)]).unwrap();
        assert_eq!(result_lines(&batch).unwrap(), ["model: a@1, value: 0.5", "model: b@2"]);
    }
}
