//! A metric as data, and as the DataFusion aggregate that SQL calls.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, ColumnarValue, Signature, Volatility};

use super::argument::{Argument, Forms, coerced, form_of};
use crate::{FunctionDoc, FunctionError, Result};

/// An aggregate over labels and predictions.
///
/// Rows with NULL in an argument are skipped, and without rows the result is NULL.
#[derive(Debug)]
pub struct MetricFunction {
    /// What people read about it.
    pub doc: FunctionDoc,
    /// What it takes.
    pub(crate) forms: Forms,
    /// The type of the result.
    pub(crate) returns: fn() -> DataType,
    /// The name and type of each part of a state.
    pub(crate) state: fn() -> Vec<(&'static str, DataType)>,
    /// Returns an empty accumulator; for one class where the call names one.
    pub(crate) accumulator: fn(Option<String>) -> Box<dyn Accumulator>,
}

/// A [`MetricFunction`] as DataFusion sees it.
#[derive(Debug)]
pub(crate) struct MetricUdaf {
    function: &'static MetricFunction,
    signature: Signature,
}

impl MetricUdaf {
    pub(crate) fn new(function: &'static MetricFunction) -> Self {
        Self { function, signature: Signature::user_defined(Volatility::Immutable) }
    }

    fn form(&self, types: &[DataType]) -> Result<&'static [Argument]> {
        let doc = &self.function.doc;
        form_of(doc.name, doc.syntax, self.function.forms, types)
    }

    /// Returns the class that a call names, where its form has one.
    fn class(&self, args: &AccumulatorArgs<'_>) -> Result<Option<String>> {
        let types: Vec<DataType> = args.expr_fields.iter().map(|field| field.data_type().clone()).collect();
        let form = self.form(&types)?;
        let Some(index) = form.iter().position(|argument| *argument == Argument::Class) else {
            return Ok(None);
        };
        let function = || self.function.doc.name.to_owned();
        // Only a constant has a value without columns.
        let nothing = RecordBatch::new_empty(Arc::new(Schema::empty()));
        let Ok(ColumnarValue::Scalar(value)) = args.exprs[index].evaluate(&nothing) else {
            return Err(FunctionError::NotConstant { function: function(), what: "class" });
        };
        match value.cast_to(&DataType::Utf8) {
            Ok(ScalarValue::Utf8(Some(class))) => Ok(Some(class)),
            _ => Err(FunctionError::ArgumentType {
                function: function(),
                position: index + 1,
                expected: "a class".to_owned(),
                found: "NULL".to_owned(),
            }),
        }
    }
}

impl PartialEq for MetricUdaf {
    fn eq(&self, other: &Self) -> bool {
        self.function.doc.name == other.function.doc.name
    }
}

impl Eq for MetricUdaf {}

impl Hash for MetricUdaf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.doc.name.hash(state);
    }
}

impl AggregateUDFImpl for MetricUdaf {
    fn name(&self) -> &str {
        self.function.doc.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Refuses nothing: DataFusion would turn the refusal into text. `return_type` refuses.
    fn coerce_types(&self, types: &[DataType]) -> DataFusionResult<Vec<DataType>> {
        Ok(coerced(self.function.forms, types))
    }

    fn return_type(&self, types: &[DataType]) -> DataFusionResult<DataType> {
        self.form(types)?;
        Ok((self.function.returns)())
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> DataFusionResult<Vec<FieldRef>> {
        let fields = (self.function.state)().into_iter();
        Ok(fields
            .map(|(name, data_type)| {
                Arc::new(Field::new(format_state_name(args.name, name), data_type, true))
            })
            .collect())
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> DataFusionResult<Box<dyn Accumulator>> {
        if args.is_distinct {
            return Err(FunctionError::Distinct { function: self.function.doc.name.to_owned() }.into());
        }
        Ok((self.function.accumulator)(self.class(&args)?))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}
