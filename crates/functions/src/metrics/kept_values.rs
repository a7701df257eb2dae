//! The accumulator of the metrics that need every value at the end: those of ranks.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Float64Array};
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::error::Result;
use datafusion::logical_expr::Accumulator;

use super::argument::list_of;

/// Keeps two columns of numbers, whose lengths may differ: 8 bytes a number.
#[derive(Debug)]
pub(super) struct KeptValues<R> {
    pub(super) values: [Vec<f64>; 2],
    pub(super) reader: R,
}

/// What a metric keeps of its arguments, and what it makes of it.
pub(super) trait KeepValues: std::fmt::Debug + Send + Sync + 'static {
    /// Appends what the rows of a batch tell.
    fn keep(&self, arguments: &[ArrayRef], values: &mut [Vec<f64>; 2]) -> crate::Result<()>;
    /// Returns the metric; none where it has no value. The order of values may change.
    fn value(&self, values: &mut [Vec<f64>; 2]) -> Option<f64>;
}

impl<R: KeepValues> KeptValues<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { values: Default::default(), reader }
    }
}

impl<R: KeepValues> Accumulator for KeptValues<R> {
    fn update_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        Ok(self.reader.keep(arguments, &mut self.values)?)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for (kept, state) in self.values.iter_mut().zip(states) {
            for list in state.as_list::<i32>().iter().flatten() {
                kept.extend_from_slice(list.as_primitive::<Float64Type>().values());
            }
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let list = |values: &Vec<f64>| {
            let values: ArrayRef = Arc::new(Float64Array::from(values.clone()));
            SingleRowListArrayBuilder::new(values).build_list_scalar()
        };
        Ok(self.values.iter().map(list).collect())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.reader.value(&mut self.values)))
    }

    fn size(&self) -> usize {
        size_of_val(self)
            + self.values.iter().map(|values| values.capacity() * size_of::<f64>()).sum::<usize>()
    }
}

/// Returns the parts of the state.
pub(super) fn state() -> Vec<(&'static str, DataType)> {
    vec![("first", list_of(DataType::Float64)), ("second", list_of(DataType::Float64))]
}
