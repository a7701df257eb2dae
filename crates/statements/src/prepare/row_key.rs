//! The functions by which rows are told apart and put in order.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, BinaryBuilder};
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use nightjar_catalog::Digest;
use nightjar_functions::{LabelLists, TextColumn};

/// `row_key(target, text [, second])`: the digest of a row's texts and target; NULL where one of them is.
///
/// A number counts by its bits, not by its digits: the digest is exact. A list of labels counts as a set.
#[derive(Debug, PartialEq, Eq, Hash)]
struct RowKey {
    signature: Signature,
}

/// Returns `row_key`.
pub(crate) fn row_key() -> ScalarUDF {
    let signature =
        Signature::one_of(vec![TypeSignature::Any(2), TypeSignature::Any(3)], Volatility::Immutable);
    ScalarUDF::from(RowKey { signature })
}

impl ScalarUDFImpl for RowKey {
    fn name(&self) -> &'static str {
        "row_key"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [target, texts @ ..] = arrays.as_slice() else {
            return Err(DataFusionError::Internal("row_key without a target".to_owned()));
        };
        let texts = texts.iter().map(|text| TextColumn::read("token_ids", text, false));
        let texts = texts.collect::<nightjar_functions::Result<Vec<_>>>()?;
        let numbers = target.as_primitive_opt::<Float64Type>();
        let sets = match LabelLists::accepts(target.data_type()) {
            true => Some(LabelLists::read("label", target)?),
            false => None,
        };
        let labels = match numbers.is_some() || sets.is_some() {
            true => None,
            false => Some(TextColumn::read("label", target, false)?),
        };
        let mut keys = BinaryBuilder::with_capacity(target.len(), target.len() * size_of::<Digest>());
        let mut bytes = Vec::new();
        for row in 0..target.len() {
            bytes.clear();
            let mut complete = true;
            for text in &texts {
                complete &= text.get(row).is_some();
                bytes.extend_from_slice(text.get(row).unwrap_or_default().as_bytes());
                bytes.push(0);
            }
            match (numbers, &labels) {
                (None, None) => match sets.as_ref().and_then(|sets| sets.get(row)) {
                    // Each with its length, so that no two sets have the same bytes.
                    Some(labels) => labels.iter().for_each(|label| {
                        bytes.extend_from_slice(&(label.len() as u64).to_le_bytes());
                        bytes.extend_from_slice(label.as_bytes());
                    }),
                    None => complete = false,
                },
                (Some(numbers), _) if numbers.is_valid(row) => {
                    bytes.extend_from_slice(format!("{:016x}", numbers.value(row).to_bits()).as_bytes());
                }
                (None, Some(labels)) if labels.get(row).is_some() => {
                    bytes.extend_from_slice(labels.get(row).unwrap_or_default().as_bytes());
                }
                _ => complete = false,
            }
            keys.append_option(complete.then(|| Digest::of(&bytes).0));
        }
        Ok(ColumnarValue::Array(Arc::new(keys.finish())))
    }
}

/// `row_place(key, seed)`: where a row stands for a seed, which is a literal; rows come in the order of their places.
#[derive(Debug, PartialEq, Eq, Hash)]
struct RowPlace {
    signature: Signature,
}

/// Returns `row_place`.
pub(crate) fn row_place() -> ScalarUDF {
    let signature = Signature::exact(vec![DataType::Binary, DataType::Int64], Volatility::Immutable);
    ScalarUDF::from(RowPlace { signature })
}

impl ScalarUDFImpl for RowPlace {
    fn name(&self) -> &'static str {
        "row_place"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [keys, ColumnarValue::Scalar(ScalarValue::Int64(Some(seed)))] = args.args.as_slice() else {
            return Err(DataFusionError::Internal("row_place needs a key and a seed".to_owned()));
        };
        let keys = keys.to_array(args.number_rows)?;
        let mut places = BinaryBuilder::with_capacity(keys.len(), keys.len() * size_of::<Digest>());
        for key in keys.as_binary::<i32>() {
            places.append_option(key.map(|key| crate::split::place(*seed, key).0));
        }
        Ok(ColumnarValue::Array(Arc::new(places.finish())))
    }
}
