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
    /// How lists of labels are counted, where that differs.
    pub(crate) of_lists: Option<Counting>,
}

/// How a metric counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counting {
    /// The name and type of each part of a state.
    pub(crate) state: fn() -> Vec<(&'static str, DataType)>,
    /// Returns an empty accumulator; for one class where the call names one.
    pub(crate) accumulator: fn(Option<String>) -> Box<dyn Accumulator>,
}

impl MetricFunction {
    /// Returns how arguments of a form are counted.
    pub(crate) fn counting(&self, form: &[Argument]) -> Counting {
        let single = Counting { state: self.state, accumulator: self.accumulator };
        self.of_lists.filter(|_| form.contains(&Argument::LabelList)).unwrap_or(single)
    }
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

    fn form_of_fields(&self, fields: &[FieldRef]) -> Result<&'static [Argument]> {
        let types: Vec<DataType> = fields.iter().map(|field| field.data_type().clone()).collect();
        self.form(&types)
    }

    /// Returns the class that a call names, where its form has one.
    fn class(&self, form: &[Argument], args: &AccumulatorArgs<'_>) -> Result<Option<String>> {
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
        let counting = self.function.counting(self.form_of_fields(args.input_fields)?);
        let fields = (counting.state)().into_iter();
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
        let form = self.form_of_fields(args.expr_fields)?;
        Ok((self.function.counting(form).accumulator)(self.class(form, &args)?))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}
