//! The function that makes a list of labels into a set.

use std::sync::Arc;

use datafusion::arrow::array::{ListBuilder, StringBuilder};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use nightjar_functions::LabelLists;

/// `label_set(list)`: the labels of a list as text, sorted, each once; NULL for NULL.
///
/// NULLs in a list do not count: what an outer join gives a row without labels is a list of one NULL.
#[derive(Debug, PartialEq, Eq, Hash)]
struct LabelSet {
    signature: Signature,
}

/// Returns `label_set`.
pub(crate) fn label_set() -> ScalarUDF {
    ScalarUDF::from(LabelSet { signature: Signature::any(1, Volatility::Immutable) })
}

/// Returns the type of a set of labels.
pub(crate) fn label_set_type() -> DataType {
    DataType::new_list(DataType::Utf8, true)
}

impl ScalarUDFImpl for LabelSet {
    fn name(&self) -> &'static str {
        "label_set"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(label_set_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let lists = LabelLists::read("label", &args.args[0].to_array(args.number_rows)?)?;
        let mut sets = ListBuilder::new(StringBuilder::new());
        for labels in lists.iter() {
            labels.iter().flatten().for_each(|label| sets.values().append_value(label));
            sets.append(labels.is_some());
        }
        Ok(ColumnarValue::Array(Arc::new(sets.finish())))
    }
}
