//! A column of vectors, whatever list type it came in.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;

use crate::{FunctionError, Result};

/// One vector or NULL per row, read from List, LargeList or FixedSizeList of Float32 or Float64.
///
/// Elements are widened to Float64, so that both element types share one arithmetic.
#[derive(Debug)]
pub(crate) struct VectorColumn {
    values: Float64Array,
    /// Per row the range of its elements in `values`; None for NULL and for vectors that hold a NULL.
    ranges: Vec<Option<(usize, usize)>>,
}

impl VectorColumn {
    /// Returns whether columns of this type are vectors.
    pub(crate) fn accepts(data_type: &DataType) -> bool {
        match data_type {
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
                matches!(item.data_type(), DataType::Float32 | DataType::Float64)
            }
            DataType::Null => true,
            _ => false,
        }
    }

    /// Returns the vectors of `array`.
    pub(crate) fn read(array: &ArrayRef) -> Result<Self> {
        let rows = array.len();
        let (values, bounds): (ArrayRef, Vec<(usize, usize)>) = match array.data_type() {
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                let bounds = list.offsets().windows(2).map(|pair| (pair[0] as usize, pair[1] as usize));
                (list.values().clone(), bounds.collect())
            }
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                let bounds = list.offsets().windows(2).map(|pair| (pair[0] as usize, pair[1] as usize));
                (list.values().clone(), bounds.collect())
            }
            DataType::FixedSizeList(_, size) => {
                let list = array.as_fixed_size_list();
                let size = *size as usize;
                // The values of a sliced list start at the slice: `value_offset` says where.
                let bounds = (0..rows).map(|row| {
                    let start = list.value_offset(row) as usize;
                    (start, start + size)
                });
                (list.values().clone(), bounds.collect())
            }
            _ => (cast_to_f64(&(array.clone() as ArrayRef))?, vec![(0, 0); rows]),
        };
        let values = cast_to_f64(&values)?;
        let values = values.as_primitive::<datafusion::arrow::datatypes::Float64Type>().clone();
        let ranges = bounds
            .into_iter()
            .enumerate()
            .map(|(row, (start, end))| {
                let whole = !array.is_null(row) && array.data_type() != &DataType::Null;
                let no_holes =
                    || values.null_count() == 0 || (start..end).all(|index| values.is_valid(index));
                (whole && no_holes()).then_some((start, end))
            })
            .collect();
        Ok(Self { values, ranges })
    }

    /// Returns the vector of a row, or None for NULL.
    pub(crate) fn get(&self, row: usize) -> Option<&[f64]> {
        self.ranges[row].map(|(start, end)| &self.values.values()[start..end])
    }
}

fn cast_to_f64(values: &ArrayRef) -> Result<ArrayRef> {
    cast(values, &DataType::Float64)
        .map_err(|error| FunctionError::Internal(format!("reading vectors: {error}")))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{FixedSizeListArray, LargeListArray, ListArray};
    use datafusion::arrow::datatypes::{Float32Type, Float64Type};

    use super::*;

    #[test]
    fn every_list_type_reads_alike_even_when_sliced() {
        let rows = vec![Some(vec![Some(1.0), Some(2.0)]), None, Some(vec![Some(3.0), Some(4.0)])];
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(rows.clone())),
            Arc::new(LargeListArray::from_iter_primitive::<Float64Type, _, _>(rows.clone())),
            Arc::new(FixedSizeListArray::from_iter_primitive::<Float64Type, _, _>(rows.clone(), 2)),
            Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(rows.iter().map(|row| {
                row.as_ref().map(|row| row.iter().map(|v| v.map(|v: f64| v as f32)).collect::<Vec<_>>())
            }))),
        ];
        for array in arrays {
            let whole = VectorColumn::read(&array).unwrap();
            assert_eq!(whole.get(0), Some([1.0, 2.0].as_slice()), "{}", array.data_type());
            assert_eq!(whole.get(1), None);
            let tail = VectorColumn::read(&array.slice(1, 2)).unwrap();
            assert_eq!(tail.get(0), None);
            assert_eq!(tail.get(1), Some([3.0, 4.0].as_slice()), "{}", array.data_type());
        }
    }

    #[test]
    fn a_vector_with_a_hole_is_null() {
        let rows = vec![Some(vec![Some(1.0), None]), Some(vec![Some(3.0), Some(4.0)])];
        let array: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(rows));
        let column = VectorColumn::read(&array).unwrap();
        assert_eq!(column.get(0), None);
        assert_eq!(column.get(1), Some([3.0, 4.0].as_slice()));
    }
}
