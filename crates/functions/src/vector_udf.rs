//! A function of two vectors, as data and as the DataFusion function that SQL calls.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::Float32Array;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use crate::vector_column::VectorColumn;
use crate::{FunctionDoc, FunctionError};

/// A function `(vector, vector) -> Float32`.
#[derive(Debug)]
pub struct VectorFunction {
    /// What people read about it.
    pub doc: FunctionDoc,
    /// The arithmetic on two vectors of equal length.
    pub compute: fn(&[f64], &[f64]) -> f64,
}

/// A [`VectorFunction`] as DataFusion sees it.
#[derive(Debug)]
pub(crate) struct VectorUdf {
    function: &'static VectorFunction,
    signature: Signature,
}

impl VectorUdf {
    pub(crate) fn new(function: &'static VectorFunction) -> Self {
        Self { function, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl PartialEq for VectorUdf {
    fn eq(&self, other: &Self) -> bool {
        self.function.doc.name == other.function.doc.name
    }
}

impl Eq for VectorUdf {}

impl Hash for VectorUdf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.doc.name.hash(state);
    }
}

impl ScalarUDFImpl for VectorUdf {
    fn name(&self) -> &str {
        self.function.doc.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> DataFusionResult<Vec<DataType>> {
        // Refused in `return_type`, where DataFusion keeps the error whole.
        Ok(types.to_vec())
    }

    fn return_type(&self, types: &[DataType]) -> DataFusionResult<DataType> {
        let function = self.function.doc.name.to_owned();
        if types.len() != 2 {
            let found = format!("{} arguments", types.len());
            return Err(
                FunctionError::Arguments { function, expected: "two vectors".to_owned(), found }.into()
            );
        }
        match types.iter().position(|found| !VectorColumn::accepts(found)) {
            Some(index) => {
                let (position, found) = (index + 1, types[index].to_string());
                Err(FunctionError::NotVector { function, position, found }.into())
            }
            None => Ok(DataType::Float32),
        }
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let constant: Vec<bool> =
            args.args.iter().map(|arg| matches!(arg, ColumnarValue::Scalar(_))).collect();
        let columns = args
            .args
            .iter()
            // A constant vector is read once, not once per row.
            .map(|arg| {
                Ok(VectorColumn::read(&arg.to_array(if is_scalar(arg) { 1 } else { args.number_rows })?)?)
            })
            .collect::<DataFusionResult<Vec<_>>>()?;
        let rows = if constant.iter().all(|constant| *constant) { 1 } else { args.number_rows };
        let at =
            |argument: usize, row: usize| columns[argument].get(if constant[argument] { 0 } else { row });
        let values = (0..rows)
            .map(|row| match (at(0, row), at(1, row)) {
                (Some(a), Some(b)) if a.len() != b.len() => Err(FunctionError::Dimensions {
                    function: self.function.doc.name.to_owned(),
                    row,
                    left: a.len(),
                    right: b.len(),
                }),
                (Some(a), Some(b)) => Ok(Some((self.function.compute)(a, b) as f32)),
                _ => Ok(None),
            })
            .collect::<Result<Float32Array, _>>()?;
        if rows == 1 && constant.iter().all(|constant| *constant) {
            let value = datafusion::common::ScalarValue::try_from_array(&values, 0)?;
            return Ok(ColumnarValue::Scalar(value));
        }
        Ok(ColumnarValue::Array(Arc::new(values)))
    }
}

fn is_scalar(arg: &ColumnarValue) -> bool {
    matches!(arg, ColumnarValue::Scalar(_))
}
