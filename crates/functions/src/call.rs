//! One call of a model function, its model pinned and its constants read: what an operator runs.

use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::ColumnarValue;
use nightjar_catalog::{CacheKey, EmbeddingCache};
use nightjar_models::{ClassifierHead, Embeddings, RegressionHead, TextEncoder};

use crate::models::encoder_key;
use crate::{
    CallTexts, EncodePass, EncoderKey, FunctionError, ModelFunction, ModelUdf, Models, ResolvedModel, Result,
    TextColumn, Work,
};

/// A call that needs nothing more from the planner. Shared by all partitions of an operator.
#[derive(Debug)]
pub struct BoundCall {
    name: String,
    function: &'static ModelFunction,
    tolerant: bool,
    /// How many leading arguments are texts.
    texts: usize,
    models: Models,
    model: ResolvedModel,
    labels: Option<Vec<String>>,
    label_embeddings: OnceLock<Embeddings>,
    /// Held from its first use on: the encoder of a statement that runs is not dropped between two of its batches.
    encoder: OnceLock<Arc<TextEncoder>>,
}

impl BoundCall {
    /// Returns the call of `udf` with these argument types and constants (None where an argument varies).
    pub fn new(udf: &ModelUdf, types: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<Self> {
        let function = udf.function();
        let name = datafusion::logical_expr::ScalarUDFImpl::name(udf).to_owned();
        let roles = udf.roles(types, constants)?;
        let labels = match roles.labels {
            None => None,
            Some(index) => Some(read_labels(&name, constants.get(index).copied().flatten())?),
        };
        Ok(Self {
            name,
            function,
            tolerant: udf.tolerant(),
            texts: roles.texts,
            models: udf.models()?.clone(),
            model: udf.resolve(types, constants)?,
            labels,
            label_embeddings: OnceLock::new(),
            encoder: OnceLock::new(),
        })
    }

    /// Returns the function's name in SQL.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the function that is called.
    pub fn function(&self) -> &'static ModelFunction {
        self.function
    }

    /// Returns the model that is called.
    pub fn model(&self) -> &ResolvedModel {
        &self.model
    }

    /// Returns the labels of a zero-shot call.
    pub fn labels(&self) -> Option<&[String]> {
        self.labels.as_deref()
    }

    /// Returns the type of the result.
    pub fn return_type(&self) -> DataType {
        (self.function.returns)(&self.model.card, self.labels.is_some())
    }

    /// Returns the classification head of the model.
    pub fn head(&self) -> Result<Arc<ClassifierHead>> {
        self.models.head(&self.model)
    }

    /// Returns the regression head of the model.
    pub fn regression(&self) -> Result<Arc<RegressionHead>> {
        self.models.regression(&self.model)
    }

    /// Returns the body's encoder and how long loading took, zero where it was loaded already.
    pub fn encoder(&self) -> Result<(Arc<TextEncoder>, Duration)> {
        if let Some(held) = self.encoder.get() {
            return Ok((Arc::clone(held), Duration::ZERO));
        }
        let (encoder, took) = self.models.encoder(&self.model.card, self.model.pinned.precision)?;
        Ok((Arc::clone(self.encoder.get_or_init(|| encoder)), took))
    }

    /// Returns what tells its encoder apart from those of other calls.
    pub fn encoder_key(&self) -> EncoderKey {
        encoder_key(&self.model.card, self.model.pinned.precision)
    }

    /// Opens the store's inference cache of its encoder, which may have `max_bytes`; see [`StoreFiles::open_cache`].
    ///
    /// [`StoreFiles::open_cache`]: nightjar_catalog::StoreFiles::open_cache
    pub fn open_cache(&self, max_bytes: u64) -> EmbeddingCache {
        let (card, precision) = (&self.model.card, self.model.pinned.precision);
        let key = CacheKey::here(card.body, card.encoder.window, card.encoder.dim, precision.name());
        self.models.files().open_cache(key, max_bytes)
    }

    /// Returns the embeddings of the labels of a zero-shot call, in their order; encoded once per call.
    pub fn label_embeddings(&self) -> Result<&Embeddings> {
        if let Some(known) = self.label_embeddings.get() {
            return Ok(known);
        }
        let labels: Vec<&str> = self.labels.iter().flatten().map(String::as_str).collect();
        let embeddings = self.encoder()?.0.embed(&labels)?;
        Ok(self.label_embeddings.get_or_init(|| embeddings))
    }

    /// Returns how many leading arguments are texts.
    pub fn text_arguments(&self) -> usize {
        self.texts
    }

    /// Returns the texts of evaluated arguments, in `rows` rows.
    pub fn texts(&self, args: &[ColumnarValue], rows: usize) -> Result<CallTexts> {
        let columns = args.iter().take(self.texts).map(|arg| {
            let array = arg
                .to_array(rows)
                .map_err(|error| FunctionError::Internal(format!("reading arguments: {error}")))?;
            TextColumn::read(&self.name, &array, self.tolerant)
        });
        Ok(CallTexts::new(columns.collect::<Result<_>>()?, self.function.pairs && self.texts == 2))
    }

    /// Returns the result of the call on `rows` rows. Costs an encoder pass over the distinct texts.
    pub fn evaluate(&self, args: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
        let texts = self.texts(args, rows)?;
        match self.function.work {
            Work::Tokenize(tokenize) => {
                let tokenizer = self.models.tokenizer(&self.model.card)?;
                tokenize(&tokenizer, texts.first())
            }
            Work::Encode(_) => {
                let mut pass = EncodePass::new(&[&texts], None, || Ok(self.encoder()?.0))?;
                pass.encode(|_, _| ControlFlow::Continue(()))?;
                pass.finish(self, 0)
            }
        }
    }
}

fn read_labels(function: &str, value: Option<&ScalarValue>) -> Result<Vec<String>> {
    let invalid =
        |found: &str| FunctionError::Labels { function: function.to_owned(), found: found.to_owned() };
    let value =
        value.ok_or_else(|| FunctionError::NotConstant { function: function.to_owned(), what: "labels" })?;
    let array = value.to_array().map_err(|_| invalid("a value that is no list"))?;
    let list = cast(&array, &DataType::new_list(DataType::Utf8, true))
        .map_err(|_| invalid("a list of non-texts"))?;
    let list = list.as_list::<i32>();
    if list.is_empty() || list.is_null(0) {
        return Err(invalid("NULL"));
    }
    let values = list.value(0);
    let mut labels = Vec::with_capacity(values.len());
    for label in values.as_string::<i32>() {
        let label = label.ok_or_else(|| invalid("a list with a NULL"))?.to_owned();
        if labels.contains(&label) {
            return Err(invalid(&format!("'{label}' twice")));
        }
        labels.push(label);
    }
    match labels.len() {
        0 => Err(invalid("an empty list")),
        1 => Err(invalid("a single label")),
        _ => Ok(labels),
    }
}
