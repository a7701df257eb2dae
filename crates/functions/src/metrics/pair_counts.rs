//! The accumulator of the metrics that follow from the counts of (label, prediction).

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray, StructArray};
use datafusion::arrow::datatypes::{DataType, Field, Fields, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::error::Result;
use datafusion::logical_expr::Accumulator;
use nightjar_models::ConfusionMatrix;

use super::argument::list_of;
use super::set_counts::{classes_type, list_of_classes};
use crate::label_lists::read_labels;

/// Counts pairs, and makes the metric's value of them. The state is the list of pairs with their counts.
#[derive(Debug)]
pub(super) struct PairCounts {
    function: &'static str,
    counts: ConfusionMatrix,
    value: PairValue,
}

/// How a metric's value follows from the counts.
#[derive(Debug)]
pub(super) enum PairValue {
    /// A number of the whole; none without rows.
    Whole(fn(&ConfusionMatrix) -> Option<f64>),
    /// A number of this class.
    OfClass(String, fn(nightjar_models::ClassCounts) -> f64),
    /// The counts themselves.
    Pairs,
    /// The counts of each class.
    Classes,
}

impl PairCounts {
    pub(super) fn new(function: &'static str, value: PairValue) -> Self {
        Self { function, counts: ConfusionMatrix::default(), value }
    }

    /// Calls `count` with each row's label and prediction, where neither is NULL.
    fn each(&mut self, values: &[ArrayRef], count: impl Fn(&mut ConfusionMatrix, &str, &str)) -> Result<()> {
        let labels = read_labels(self.function, &values[0])?;
        let predictions = read_labels(self.function, &values[1])?;
        for (label, prediction) in labels.iter().zip(predictions.iter()) {
            if let (Some(label), Some(prediction)) = (label, prediction) {
                count(&mut self.counts, label, prediction);
            }
        }
        Ok(())
    }
}

impl Accumulator for PairCounts {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.each(values, |counts, label, prediction| counts.add(label, prediction, 1))
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.each(values, ConfusionMatrix::remove)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        add_pairs(&mut self.counts, &states[0]);
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![list_of_pairs(&self.counts)])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let counts = &self.counts;
        if counts.pairs().next().is_none() {
            return match self.value {
                PairValue::Pairs => ScalarValue::try_from(&pairs_type()),
                PairValue::Classes => ScalarValue::try_from(&classes_type()),
                _ => Ok(ScalarValue::Float64(None)),
            };
        }
        Ok(match &self.value {
            PairValue::Whole(value) => ScalarValue::Float64(value(counts)),
            PairValue::OfClass(class, value) => {
                let counts = counts.classes().get(class.as_str()).copied().unwrap_or_default();
                ScalarValue::Float64(Some(value(counts)))
            }
            PairValue::Pairs => list_of_pairs(counts),
            PairValue::Classes => list_of_classes(counts.classes().into_iter()),
        })
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.counts.heap_bytes()
    }
}

/// Returns the parts of the state.
pub(super) fn state() -> Vec<(&'static str, DataType)> {
    vec![("pairs", pairs_type())]
}

/// Returns the type of a list of pairs with their counts.
pub(super) fn pairs_type() -> DataType {
    list_of(DataType::Struct(pair_fields()))
}

fn pair_fields() -> Fields {
    let field = |name, data_type| Field::new(name, data_type, true);
    Fields::from(vec![
        field("label", DataType::Utf8),
        field("prediction", DataType::Utf8),
        field("count", DataType::Int64),
    ])
}

/// Returns the counts in a column of `confusion_matrix`, those of all rows together.
pub fn confusion_matrix_of(lists: &ArrayRef) -> ConfusionMatrix {
    let mut counts = ConfusionMatrix::default();
    add_pairs(&mut counts, lists);
    counts
}

fn add_pairs(counts: &mut ConfusionMatrix, lists: &ArrayRef) {
    for list in lists.as_list::<i32>().iter().flatten() {
        let pairs = list.as_struct();
        let (labels, predictions) = (pairs.column(0).as_string::<i32>(), pairs.column(1).as_string::<i32>());
        let rows = pairs.column(2).as_primitive::<Int64Type>();
        for row in 0..pairs.len() {
            counts.add(labels.value(row), predictions.value(row), rows.value(row) as u64);
        }
    }
}

fn list_of_pairs(counts: &ConfusionMatrix) -> ScalarValue {
    let pairs: Vec<_> = counts.pairs().collect();
    let labels = StringArray::from_iter_values(pairs.iter().map(|pair| pair.0));
    let predictions = StringArray::from_iter_values(pairs.iter().map(|pair| pair.1));
    let numbers = Int64Array::from_iter_values(pairs.iter().map(|pair| pair.2 as i64));
    let columns: Vec<ArrayRef> = vec![Arc::new(labels), Arc::new(predictions), Arc::new(numbers)];
    let pairs = StructArray::new(pair_fields(), columns, None);
    SingleRowListArrayBuilder::new(Arc::new(pairs)).build_list_scalar()
}
