//! A model function as data, and as the DataFusion function that SQL calls.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::config::ConfigOptions;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use nightjar_catalog::{ModelCard, Task};
use nightjar_models::{Embeddings, TextTokenizer};

use crate::embed::EMBED;
use crate::vector_udf::{VectorFunction, VectorUdf};
use crate::{
    BoundCall, FunctionError, Models, NightjarOptions, PinnedModel, ResolvedModel, Result, TextColumn,
};

/// What people read about a function, in the reference and in error messages.
#[derive(Debug)]
pub struct FunctionDoc {
    /// The name in SQL.
    pub name: &'static str,
    /// The forms of a call.
    pub syntax: &'static str,
    /// One sentence on what it returns.
    pub summary: &'static str,
    /// The SQL type of the result.
    pub returns: &'static str,
    /// NULLs, empty texts, errors and cost, where they need words.
    pub notes: &'static str,
    /// A query that works.
    pub example: &'static str,
}

/// The part of a model that a function's rows cost.
#[derive(Debug, Clone, Copy)]
pub enum Work {
    /// An encoder pass over the texts, then this arithmetic on the embeddings: one slice element per row and
    /// text argument, None for NULL.
    Encode(fn(&BoundCall, &EncodedRows<'_>) -> Result<ArrayRef>),
    /// The tokenizer only.
    Tokenize(fn(&TextTokenizer, &TextColumn) -> Result<ArrayRef>),
}

/// The embeddings of one call's texts.
#[derive(Debug)]
pub struct EncodedRows<'a> {
    /// Embeddings of all the pass's texts.
    pub embeddings: &'a Embeddings,
    /// For each text argument, for each row, the embedding's index; None where the text is NULL.
    pub slots: &'a [Vec<Option<usize>>],
}

impl<'a> EncodedRows<'a> {
    /// Returns the embeddings of one text argument in row order, None for NULL.
    pub fn column(&self, argument: usize) -> impl Iterator<Item = Option<&'a [f32]>> {
        let (embeddings, slots) = (self.embeddings, &self.slots[argument]);
        slots.iter().map(move |slot| slot.map(|index| embeddings.row(index)))
    }
}

/// A SQL function whose result comes from a model.
#[derive(Debug)]
pub struct ModelFunction {
    /// What people read about it.
    pub doc: FunctionDoc,
    /// How many leading arguments are texts.
    pub texts: usize,
    /// Whether a second text may follow the first, to be read with it as one: for models that were tuned on pairs.
    pub pairs: bool,
    /// Whether a list of labels may follow the texts (zero-shot).
    pub labels: bool,
    /// The task whose default model answers a call that names none; with labels it is always 'embed'.
    pub task: Task,
    /// Whether a named model must be for that task, or any model's body will do.
    pub needs_task: bool,
    /// The type of the result for a model, and whether the call gives labels of its own (zero-shot).
    pub returns: fn(&ModelCard, bool) -> DataType,
    /// The function of its texts' embeddings that gives the same bits, where there is one: a join on it then
    /// encodes each side by itself.
    pub of_embeddings: Option<&'static VectorFunction>,
    /// What a row costs and how its result is made.
    pub work: Work,
}

impl ModelFunction {
    /// Returns whether a call may have so many texts.
    pub fn takes(&self, texts: usize) -> bool {
        texts == self.texts || (self.pairs && texts == 2)
    }
}

/// A [`ModelFunction`] as DataFusion sees it; its `try_` form is the same function, tolerant.
#[derive(Debug, Clone)]
pub struct ModelUdf {
    function: &'static ModelFunction,
    name: String,
    tolerant: bool,
    models: Option<Models>,
    options: NightjarOptions,
    signature: Signature,
}

/// The arguments of a call, by their role.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Roles {
    /// How many come first that are texts.
    pub(crate) texts: usize,
    pub(crate) labels: Option<usize>,
    pub(crate) model: Option<usize>,
}

impl ModelUdf {
    /// Returns the function bound to a store's models; without them it can only stand in an expression until
    /// a session binds it.
    pub fn new(function: &'static ModelFunction, tolerant: bool, models: Option<Models>) -> Self {
        let prefix = if tolerant { "try_" } else { "" };
        Self {
            function,
            name: format!("{prefix}{}", function.doc.name),
            tolerant,
            models,
            options: NightjarOptions::default(),
            // Immutable: a resolved call names a digest. Literal calls are thus evaluated once, while planning.
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }

    /// Returns the model function of a DataFusion function, if it's one.
    pub fn of(udf: &ScalarUDF) -> Option<&ModelUdf> {
        udf.inner().downcast_ref::<ModelUdf>()
    }

    /// Returns the same function over a session's models and settings.
    pub fn bound(&self, models: Models, options: NightjarOptions) -> Self {
        Self { models: Some(models), options, ..self.clone() }
    }

    /// Returns the position of the argument that names the model, if the call has one.
    pub fn model_argument(
        &self,
        types: &[DataType],
        constants: &[Option<&ScalarValue>],
    ) -> Result<Option<usize>> {
        Ok(self.roles(types, constants)?.model)
    }

    /// Returns how many of the arguments of a resolved call are texts: they come first, its model last.
    pub fn text_arguments(&self, args: &[Expr]) -> usize {
        let is_labels = |arg: &Expr| matches!(arg, Expr::Literal(value, _) if is_list(&value.data_type()));
        match args {
            [_, second, _] if self.function.pairs && !is_labels(second) => 2,
            _ => self.function.texts,
        }
    }

    /// Returns a call with these arguments as a function of `embed(text)` for each of its texts, where that gives
    /// the same bits.
    pub fn over_embeddings(&self, args: &[Expr]) -> Option<Expr> {
        let vector_function = self.function.of_embeddings?;
        let (texts, model) = args.split_at_checked(self.function.texts)?;
        let embed = Self::new(&EMBED, self.tolerant, self.models.clone());
        let embed = Arc::new(ScalarUDF::from(Self { options: self.options.clone(), ..embed }));
        let embeddings = texts.iter().map(|text| {
            let args = std::iter::once(text).chain(model).cloned().collect();
            Expr::ScalarFunction(ScalarFunction { func: Arc::clone(&embed), args })
        });
        Some(ScalarUDF::from(VectorUdf::new(vector_function)).call(embeddings.collect()))
    }

    /// Returns what the function is.
    pub fn function(&self) -> &'static ModelFunction {
        self.function
    }

    /// Returns whether this is the `try_` form.
    pub fn tolerant(&self) -> bool {
        self.tolerant
    }

    /// Returns the models it reads, when bound.
    pub fn models(&self) -> Result<&Models> {
        self.models.as_ref().ok_or_else(|| FunctionError::Unbound { function: self.name.clone() })
    }

    /// Returns which arguments are texts, labels and the model, from the arguments' types and which of them are constants.
    pub(crate) fn roles(&self, types: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<Roles> {
        let texts = self.texts_of(types, constants);
        let rest = types.get(texts..).ok_or_else(|| self.wrong_arguments(types))?;
        for (index, found) in types.iter().take(texts).enumerate() {
            if !TextColumn::accepts(found) {
                return Err(FunctionError::NotText {
                    function: self.name.clone(),
                    position: index + 1,
                    found: found.to_string(),
                });
            }
        }
        let takes_labels = self.function.labels && texts == self.function.texts;
        let (labels, model) = match rest {
            [] => (None, None),
            [one] if is_list(one) && takes_labels => (Some(texts), None),
            [one] if is_text(one) => (None, Some(texts)),
            [list, model] if is_list(list) && is_text(model) && takes_labels => {
                (Some(texts), Some(texts + 1))
            }
            _ => return Err(self.wrong_arguments(types)),
        };
        Ok(Roles { texts, labels, model })
    }

    /// Returns how many leading arguments are texts. A constant at the end of two is a model's name, never a text.
    fn texts_of(&self, types: &[DataType], constants: &[Option<&ScalarValue>]) -> usize {
        let is_constant = |index: usize| constants.get(index).is_some_and(Option::is_some);
        match types {
            [_, second] if self.function.pairs && TextColumn::accepts(second) && !is_constant(1) => 2,
            [_, second, _] if self.function.pairs && TextColumn::accepts(second) => 2,
            _ => self.function.texts,
        }
    }

    /// Returns the model that a call means, from its constant arguments.
    pub fn resolve(&self, types: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<ResolvedModel> {
        let roles = self.roles(types, constants)?;
        let zero_shot = roles.labels.is_some();
        let name = match roles.model {
            None => None,
            Some(index) => match constants.get(index).copied().flatten().and_then(ScalarValue::try_as_str) {
                Some(Some(name)) => Some(name),
                _ => {
                    return Err(FunctionError::NotConstant { function: self.name.clone(), what: "model" });
                }
            },
        };
        let task = if zero_shot { Task::Embed } else { self.function.task };
        let model = self.models()?.resolve(&self.name, name, task, &self.options)?;
        if self.function.needs_task && !zero_shot && model.card.task != task {
            return Err(FunctionError::WrongTask {
                function: self.name.clone(),
                model: model.pinned.label(),
                expected: task.to_string(),
                found: model.card.task.to_string(),
            });
        }
        if self.function.pairs && !zero_shot && model.card.reads_pairs() != (roles.texts == 2) {
            return Err(FunctionError::TextsOfModel {
                function: self.name.clone(),
                model: model.pinned.label(),
                name: name.filter(|name| !PinnedModel::is_pinned(name)).map(str::to_owned),
                pairs: model.card.reads_pairs(),
            });
        }
        Ok(model)
    }

    fn wrong_arguments(&self, types: &[DataType]) -> FunctionError {
        let found = types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        FunctionError::Arguments {
            function: self.name.clone(),
            expected: self.function.doc.syntax.to_owned(),
            found: format!("({found})"),
        }
    }
}

impl PartialEq for ModelUdf {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for ModelUdf {}

impl Hash for ModelUdf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for ModelUdf {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Refuses nothing: DataFusion would turn the refusal into text. `ModelUdf::roles` refuses when the type of the
    /// result is asked for.
    fn coerce_types(&self, types: &[DataType]) -> DataFusionResult<Vec<DataType>> {
        let labels = Some(self.function.texts).filter(|_| self.function.labels);
        let coerced = types.iter().enumerate().map(|(index, found)| {
            if Some(index) == labels && is_list(found) {
                DataType::new_list(DataType::Utf8, true)
            } else {
                found.clone()
            }
        });
        Ok(coerced.collect())
    }

    fn return_type(&self, _: &[DataType]) -> DataFusionResult<DataType> {
        Err(FunctionError::Internal(format!("{} needs its arguments to know its type", self.name)).into())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> DataFusionResult<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let model = self.resolve(&types, args.scalar_arguments)?;
        let zero_shot = self.roles(&types, args.scalar_arguments)?.labels.is_some();
        Ok(Arc::new(Field::new(&self.name, (self.function.returns)(&model.card, zero_shot), true)))
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let options = config.extensions.get::<NightjarOptions>()?.clone();
        Some(ScalarUDF::from(Self { options, ..self.clone() }))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let constants: Vec<Option<&ScalarValue>> = args
            .args
            .iter()
            .map(|arg| match arg {
                ColumnarValue::Scalar(value) => Some(value),
                ColumnarValue::Array(_) => None,
            })
            .collect();
        let call = BoundCall::new(self, &types, &constants)?;
        let texts = &args.args[..call.text_arguments()];
        if texts.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_))) {
            let result = call.evaluate(texts, 1)?;
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(call.evaluate(texts, args.number_rows)?))
    }
}

fn is_list(data_type: &DataType) -> bool {
    matches!(data_type, DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(_, _))
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}
