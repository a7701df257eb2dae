//! A column of lists of labels, whatever Arrow types it came in.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, ListArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;

use crate::{FunctionError, Result, TextColumn};

/// A set of labels or NULL per row.
#[derive(Debug)]
pub struct LabelLists {
    lists: ListArray,
    /// The position of the first list's first label among all.
    start: usize,
    labels: TextColumn,
}

impl LabelLists {
    /// Returns whether [`LabelLists::read`] takes columns of this type: lists of text, booleans or integers.
    pub fn accepts(found: &DataType) -> bool {
        item(found).is_some_and(is_label)
    }

    /// Returns the sets in a column of lists: `true` and `false` for booleans, digits for integers.
    ///
    /// # Errors
    /// `InvalidUtf8` for bytes that are no text; `Internal` for a column that is not accepted.
    pub fn read(function: &str, array: &ArrayRef) -> Result<Self> {
        let internal = |error| FunctionError::Internal(format!("reading lists of labels: {error}"));
        let missing = || FunctionError::Internal(format!("labels of type {}", array.data_type()));
        let item = item(array.data_type()).ok_or_else(missing)?.clone();
        let lists = cast(array, &DataType::new_list(item, true)).map_err(internal)?.as_list::<i32>().clone();
        // The lists may be a part of a batch, as when rows are grouped: read their own labels only.
        let offsets = lists.value_offsets();
        let (start, end) = (offsets[0] as usize, offsets[lists.len()] as usize);
        let labels = read_labels(function, &lists.values().slice(start, end - start))?;
        Ok(Self { lists, start, labels })
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.lists.len()
    }

    /// Returns whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// Returns the labels of a row, sorted as text, each once; NULLs among them do not count. None where the list is NULL.
    pub fn get(&self, row: usize) -> Option<Vec<&str>> {
        if self.lists.is_null(row) {
            return None;
        }
        let offsets = self.lists.value_offsets();
        let range = offsets[row] as usize - self.start..offsets[row + 1] as usize - self.start;
        let mut labels: Vec<&str> = range.filter_map(|label| self.labels.get(label)).collect();
        labels.sort_unstable();
        labels.dedup();
        Some(labels)
    }

    /// Returns the labels of each row.
    pub fn iter(&self) -> impl Iterator<Item = Option<Vec<&str>>> {
        (0..self.len()).map(|row| self.get(row))
    }
}

fn item(found: &DataType) -> Option<&DataType> {
    match found {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            Some(item.data_type())
        }
        _ => None,
    }
}

/// Returns whether [`read_labels`] takes columns of this type.
pub(crate) fn is_label(found: &DataType) -> bool {
    TextColumn::accepts(found) || found.is_integer() || matches!(found, DataType::Boolean)
}

/// Returns a column of labels as text: `true` and `false` for booleans, digits for integers.
pub(crate) fn read_labels(function: &str, array: &ArrayRef) -> Result<TextColumn> {
    match array.data_type() {
        found if found.is_integer() || matches!(found, DataType::Boolean) => {
            let internal = |error| FunctionError::Internal(format!("reading labels: {error}"));
            TextColumn::read(function, &cast(array, &DataType::Utf8).map_err(internal)?, false)
        }
        _ => TextColumn::read(function, array, false),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{FixedSizeListArray, ListBuilder, NullArray, StringBuilder};
    use datafusion::arrow::buffer::NullBuffer;
    use datafusion::arrow::datatypes::{Field, Int64Type};

    use super::*;

    /// `[b, a, b, NULL]`, NULL, `[]`, `[it's "é", ]`.
    fn lists() -> ListArray {
        let mut lists = ListBuilder::new(StringBuilder::new());
        lists.append_value([Some("b"), Some("a"), Some("b"), None]);
        lists.append_null();
        lists.append_value::<[Option<&str>; 0], &str>([]);
        lists.append_value([Some("it's \"é\""), Some("")]);
        lists.finish()
    }

    fn read(array: ArrayRef) -> Vec<Option<Vec<String>>> {
        assert!(LabelLists::accepts(array.data_type()));
        let lists = LabelLists::read("accuracy", &array).unwrap();
        lists
            .iter()
            .map(|labels| labels.map(|labels| labels.into_iter().map(str::to_owned).collect()))
            .collect()
    }

    #[test]
    fn every_list_of_texts_reads_alike_and_so_does_a_part() {
        let owned =
            |labels: &[&str]| Some(labels.iter().map(|label| (*label).to_owned()).collect::<Vec<_>>());
        let expected = vec![owned(&["a", "b"]), None, owned(&[]), owned(&["", "it's \"é\""])];
        let lists: ArrayRef = Arc::new(lists());
        let of = |item: DataType| Arc::new(Field::new_list_field(item, true));
        for to in [
            DataType::List(of(DataType::Utf8)),
            DataType::LargeList(of(DataType::LargeUtf8)),
            DataType::List(of(DataType::Utf8View)),
            DataType::List(of(DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8)))),
        ] {
            let same = cast(&lists, &to).unwrap();
            assert_eq!(read(Arc::clone(&same)), expected, "{to}");
            for from in 0..4 {
                assert_eq!(read(same.slice(from, 4 - from)), expected[from..], "{to} from {from}");
            }
        }
    }

    #[test]
    fn lists_of_one_length_and_of_numbers_are_labels_too() {
        let numbers = datafusion::arrow::array::Int64Array::from(vec![Some(10), Some(9), None, Some(-1)]);
        let item = Arc::new(Field::new_list_field(DataType::Int64, true));
        let nulls = NullBuffer::from(vec![true, false]);
        let fixed = FixedSizeListArray::new(Arc::clone(&item), 2, Arc::new(numbers.clone()), Some(nulls));
        assert_eq!(read(Arc::new(fixed)), [Some(vec!["10".to_owned(), "9".to_owned()]), None]);
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1), Some(1), None])]);
        assert_eq!(read(Arc::new(lists)), [Some(vec!["1".to_owned()])]);
        let item = Arc::new(Field::new_list_field(DataType::Null, true));
        let none = FixedSizeListArray::new(item, 1, Arc::new(NullArray::new(2)), None);
        assert_eq!(read(Arc::new(none)), [Some(vec![]), Some(vec![])]);
    }

    #[test]
    fn other_lists_are_no_labels() {
        for item in [DataType::Float64, DataType::new_list(DataType::Utf8, true), DataType::Date32] {
            assert!(!LabelLists::accepts(&DataType::new_list(item, true)));
        }
        assert!(!LabelLists::accepts(&DataType::Utf8));
    }
}
