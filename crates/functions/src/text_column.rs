//! A column of texts, whatever Arrow type it came in.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BinaryViewArray, StringViewArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;

use crate::{FunctionError, Result};

/// One text or NULL per row, read from any string, binary or dictionary type.
#[derive(Debug, Clone)]
pub struct TextColumn(StringViewArray);

impl TextColumn {
    /// Returns whether [`TextColumn::read`] takes columns of this type.
    pub fn accepts(data_type: &DataType) -> bool {
        match data_type {
            DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::Null => true,
            DataType::Dictionary(_, values) => Self::accepts(values),
            _ => false,
        }
    }

    /// Returns the texts of `array`. Bytes that aren't UTF-8 are NULL when `tolerant`, and otherwise an
    /// error that names the row. Cost: no copy of the bytes beyond what the cast to a view needs.
    pub fn read(function: &str, array: &ArrayRef, tolerant: bool) -> Result<Self> {
        let internal = |error| FunctionError::Internal(format!("reading texts: {error}"));
        let flat = match array.data_type() {
            DataType::Dictionary(_, values) => &cast(array, values).map_err(internal)?,
            _ => array,
        };
        match flat.data_type() {
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
                let bytes = cast(flat, &DataType::BinaryView).map_err(internal)?;
                Self::from_bytes(function, bytes.as_binary_view(), tolerant)
            }
            _ => {
                let texts = cast(flat, &DataType::Utf8View).map_err(internal)?;
                Ok(Self(texts.as_string_view().clone()))
            }
        }
    }

    fn from_bytes(function: &str, bytes: &BinaryViewArray, tolerant: bool) -> Result<Self> {
        let texts = (0..bytes.len()).map(|row| {
            if bytes.is_null(row) {
                return Ok(None);
            }
            match std::str::from_utf8(bytes.value(row)) {
                Ok(text) => Ok(Some(text)),
                Err(_) if tolerant => Ok(None),
                Err(_) => Err(FunctionError::InvalidUtf8 { function: function.to_owned(), row }),
            }
        });
        Ok(Self(texts.collect::<Result<StringViewArray>>()?))
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether two columns are the same memory with the same NULLs, as when two calls read one column of a batch.
    /// Two branches of a CASE may share the texts of a column and differ in the NULLs alone.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.len() == other.len()
            && std::ptr::eq(self.0.views().as_ptr(), other.0.views().as_ptr())
            && self.0.nulls() == other.0.nulls()
    }

    /// Returns the text of a row, or None for NULL.
    pub fn get(&self, row: usize) -> Option<&str> {
        (!self.0.is_null(row)).then(|| self.0.value(row))
    }

    /// Returns the texts in row order.
    pub fn iter(&self) -> impl Iterator<Item = Option<&str>> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{BinaryArray, DictionaryArray, LargeStringArray, NullArray};
    use datafusion::arrow::buffer::NullBuffer;
    use datafusion::arrow::datatypes::Int8Type;

    use super::*;

    fn read(array: ArrayRef) -> Vec<Option<String>> {
        let column = TextColumn::read("embed", &array, false).unwrap();
        column.iter().map(|text| text.map(str::to_owned)).collect()
    }

    #[test]
    fn every_text_type_reads_alike() {
        let expected = vec![Some("a".to_owned()), None, Some("é🙂".to_owned())];
        let dictionary: DictionaryArray<Int8Type> = vec![Some("a"), None, Some("é🙂")].into_iter().collect();
        assert_eq!(read(Arc::new(dictionary)), expected);
        assert_eq!(read(Arc::new(LargeStringArray::from(vec![Some("a"), None, Some("é🙂")]))), expected);
        let bytes = BinaryArray::from_opt_vec(vec![Some(b"a"), None, Some("é🙂".as_bytes())]);
        assert_eq!(read(Arc::new(bytes)), expected);
        assert_eq!(read(Arc::new(NullArray::new(2))), vec![None, None]);
    }

    #[test]
    fn one_memory_with_other_nulls_is_another_column() {
        let texts = StringViewArray::from(vec![Some("a"), Some("b")]);
        let nulls = NullBuffer::from(vec![true, false]);
        let masked = StringViewArray::new(texts.views().clone(), texts.data_buffers().to_vec(), Some(nulls));
        let read = |array: &StringViewArray| {
            TextColumn::read("embed", &(Arc::new(array.clone()) as ArrayRef), false).unwrap()
        };
        assert!(read(&texts).is_same(&read(&texts)) && read(&masked).is_same(&read(&masked)));
        assert!(!read(&texts).is_same(&read(&masked)));
    }

    #[test]
    fn bytes_that_are_no_text_are_named_or_null() {
        let bytes: ArrayRef = Arc::new(BinaryArray::from_vec(vec![b"fine", b"\xff\xfe"]));
        let error = TextColumn::read("embed", &bytes, false).unwrap_err();
        assert!(matches!(error, FunctionError::InvalidUtf8 { row: 1, .. }), "{error}");
        let column = TextColumn::read("embed", &bytes, true).unwrap();
        assert_eq!(column.iter().collect::<Vec<_>>(), vec![Some("fine"), None]);
    }
}
