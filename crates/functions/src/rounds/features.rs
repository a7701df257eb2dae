//! The columns of feature files as rows to learn from.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int32Array};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int32Type};
use datafusion::common::ScalarValue;
use nightjar_models::{Target, TrainingRow};

use super::plan::RoundTask;
use crate::{FunctionError, Result};

/// Returns the run and the round that two columns of literals name.
///
/// # Errors
/// `Internal` for anything else: only our own plans call this.
pub(super) fn about(runs: &ArrayRef, rounds: &ArrayRef) -> Result<(String, u32)> {
    let text = |column: &ArrayRef| {
        let value = ScalarValue::try_from_array(column, 0).map(|value| value.to_string());
        value.map_err(|error| FunctionError::Internal(error.to_string()))
    };
    let round = text(rounds)?;
    let round = round.parse().map_err(|_| FunctionError::Internal(format!("'{round}' is no round")))?;
    Ok((text(runs)?, round))
}

/// Returns the rows that these columns hold: `ids` List\<Int32\>, `first_tokens` Int32 or NULL for single texts, `target` Int32,
/// List\<Int32\> or Float64. A class of -1 stands for labels that training has never seen.
///
/// # Errors
/// `Internal` for columns of other types: only our own plans call this.
pub(super) fn rows(task: &RoundTask, columns: &[ArrayRef]) -> Result<Vec<TrainingRow>> {
    let [ids, first_tokens, target] = columns else {
        return Err(FunctionError::Internal("features without ids, first tokens and target".to_owned()));
    };
    let wrong =
        |what: &str, found: &DataType| FunctionError::Internal(format!("features whose {what} is {found}"));
    let ids = ids.as_list_opt::<i32>().ok_or_else(|| wrong("ids", ids.data_type()))?;
    let values = ids.values().as_primitive_opt::<Int32Type>().ok_or_else(|| wrong("ids", ids.data_type()))?;
    let first_tokens: Option<&Int32Array> = first_tokens.as_primitive_opt::<Int32Type>();
    let offsets = ids.value_offsets();
    let mut rows = Vec::with_capacity(ids.len());
    for row in 0..ids.len() {
        let range = offsets[row] as usize..offsets[row + 1] as usize;
        let ids: Vec<u32> = values.values()[range].iter().map(|id| *id as u32).collect();
        let first =
            first_tokens.filter(|column| column.is_valid(row)).map(|column| column.value(row) as usize);
        let target = match (task, target.data_type()) {
            (RoundTask::Classify { .. }, DataType::Int32) => {
                // -1 becomes a class beyond all: it has no output that could be right.
                Target::Class(target.as_primitive::<Int32Type>().value(row) as u32)
            }
            (RoundTask::Tag { .. }, DataType::List(item)) if item.data_type() == &DataType::Int32 => {
                let classes = target.as_list::<i32>().value(row);
                let classes = classes.as_primitive::<Int32Type>().values().iter();
                Target::Classes(classes.map(|class| *class as u32).collect())
            }
            (
                RoundTask::Regress { mean: zero, deviation: one }
                | RoundTask::Similarity { zero, range: one },
                DataType::Float64,
            ) => Target::Number(((target.as_primitive::<Float64Type>().value(row) - zero) / one) as f32),
            (RoundTask::Contrast, _) => Target::Pair,
            (_, found) => return Err(wrong("target", found)),
        };
        rows.push(TrainingRow { first_tokens: first.unwrap_or(ids.len()), ids, target });
    }
    Ok(rows)
}
