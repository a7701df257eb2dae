//! The accumulator of the metrics that follow from a regression's moments.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Float64Type, UInt64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::Accumulator;
use nightjar_models::RegressionMoments;

/// Sums the rows' moments, and makes the metric's value of them. The state is the moments.
#[derive(Debug)]
pub(super) struct RegressionSums {
    moments: RegressionMoments,
    value: fn(&RegressionMoments) -> f64,
}

impl RegressionSums {
    pub(super) fn boxed(value: fn(&RegressionMoments) -> f64) -> Box<dyn Accumulator> {
        Box::new(Self { moments: RegressionMoments::default(), value })
    }
}

impl Accumulator for RegressionSums {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let column = |index: usize| values[index].as_primitive::<Float64Type>().iter();
        for (truth, prediction) in column(0).zip(column(1)) {
            if let (Some(truth), Some(prediction)) = (truth, prediction) {
                self.moments.add(truth, prediction);
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = states[0].as_primitive::<UInt64Type>();
        let value = |column: usize, row: usize| states[column].as_primitive::<Float64Type>().value(row);
        for row in (0..rows.len()).filter(|row| rows.is_valid(*row)) {
            self.moments.merge(&RegressionMoments {
                rows: rows.value(row),
                truth_mean: value(1, row),
                prediction_mean: value(2, row),
                truth_spread: value(3, row),
                prediction_spread: value(4, row),
                joint_spread: value(5, row),
                squared_error: value(6, row),
                absolute_error: value(7, row),
            });
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let moments = &self.moments;
        let mut state = vec![ScalarValue::from(moments.rows)];
        state.extend(
            [
                moments.truth_mean,
                moments.prediction_mean,
                moments.truth_spread,
                moments.prediction_spread,
                moments.joint_spread,
                moments.squared_error,
                moments.absolute_error,
            ]
            .map(ScalarValue::from),
        );
        Ok(state)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64((self.moments.rows > 0).then(|| (self.value)(&self.moments))))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// Returns the parts of the state, in the order of the moments' fields.
pub(super) fn state() -> Vec<(&'static str, DataType)> {
    let numbers = [
        "truth_mean",
        "prediction_mean",
        "truth_spread",
        "prediction_spread",
        "joint_spread",
        "squared_error",
        "absolute_error",
    ];
    let rows = std::iter::once(("rows", DataType::UInt64));
    rows.chain(numbers.map(|name| (name, DataType::Float64))).collect()
}
