//! A column of what `classify_scores` returns.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, ListArray, StructArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Float64Type};
use datafusion::arrow::error::ArrowError;

use crate::{FunctionError, Result, TextColumn};

/// Each row's labels with their scores.
#[derive(Debug)]
pub(super) struct ScoresColumn {
    lists: ListArray,
    /// The position of the first list's first entry among all entries.
    start: usize,
    entries: StructArray,
    labels: TextColumn,
    scores: Float64Array,
}

const LABEL: &str = "label";
const SCORE: &str = "score";

impl ScoresColumn {
    /// Returns whether [`ScoresColumn::read`] takes columns of this type.
    pub(super) fn accepts(found: &DataType) -> bool {
        let Some(DataType::Struct(fields)) = item(found).map(|field| field.data_type()) else {
            return false;
        };
        let field = |name| fields.iter().find(|field| field.name() == name).map(|field| field.data_type());
        field(LABEL).is_some_and(TextColumn::accepts)
            && field(SCORE).is_some_and(|found| found.is_numeric() || found.is_null())
    }

    /// Returns the scores in a list of structs with the fields `label` and `score`.
    pub(super) fn read(function: &str, array: &ArrayRef) -> Result<Self> {
        let broken = |error: ArrowError| FunctionError::Internal(format!("reading scores: {error}"));
        let missing = || FunctionError::Internal("scores without label and score".to_owned());
        let as_list = DataType::List(item(array.data_type()).ok_or_else(missing)?.clone());
        let lists = cast(array, &as_list).map_err(broken)?.as_list::<i32>().clone();
        // The lists may be a part of a batch, as when rows are grouped: read their own entries only.
        let (start, end) = (lists.value_offsets()[0] as usize, lists.value_offsets()[lists.len()] as usize);
        let entries = lists.values().as_struct().slice(start, end - start);
        let labels = TextColumn::read(function, entries.column_by_name(LABEL).ok_or_else(missing)?, false)?;
        let scores = cast(entries.column_by_name(SCORE).ok_or_else(missing)?, &DataType::Float64);
        let scores = scores.map_err(broken)?.as_primitive::<Float64Type>().clone();
        Ok(Self { lists, start, entries, labels, scores })
    }

    /// Returns the labels of a row with their scores, 0 where one is NULL; None where the row is NULL.
    pub(super) fn of(&self, row: usize) -> Option<impl Iterator<Item = (&str, f64)>> {
        if self.lists.is_null(row) {
            return None;
        }
        let offsets = self.lists.value_offsets();
        let entries = offsets[row] as usize - self.start..offsets[row + 1] as usize - self.start;
        let score = |entry| if self.scores.is_valid(entry) { self.scores.value(entry) } else { 0.0 };
        Some(entries.filter_map(move |entry| {
            let label = self.labels.get(entry).filter(|_| self.entries.is_valid(entry))?;
            Some((label, score(entry)))
        }))
    }

    /// Returns the score of a label in a row: None where the row is NULL, 0 where the label is absent or its score NULL.
    pub(super) fn score_of(&self, row: usize, label: &str) -> Option<f64> {
        if self.lists.is_null(row) {
            return None;
        }
        let offsets = self.lists.value_offsets();
        let mut entries = offsets[row] as usize - self.start..offsets[row + 1] as usize - self.start;
        let found =
            entries.find(|&entry| self.entries.is_valid(entry) && self.labels.get(entry) == Some(label));
        Some(found.filter(|entry| self.scores.is_valid(*entry)).map_or(0.0, |entry| self.scores.value(entry)))
    }
}

fn item(found: &DataType) -> Option<&std::sync::Arc<Field>> {
    match found {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => Some(item),
        _ => None,
    }
}
