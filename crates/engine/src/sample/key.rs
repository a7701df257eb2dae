//! The function by which rows are sampled.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, UInt64Array};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use nightjar_catalog::Digest;

/// The name of `sample_key`.
pub(crate) const SAMPLE_KEY: &str = "sample_key";

/// `sample_key(seed, column, …)`: a number that is spread evenly over all of UInt64, by which rows are sampled.
///
/// The key of a row is a hash of the seed and the row's values. Equal rows must not share a fate: the first one in a
/// batch has that key, and the next ones have others, which depend on the batch. For this reason the
/// function counts as volatile, and DataFusion leaves it where it stands in a plan.
#[derive(Debug, PartialEq, Eq, Hash)]
struct SampleKey {
    signature: Signature,
}

/// Returns `sample_key`. Plans name it, so every process registers it; it is in no reference.
pub(crate) fn sample_key() -> ScalarUDF {
    ScalarUDF::from(SampleKey { signature: Signature::variadic_any(Volatility::Volatile) })
}

impl ScalarUDFImpl for SampleKey {
    fn name(&self) -> &'static str {
        SAMPLE_KEY
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::UInt64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ColumnarValue::Scalar(ScalarValue::Int64(Some(seed))), columns @ ..] = args.args.as_slice()
        else {
            return Err(DataFusionError::Internal("sample_key needs a seed".to_owned()));
        };
        let columns =
            columns.iter().map(|column| column.to_array(args.number_rows)).collect::<Result<Vec<_>>>()?;
        let mut keys = row_keys(*seed, &columns, args.number_rows)?;
        tell_equal_rows_apart(&mut keys);
        Ok(ColumnarValue::Array(Arc::new(UInt64Array::from(keys))))
    }
}

fn row_keys(seed: i64, columns: &[ArrayRef], rows: usize) -> Result<Vec<u64>> {
    let key = |row: &[u8]| {
        let mut digest = Digest::of_parts();
        digest.add(&seed.to_le_bytes());
        digest.add(row);
        let mut first = [0; 8];
        first.copy_from_slice(&digest.finish().0[..8]);
        u64::from_le_bytes(first)
    };
    if columns.is_empty() {
        return Ok(vec![key(&[]); rows]);
    }
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    let values = RowConverter::new(fields)?.convert_columns(columns)?;
    Ok(values.iter().map(|row| key(row.as_ref())).collect())
}

/// Gives the second and later ones of equal rows keys of their own.
fn tell_equal_rows_apart(keys: &mut [u64]) {
    let batch = keys.iter().fold(0, |sum: u64, key| sum.wrapping_add(*key));
    let mut copies: HashMap<u64, u64> = HashMap::with_capacity(keys.len());
    for key in keys {
        match copies.entry(*key) {
            Entry::Vacant(first) => {
                first.insert(0);
            }
            Entry::Occupied(mut seen) => {
                *seen.get_mut() += 1;
                *key = mixed(*key ^ mixed(batch.wrapping_add(*seen.get())));
            }
        }
    }
}

/// Mixes the bits of a number (the finaliser of SplitMix64, Steele et al. 2014).
fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Int64Array, StringArray};

    use super::*;

    fn keys(seed: i64, columns: &[ArrayRef]) -> Vec<u64> {
        let mut keys = row_keys(seed, columns, columns[0].len()).unwrap();
        tell_equal_rows_apart(&mut keys);
        keys
    }

    #[test]
    fn a_key_depends_on_seed_and_values_and_not_on_the_batch() {
        let ids: Int64Array = (0..100).collect();
        let texts: StringArray = (0..100).map(|row| Some(format!("text {row}"))).collect();
        let columns: [ArrayRef; 2] = [Arc::new(ids), Arc::new(texts)];
        let whole = keys(7, &columns);
        let part: Vec<ArrayRef> = columns.iter().map(|column| column.slice(40, 60)).collect();
        assert_eq!(keys(7, &part), whole[40..]);
        assert_ne!(keys(8, &columns), whole);
    }

    #[test]
    fn equal_rows_are_sampled_one_by_one() {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1; 10_000]));
        let kept = keys(7, &[column]).into_iter().filter(|key| *key < u64::MAX / 10).count();
        assert!((900..1100).contains(&kept), "{kept} of 10000");
    }
}
