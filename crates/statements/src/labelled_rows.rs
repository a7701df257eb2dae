//! Labelled rows: which column is what, as training and evaluation read them, and the plan that embeds them to learn.

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Float32Type, Float64Type, Schema};
use datafusion::logical_expr::{Expr, ScalarUDF, cast, ident, lit};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::DataFrame;
use futures::TryStreamExt;
use nightjar_catalog::{Digest, Task};
use nightjar_functions::{LabelLists, ModelUdf, PinnedModel, TextColumn, registry};
use nightjar_models::Embeddings;
use std::sync::Arc;

use crate::error::{Result, StatementError};
use crate::label_set::{label_set, label_set_type};
use crate::pair_roles::Score;
use crate::plan_progress::execute_watched;
use crate::training_error::TrainingError;
use crate::{StatementContext, plan_progress, truncated_texts};
use nightjar_sql::{Method, quote_identifier};

/// Which columns of a query are the text and the target, and the task that follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Roles {
    pub(crate) text: String,
    /// The second text of a pair.
    pub(crate) second: Option<String>,
    /// The column to learn; none for pairs without scores.
    pub(crate) target: Option<String>,
    pub(crate) task: Task,
    /// Whether the target is a list of labels.
    pub(crate) multi_label: bool,
}

/// The column that is the target where none is named.
pub(crate) const DEFAULT_TARGET: &str = "label";

impl Roles {
    /// Returns the roles of a query's columns: the target by name, the text as the one other column. The methods that
    /// move the encoder also read two texts, in the order of the columns.
    ///
    /// Text, boolean and integer targets are labels, and so are lists of them; floats are numbers; `task` overrides. Task 'embed' reads pairs.
    pub(crate) fn of(
        schema: &Schema,
        target: Option<&str>,
        task: Option<Task>,
        method: Method,
    ) -> Result<Self> {
        if task == Some(Task::Embed) {
            return Self::of_pairs(schema, target.map_or(Score::Found, Score::Named));
        }
        let target = target.unwrap_or(DEFAULT_TARGET);
        let fields = schema.fields();
        let Some(field) = fields.iter().find(|field| field.name() == target) else {
            let columns = fields.iter().map(|field| field.name().clone()).collect();
            return Err(TrainingError::NoTarget { target: target.to_owned(), columns }.into());
        };
        let multi_label = LabelLists::accepts(field.data_type());
        let task = task_of(target, field.data_type(), task)?;
        let others = || fields.iter().filter(|field| field.name() != target);
        let texts: Vec<String> = others()
            .filter(|field| TextColumn::accepts(field.data_type()))
            .map(|field| field.name().clone())
            .collect();
        let extra: Vec<String> = others()
            .filter(|field| !TextColumn::accepts(field.data_type()))
            .map(|field| format!("{} ({})", field.name(), field.data_type()))
            .collect();
        let target = target.to_owned();
        if !extra.is_empty() {
            let text = texts.first().filter(|_| texts.len() == 1).map(|text| quote_identifier(text));
            return Err(TrainingError::ExtraColumns { columns: extra, text, target }.into());
        }
        match texts.as_slice() {
            [] => Err(TrainingError::NoInput { target }.into()),
            [text] => Ok(Self { text: text.clone(), second: None, target: Some(target), task, multi_label }),
            [text, second] if method != Method::Head => Ok(Self {
                text: text.clone(),
                second: Some(second.clone()),
                target: Some(target),
                task,
                multi_label,
            }),
            _ => Err(TrainingError::SeveralTexts { columns: texts, target, method }.into()),
        }
    }

    /// Returns the text columns.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.text.as_str()).chain(self.second.as_deref())
    }

    /// Returns the name of the target, for a message about it.
    pub(crate) fn target_name(&self) -> &str {
        self.target.as_deref().unwrap_or_default()
    }

    /// Whether the target is a whole number, which can be a label and a number.
    pub(crate) fn target_is_integer(&self, schema: &Schema) -> bool {
        let field = schema.field_with_name(self.target_name());
        field.is_ok_and(|field| field.data_type().is_integer())
    }

    /// Refuses a target that is a list of labels where the model learns one label a row, and the other way round.
    pub(crate) fn check_multi_label(&self, schema: &Schema, multi_label: bool) -> Result<()> {
        if self.multi_label == multi_label {
            return Ok(());
        }
        let target = self.target_name().to_owned();
        let found = schema.field_with_name(&target).map(|field| field.data_type().to_string());
        Err(TrainingError::OtherTarget { target, found: found.unwrap_or_default(), multi_label }.into())
    }

    /// Returns the target as the task reads it: text or a set of texts for labels, Float64 for numbers. Pairs without scores are all alike.
    pub(crate) fn target_expr(&self) -> Expr {
        match &self.target {
            Some(target) if self.multi_label => label_set().call(vec![ident(target)]),
            Some(target) => cast(ident(target), self.target_type()),
            None => lit(1.0),
        }
    }

    /// Returns the type of that.
    pub(crate) fn target_type(&self) -> DataType {
        match self.task {
            Task::Classify if self.multi_label => label_set_type(),
            Task::Classify => DataType::Utf8,
            Task::Regress | Task::Embed => DataType::Float64,
        }
    }
}

/// Returns the task that a target is for: the one asked for, else by its type.
fn task_of(target: &str, found: &DataType, asked: Option<Task>) -> Result<Task> {
    let is_list = found.is_nested() && !matches!(found, DataType::Struct(_) | DataType::Map(..));
    let by_type = match is_list {
        true => LabelLists::accepts(found).then_some(Task::Classify),
        false => task_by_type(found),
    };
    let (target, type_name) = (target.to_owned(), found.to_string());
    match by_type {
        None if is_list => {
            let nested = type_name.matches("List(").count() > 1;
            Err(TrainingError::TargetListType { target, found: type_name, nested }.into())
        }
        None => Err(TrainingError::TargetType { target, found: type_name }.into()),
        Some(_) if is_list && asked == Some(Task::Regress) => {
            Err(TrainingError::TargetNotNumber { target, found: type_name }.into())
        }
        Some(by_type) => Ok(asked.unwrap_or(by_type)),
    }
}

fn task_by_type(target: &DataType) -> Option<Task> {
    match target {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Boolean => Some(Task::Classify),
        DataType::Dictionary(_, values) => task_by_type(values),
        other if other.is_integer() => Some(Task::Classify),
        other if other.is_floating() || other.is_decimal() => Some(Task::Regress),
        _ => None,
    }
}

/// Returns a call of one of our functions on columns, with its model pinned.
pub(crate) fn model_call(
    context: &StatementContext,
    function: &str,
    texts: &[&str],
    model: &PinnedModel,
) -> Result<Expr> {
    let found = registry::MODEL_FUNCTIONS.iter().find(|known| known.doc.name == function);
    let function =
        found.ok_or_else(|| StatementError::Internal(format!("no function is called {function}")))?;
    let udf = ScalarUDF::from(ModelUdf::new(function, false, Some(context.models.clone())));
    let texts = texts.iter().map(|text| ident(*text));
    Ok(udf.call(texts.chain([lit(model.to_string())]).collect()))
}

/// Warns of the texts that a plan which has run truncated, if any.
pub(crate) fn warn_of_truncated(
    context: &StatementContext,
    plan: &dyn ExecutionPlan,
    model: &PinnedModel,
) -> Result<()> {
    let truncated = truncated_texts(plan);
    if truncated > 0 {
        let model =
            context.models.resolve("embed", Some(&model.to_string()), Task::Embed, &context.options())?;
        let window = model.card.encoder.window;
        context.watch.warn(&format!(
            "{truncated} texts were longer than the window of {window} tokens and were truncated"
        ));
    }
    Ok(())
}

/// The targets of embedded rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Targets {
    /// A class per row, indices into the labels in sorted order.
    Labels { labels: Vec<String>, classes: Vec<u32> },
    /// Any number of classes per row, ascending.
    LabelLists { labels: Vec<String>, sets: Vec<Vec<u32>> },
    /// A number per row.
    Numbers(Vec<f64>),
}

/// Embedded rows in canonical order: by the digest of text and target, so that neither partitioning nor the
/// order of files changes what is learned.
#[derive(Debug)]
pub(crate) struct LabelledRows {
    /// The digest of each row's text and target.
    pub(crate) keys: Vec<Digest>,
    pub(crate) embeddings: Embeddings,
    pub(crate) targets: Targets,
    /// Rows left out because their text or target is NULL.
    pub(crate) skipped: u64,
}

struct Row {
    key: Digest,
    start: usize,
    target: RowTarget,
}

/// A row's target as it is read.
enum RowTarget {
    /// A label, or the bits of a number.
    Text(String),
    /// The set of a list of labels.
    Labels(Vec<String>),
}

impl RowTarget {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Labels(_) => "",
        }
    }

    /// Returns the labels of a list; none otherwise.
    fn labels(&self) -> &[String] {
        match self {
            Self::Text(_) => &[],
            Self::Labels(labels) => labels,
        }
    }

    /// Returns the digest of the row, as `row_key` makes it.
    fn key(&self, text: &str) -> Digest {
        let mut bytes = format!("{text}\0").into_bytes();
        match self {
            Self::Text(target) => bytes.extend_from_slice(target.as_bytes()),
            Self::Labels(labels) => labels.iter().for_each(|label| {
                bytes.extend_from_slice(&(label.len() as u64).to_le_bytes());
                bytes.extend_from_slice(label.as_bytes());
            }),
        }
        Digest::of(&bytes)
    }
}

impl LabelledRows {
    /// Returns the plan that embeds the rows: text, embedding, target.
    pub(crate) fn plan(
        context: &StatementContext,
        rows: DataFrame,
        roles: &Roles,
        model: &PinnedModel,
    ) -> Result<DataFrame> {
        let embedding = model_call(context, "embed", &[&roles.text], model)?.alias("embedding");
        let text = cast(ident(&roles.text), DataType::Utf8).alias("text");
        Ok(rows.select(vec![text, embedding, roles.target_expr().alias("target")])?)
    }

    /// Runs that plan and returns the rows. Memory: 4 bytes per row and dimension, and 100 per row.
    pub(crate) async fn embed(
        context: &StatementContext,
        rows: DataFrame,
        roles: &Roles,
        model: &PinnedModel,
        purpose: &'static str,
    ) -> Result<Self> {
        let plan = Self::plan(context, rows, roles, model)?;
        let task_context = Arc::new(plan.task_ctx());
        let plan = plan.create_physical_plan().await?;
        let progress = plan_progress(plan.as_ref());
        context.watch.phase("embedding", progress.unit, progress.total);
        let (mut stream, _watched) = execute_watched(
            Arc::clone(&plan) as Arc<dyn ExecutionPlan>,
            task_context,
            Arc::clone(&context.watch),
        )?;
        let mut values = Vec::new();
        let mut kept = Vec::new();
        let (mut seen, mut null_texts, mut null_targets) = (0, 0, 0);
        while let Some(batch) = stream.try_next().await? {
            seen += batch.num_rows() as u64;
            read_batch(&batch, &mut values, &mut kept, &mut null_texts, &mut null_targets)?;
        }
        warn_of_truncated(context, plan.as_ref(), model)?;
        if seen == 0 {
            return Err(TrainingError::NoRows { purpose }.into());
        }
        if kept.is_empty() {
            let column = if null_targets == seen { roles.target_name() } else { &roles.text };
            return Err(TrainingError::AllNull { rows: seen, purpose, column: column.to_owned() }.into());
        }
        let skipped = seen - kept.len() as u64;
        Self::ordered(kept, values, roles, skipped)
    }

    fn ordered(mut rows: Vec<Row>, values: Vec<f32>, roles: &Roles, skipped: u64) -> Result<Self> {
        rows.sort_by_key(|row| row.key);
        let dim = values.len() / rows.len();
        let mut embeddings = Embeddings::zeros(rows.len(), dim);
        for (index, row) in rows.iter().enumerate() {
            embeddings.data[index * dim..][..dim].copy_from_slice(&values[row.start..][..dim]);
        }
        let targets = match roles.task {
            Task::Regress => Targets::Numbers(numbers(&rows, roles.target_name())?),
            _ if roles.multi_label => label_lists(&rows),
            _ => labels(&rows),
        };
        let keys = rows.iter().map(|row| row.key).collect();
        Ok(Self { keys, embeddings, targets, skipped })
    }

    /// Returns the number of rows.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Returns the digest of all rows: the same rows give the same digest, in whatever order they come.
    pub(crate) fn digest(&self) -> Digest {
        let bytes: Vec<u8> = self.keys.iter().flat_map(|key| key.0).collect();
        Digest::of(&bytes)
    }
}

fn read_batch(
    batch: &RecordBatch,
    values: &mut Vec<f32>,
    kept: &mut Vec<Row>,
    null_texts: &mut u64,
    null_targets: &mut u64,
) -> Result<()> {
    let texts = TextColumn::read("embed", batch.column(0), false)?;
    let embeddings = batch.column(1).as_fixed_size_list();
    let numbers = batch.column(2).as_primitive_opt::<Float64Type>();
    let lists = match LabelLists::accepts(batch.column(2).data_type()) {
        true => Some(LabelLists::read("label", batch.column(2))?),
        false => None,
    };
    let labels = match numbers.is_some() || lists.is_some() {
        true => None,
        false => Some(TextColumn::read("label", batch.column(2), false)?),
    };
    for row in 0..batch.num_rows() {
        let target = match (numbers, &labels, &lists) {
            // Bits, not digits: the canonical text of a number is exact.
            (Some(numbers), ..) => numbers
                .is_valid(row)
                .then(|| RowTarget::Text(format!("{:016x}", numbers.value(row).to_bits()))),
            (None, Some(labels), _) => labels.get(row).map(|label| RowTarget::Text(label.to_owned())),
            (None, None, Some(lists)) => lists
                .get(row)
                .map(|labels| RowTarget::Labels(labels.into_iter().map(str::to_owned).collect())),
            (None, None, None) => None,
        };
        *null_targets += u64::from(target.is_none());
        *null_texts += u64::from(texts.get(row).is_none());
        let (Some(text), Some(target)) = (texts.get(row), target) else {
            continue;
        };
        let start = values.len();
        values.extend_from_slice(embeddings.value(row).as_primitive::<Float32Type>().values());
        kept.push(Row { key: target.key(text), start, target });
    }
    Ok(())
}

fn numbers(rows: &[Row], target: &str) -> Result<Vec<f64>> {
    rows.iter()
        .map(|row| {
            let value = f64::from_bits(u64::from_str_radix(row.target.text(), 16).unwrap_or_default());
            match value.is_finite() {
                true => Ok(value),
                false => Err(TrainingError::NotFinite { target: target.to_owned(), value }.into()),
            }
        })
        .collect()
}

fn labels(rows: &[Row]) -> Targets {
    let mut labels: Vec<String> = rows.iter().map(|row| row.target.text().to_owned()).collect();
    sort_labels(&mut labels);
    labels.dedup();
    let index: std::collections::HashMap<&str, u32> =
        labels.iter().zip(0..).map(|(label, index)| (label.as_str(), index)).collect();
    let classes = rows.iter().map(|row| index[row.target.text()]).collect();
    Targets::Labels { labels, classes }
}

fn label_lists(rows: &[Row]) -> Targets {
    let mut labels: Vec<String> = rows.iter().flat_map(|row| row.target.labels()).cloned().collect();
    sort_labels(&mut labels);
    labels.dedup();
    let index: std::collections::HashMap<&str, u32> =
        labels.iter().zip(0..).map(|(label, index)| (label.as_str(), index)).collect();
    let set = |row: &Row| {
        let mut set: Vec<u32> = row.target.labels().iter().map(|label| index[label.as_str()]).collect();
        set.sort_unstable();
        set
    };
    let sets = rows.iter().map(set).collect();
    Targets::LabelLists { labels, sets }
}

/// Refuses labels that a classifier can't be learned from.
pub(crate) fn check_labels(labels: &[String], rows: usize, target: &str) -> Result<()> {
    if let [label] = labels {
        return Err(TrainingError::OneClass { rows, label: label.clone() }.into());
    }
    // A label that never repeats teaches nothing: this is an identifier, or a text.
    if rows > 20 && labels.len() == rows {
        let (target, classes) = (target.to_owned(), labels.len());
        return Err(TrainingError::TooManyClasses { target, classes, rows }.into());
    }
    Ok(())
}

/// Sorts labels: as numbers where all are whole numbers, else as text.
pub(crate) fn sort_labels(labels: &mut [String]) {
    if labels.iter().all(|label| label.parse::<i64>().is_ok()) {
        labels.sort_by_key(|label| label.parse::<i64>().unwrap_or_default());
    } else {
        labels.sort();
    }
}
