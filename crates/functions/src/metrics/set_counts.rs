//! The accumulator of the metrics of lists of labels: counts of rows, and of each label.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray, StructArray};
use datafusion::arrow::compute::sum;
use datafusion::arrow::datatypes::{DataType, Field, Fields, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::error::Result;
use datafusion::logical_expr::Accumulator;
use nightjar_models::{ClassCounts, LabelSetCounts};

use super::argument::list_of;
use super::function::Counting;
use crate::LabelLists;

/// Counts sets of labels, and makes the metric's value of them.
#[derive(Debug)]
pub(super) struct SetCounts {
    function: &'static str,
    counts: LabelSetCounts,
    value: SetValue,
}

/// How a metric's value follows from the counts.
#[derive(Debug)]
pub(super) enum SetValue {
    /// A number of the whole; none without rows.
    Whole(fn(&LabelSetCounts) -> Option<f64>),
    /// A number of this label.
    OfClass(String, fn(ClassCounts) -> f64),
    /// The counts of each label.
    Classes,
}

impl SetCounts {
    pub(super) fn new(function: &'static str, value: SetValue) -> Self {
        Self { function, counts: LabelSetCounts::default(), value }
    }

    /// Calls `count` with each row's labels and predictions, where neither list is NULL.
    fn each(
        &mut self,
        values: &[ArrayRef],
        count: impl Fn(&mut LabelSetCounts, &[&str], &[&str]),
    ) -> Result<()> {
        // NULL as a literal has no type of lists.
        if values.iter().any(|lists| lists.data_type().is_null()) {
            return Ok(());
        }
        let labels = LabelLists::read(self.function, &values[0])?;
        let predictions = LabelLists::read(self.function, &values[1])?;
        for (labels, predictions) in labels.iter().zip(predictions.iter()) {
            if let (Some(labels), Some(predictions)) = (labels, predictions) {
                count(&mut self.counts, &labels, &predictions);
            }
        }
        Ok(())
    }
}

impl Accumulator for SetCounts {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.each(values, LabelSetCounts::add)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.each(values, LabelSetCounts::remove)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let total = |state: &ArrayRef| sum(state.as_primitive::<Int64Type>()).unwrap_or_default() as u64;
        self.counts.add_rows(total(&states[0]), total(&states[1]));
        for (label, counts) in classes_of(&states[2]) {
            self.counts.add_class(&label, counts);
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let counts = &self.counts;
        let classes = counts.classes().iter().map(|(label, counts)| (label.as_str(), *counts));
        let number = |rows: u64| ScalarValue::Int64(Some(rows as i64));
        Ok(vec![number(counts.rows()), number(counts.exact()), list_of_classes(classes)])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let counts = &self.counts;
        let (rows, classes) = (counts.rows(), counts.classes());
        Ok(match &self.value {
            SetValue::Classes if rows == 0 => ScalarValue::try_from(&classes_type())?,
            SetValue::Classes => {
                list_of_classes(classes.iter().map(|(label, counts)| (label.as_str(), *counts)))
            }
            SetValue::Whole(value) => ScalarValue::Float64(value(counts)),
            SetValue::OfClass(class, value) => {
                let counts = classes.get(class).copied().unwrap_or_default();
                ScalarValue::Float64((rows > 0).then(|| value(counts)))
            }
        })
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.counts.heap_bytes()
    }
}

/// The parts of the state, for a metric with this accumulator.
pub(super) const fn counting(accumulator: fn(Option<String>) -> Box<dyn Accumulator>) -> Option<Counting> {
    Some(Counting { state, accumulator })
}

fn state() -> Vec<(&'static str, DataType)> {
    vec![("rows", DataType::Int64), ("exact", DataType::Int64), ("classes", classes_type())]
}

/// Returns the type of a list of labels with their counts.
pub(super) fn classes_type() -> DataType {
    list_of(DataType::Struct(class_fields()))
}

fn class_fields() -> Fields {
    let count = |name| Field::new(name, DataType::Int64, true);
    let label = Field::new("label", DataType::Utf8, true);
    Fields::from(vec![label, count("hits"), count("predicted"), count("support")])
}

/// Returns labels with their counts as a value of that type.
pub(super) fn list_of_classes<'a>(classes: impl Iterator<Item = (&'a str, ClassCounts)>) -> ScalarValue {
    let classes: Vec<_> = classes.collect();
    let labels = StringArray::from_iter_values(classes.iter().map(|class| class.0));
    let count = |of: fn(&ClassCounts) -> u64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(classes.iter().map(|class| of(&class.1) as i64)))
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(labels),
        count(|counts| counts.hits),
        count(|counts| counts.predicted),
        count(|counts| counts.support),
    ];
    let classes = StructArray::new(class_fields(), columns, None);
    SingleRowListArrayBuilder::new(Arc::new(classes)).build_list_scalar()
}

/// Returns the labels and their counts in a column of `label_counts`: a label as often as lists have it.
pub fn classes_of(lists: &ArrayRef) -> Vec<(String, ClassCounts)> {
    let mut classes = Vec::new();
    for list in lists.as_list::<i32>().iter().flatten() {
        let list = list.as_struct();
        let labels = list.column(0).as_string::<i32>();
        let count =
            |column: usize, row: usize| list.column(column).as_primitive::<Int64Type>().value(row) as u64;
        for row in 0..list.len() {
            let counts =
                ClassCounts { hits: count(1, row), predicted: count(2, row), support: count(3, row) };
            classes.push((labels.value(row).to_owned(), counts));
        }
    }
    classes
}
