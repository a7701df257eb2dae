//! The folders that rows belong to, by their values of the partition columns.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use datafusion::arrow::row::{RowConverter, Rows, SortField};
use datafusion::arrow::util::display::FormatOptions;
use datafusion::error::{DataFusionError, Result};

use crate::error::EngineError;
use crate::tables::{NULL_FOLDER, encode, percent_encode};

/// Tells rows apart by their values of the partition columns.
pub(super) struct PartitionKeys {
    /// Where the columns stand, in the order of the folders.
    columns: Vec<usize>,
    fields: Vec<FieldRef>,
    rows: RowConverter,
    /// Where the columns stand that files have.
    kept: Vec<usize>,
    file_schema: SchemaRef,
}

impl PartitionKeys {
    /// Returns the keys of rows of a schema. With `keep`, files have the partition columns too.
    ///
    /// Errors: a column that isn't there, or of a type whose values are no names of folders.
    pub(super) fn new(schema: &Schema, partitions: &[(String, DataType)], keep: bool) -> Result<Self> {
        let columns =
            partitions.iter().map(|(name, _)| schema.index_of(name)).collect::<Result<Vec<_>, _>>()?;
        let fields: Vec<FieldRef> = columns.iter().map(|at| Arc::new(schema.field(*at).clone())).collect();
        if let Some(field) = fields.iter().find(|field| !is_named(field.data_type())) {
            let (column, found) = (field.name().clone(), field.data_type().clone());
            return Err(EngineError::PartitionType { column, found }.into_datafusion());
        }
        let rows = RowConverter::new(
            fields.iter().map(|field| SortField::new(field.data_type().clone())).collect(),
        )?;
        let kept: Vec<_> = (0..schema.fields().len()).filter(|at| keep || !columns.contains(at)).collect();
        let file_schema = Arc::new(schema.project(&kept)?);
        Ok(Self { columns, fields, rows, kept, file_schema })
    }

    /// The columns of the files.
    pub(super) fn file_schema(&self) -> &SchemaRef {
        &self.file_schema
    }

    /// Returns rows as files have them.
    pub(super) fn in_file(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        // Rows of another plan may say otherwise which columns may be NULL.
        let columns = self.kept.iter().map(|at| Arc::clone(batch.column(*at))).collect();
        let options =
            datafusion::arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.file_schema), columns, &options)?)
    }

    /// Returns a key for each row: equal values have equal bytes.
    pub(super) fn of(&self, batch: &RecordBatch) -> Result<Rows> {
        let columns: Vec<ArrayRef> = self.columns.iter().map(|at| Arc::clone(batch.column(*at))).collect();
        Ok(self.rows.convert_columns(&columns)?)
    }

    /// Returns the names of the folders of one row.
    ///
    /// Errors: a text that no folder's name can stand for.
    pub(super) fn folders(&self, batch: &RecordBatch, row: usize) -> Result<Vec<String>> {
        let folder = |(at, field): (&usize, &FieldRef)| {
            let value = batch.column(*at).slice(row, 1);
            let text = text(&value)?;
            match text.as_deref() {
                Some(text) if text.is_empty() || text == NULL_FOLDER => {
                    let (column, value) = (field.name().clone(), text.to_owned());
                    Err(EngineError::UnnamedPartition { column, value }.into_datafusion())
                }
                text => Ok(format!("{}={}", percent_encode(field.name()), encode(text))),
            }
        };
        self.columns.iter().zip(&self.fields).map(folder).collect()
    }
}

/// Returns whether values of a type are names of folders, and are read back from them.
fn is_named(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_named(values),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Boolean => true,
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => true,
        DataType::Time32(_) | DataType::Time64(_) | DataType::Null => true,
        other => other.is_numeric(),
    }
}

/// Returns a single value as Hive and Spark write it, or None for NULL.
fn text(value: &ArrayRef) -> Result<Option<String>> {
    let format = FormatOptions::new()
        .with_display_error(false)
        .with_date_format(Some("%Y-%m-%d"))
        .with_datetime_format(Some("%Y-%m-%d"))
        .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
        .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f%:z"));
    let value = match value.data_type() {
        DataType::Dictionary(_, values) => datafusion::arrow::compute::cast(value, values)?,
        _ => Arc::clone(value),
    };
    // A date that is kept in milliseconds has no time of day.
    let value = match value.data_type() {
        DataType::Date64 => datafusion::arrow::compute::cast(&value, &DataType::Date32)?,
        _ => value,
    };
    let options = CastOptions { safe: false, format_options: format };
    let texts = cast_with_options(&value, &DataType::Utf8, &options)?;
    let texts = texts.as_string_opt::<i32>();
    let texts = texts.ok_or_else(|| DataFusionError::Internal("a text is none".to_owned()))?;
    Ok(texts.is_valid(0).then(|| texts.value(0).to_owned()))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{
        BooleanArray, Date32Array, Decimal128Array, Float64Array, ListArray, StringArray,
        TimestampMicrosecondArray,
    };
    use datafusion::arrow::datatypes::{Field, Int32Type};

    use super::*;

    fn folder(values: ArrayRef) -> Result<String> {
        let field = Field::new("p", values.data_type().clone(), true);
        let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![values]).unwrap();
        let partitions = [("p".to_owned(), DataType::Null)];
        let keys = PartitionKeys::new(&batch.schema(), &partitions, false)?;
        Ok(keys.folders(&batch, 0)?.remove(0))
    }

    #[test]
    fn values_are_named_as_hive_names_them() {
        let name = |values: ArrayRef| folder(values).unwrap();
        assert_eq!(name(Arc::new(StringArray::from(vec!["k=v/é"]))), "p=k%3Dv%2Fé");
        assert_eq!(name(Arc::new(StringArray::from(vec![None::<&str>]))), "p=__HIVE_DEFAULT_PARTITION__");
        assert_eq!(name(Arc::new(Date32Array::from(vec![0]))), "p=1970-01-01");
        assert_eq!(name(Arc::new(Date32Array::from(vec![None]))), "p=__HIVE_DEFAULT_PARTITION__");
        assert_eq!(name(Arc::new(BooleanArray::from(vec![true]))), "p=true");
        assert_eq!(name(Arc::new(Float64Array::from(vec![1.5]))), "p=1.5");
        let decimal = Decimal128Array::from(vec![150]).with_precision_and_scale(5, 2).unwrap();
        assert_eq!(name(Arc::new(decimal)), "p=1.50");
        let time = TimestampMicrosecondArray::from(vec![1_500_000]);
        assert_eq!(name(Arc::new(time.clone())), "p=1970-01-01%2000%3A00%3A01.500");
        assert_eq!(name(Arc::new(time.with_timezone("+00:00"))), "p=1970-01-01%2000%3A00%3A01.500%2B00%3A00");
    }

    #[test]
    fn what_no_folder_stands_for_is_refused() {
        for text in ["", NULL_FOLDER] {
            let error = folder(Arc::new(StringArray::from(vec![text]))).unwrap_err();
            assert!(error.to_string().contains("'p'"), "{error}");
        }
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1)])]);
        assert!(folder(Arc::new(lists)).unwrap_err().to_string().contains("List"));
    }
}
