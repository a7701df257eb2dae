//! Measuring a model on labelled rows: one plan that counts while the model runs, so that memory does not grow with the rows
//! (but by 8 bytes a row for ROC AUC, and 16 for Spearman's correlation).

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type, Schema};
use datafusion::error::DataFusionError;
use datafusion::functions::core::expr_fn::get_field;
use datafusion::functions_aggregate::expr_fn::{count, max};
use datafusion::functions_nested::expr_fn::array_element;
use datafusion::logical_expr::{Expr, ExprFunctionExt, cast, ident, lit};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::DataFrame;
use futures::TryStreamExt;
use nightjar_catalog::{ModelCard, ModelVersion, Task};
use nightjar_functions::{PinnedModel, confusion_matrix_of, expr_fn};
use nightjar_models::{ClassCounts, ClassificationReport, RegressionReport};

use crate::error::{Result, StatementError};
use crate::labelled_rows::{Roles, model_call, sort_labels, warn_of_truncated};
use crate::one_sided::OneSided;
use crate::plan_progress::{execute_watched, plan_progress};
use crate::training_error::TrainingError;
use crate::{StatementContext, label_list_evaluation};
use nightjar_sql::{Method, TrainingData};

/// A metric of the whole, or of one class.
pub(crate) type Metric = (&'static str, Option<String>, f64);

const PURPOSE: &str = "evaluate on";

/// Returns the model's metrics on the rows: first of the whole, then per class in the order of labels.
///
/// The target is the named column, else the one the model learned, where the rows have it. A label that the model
/// never saw counts as wrong. Embeddings are measured by the cosines of pairs against their scores. Rows with a NULL text or
/// target are left out, with a warning.
pub(crate) async fn evaluate(
    context: &StatementContext,
    version: &ModelVersion,
    data: &TrainingData,
    target: Option<&str>,
) -> Result<Vec<Metric>> {
    let rows = context.rows(data).await?;
    let schema = rows.schema().as_arrow().clone();
    let learned = version.card.target.as_deref().filter(|name| schema.column_with_name(name).is_some());
    let roles = roles(&schema, version, target.or(learned))?;
    if roles.target.is_none() {
        return Err(TrainingError::NotEvaluable { model: version.reference().to_string() }.into());
    }
    if version.card.task == Task::Classify {
        roles.check_multi_label(&schema, version.card.multi_label)?;
    }
    let pinned = PinnedModel::from(version);
    match version.card.task {
        Task::Regress => {
            let measured = run(context, regression_plan(context, rows, &roles, &pinned)?, &pinned).await?;
            Ok(regression(&regression_report(context, &measured, &roles)?))
        }
        Task::Embed => {
            let measured = run(context, regression_plan(context, rows, &roles, &pinned)?, &pinned).await?;
            Ok(similarity(&regression_report(context, &measured, &roles)?))
        }
        Task::Classify if version.card.multi_label => {
            let plan = label_list_evaluation::plan(context, rows, &roles, &pinned)?;
            let measured = run(context, plan, &pinned).await?;
            label_list_evaluation::metrics(context, &measured, &roles, &version.card.labels)
        }
        Task::Classify => {
            let labels = &version.card.labels;
            let plan = classification_plan(context, rows, &roles, &pinned, labels)?;
            let measured = run(context, plan, &pinned).await?;
            classification_report(context, &measured, &roles, labels)
        }
    }
}

/// Returns the roles of the rows' columns for a model: two texts are those that it learned, where they have their names, whatever
/// their order.
fn roles(schema: &Schema, version: &ModelVersion, target: Option<&str>) -> Result<Roles> {
    let card = &version.card;
    let mut roles = Roles::of(schema, target, Some(card.task), Method::Full)?;
    if card.task != Task::Embed && card.reads_pairs() != roles.second.is_some() {
        return Err(TrainingError::TextsOfModel {
            model: version.reference().to_string(),
            pairs: card.reads_pairs(),
            inputs: known_inputs(card, schema),
            columns: roles.texts().map(str::to_owned).collect(),
            target: roles.target_name().to_owned(),
        }
        .into());
    }
    if let Some(second) = roles.second.as_mut().filter(|second| card.inputs == [second.as_str(), &roles.text])
    {
        std::mem::swap(second, &mut roles.text);
    }
    Ok(roles)
}

/// Returns the columns that a model was trained on, where a single text's column is among those of the rows.
fn known_inputs(card: &ModelCard, schema: &Schema) -> Vec<String> {
    let has_all = card.inputs.iter().all(|input| schema.column_with_name(input).is_some());
    if card.reads_pairs() || has_all { card.inputs.clone() } else { Vec::new() }
}

// The columns of both plans.
pub(crate) const SEEN: &str = "seen";
pub(crate) const WITH_TARGET: &str = "with_target";

/// Returns the plan that counts labels against predictions, in one row.
fn classification_plan(
    context: &StatementContext,
    rows: DataFrame,
    roles: &Roles,
    model: &PinnedModel,
    labels: &[String],
) -> Result<DataFrame> {
    let texts: Vec<&str> = roles.texts().collect();
    let scores = model_call(context, "classify_scores", &texts, model)?.alias("scores");
    let rows = rows.select(vec![roles.target_expr().alias("label"), scores])?;
    let (label, scores) = (ident("label"), ident("scores"));
    let prediction = get_field(array_element(scores.clone(), lit(1)), "label");
    let mut measures = vec![
        count(lit(1)).alias(SEEN),
        count(label.clone()).alias(WITH_TARGET),
        expr_fn::confusion_matrix(label.clone(), prediction).alias("confusion_matrix"),
        expr_fn::log_loss(label.clone(), scores.clone()).alias("log_loss"),
    ];
    if let [_, positive] = labels {
        measures.push(expr_fn::roc_auc_of(label, scores, positive).alias("roc_auc"));
    }
    Ok(rows.aggregate(Vec::new(), measures)?)
}

fn classification_report(
    context: &StatementContext,
    measured: &RecordBatch,
    roles: &Roles,
    known: &[String],
) -> Result<Vec<Metric>> {
    let counts = confusion_matrix_of(column(measured, "confusion_matrix")?);
    check_rows(context, measured, roles, counts.rows())?;
    let mut found: Vec<String> = counts.labels().map(str::to_owned).collect();
    sort_labels(&mut found);
    let mut labels = known.to_vec();
    labels.extend(found.into_iter().filter(|label| !known.contains(label)));
    warn_of_unseen(context, &labels[known.len()..]);
    let log_loss = number(measured, "log_loss")?.unwrap_or(f64::NAN);
    // With a label that the model never saw there are three classes, and no curve of two.
    let roc_auc = if labels.len() == 2 { number(measured, "roc_auc")? } else { None };
    let mut classes = counts.classes();
    let counted: Vec<_> = labels
        .iter()
        .map(|label| (label.clone(), classes.remove(label.as_str()).unwrap_or_default()))
        .collect();
    let report = ClassificationReport::of_counts(&counted, log_loss, roc_auc);
    let mut metrics = classification(&report);
    metrics.extend(one_sided(context, &counted, report.rows as u64));
    Ok(metrics)
}

/// Warns where one class alone is predicted, or none, of rows that have several; returns the row that says so.
pub(crate) fn one_sided(
    context: &StatementContext,
    classes: &[(String, ClassCounts)],
    rows: u64,
) -> Option<Metric> {
    let predicted: Vec<u64> = classes.iter().map(|(_, counts)| counts.predicted).collect();
    let learned = classes.iter().filter(|(_, counts)| counts.support > 0).count();
    let one_sided = OneSided::of(&predicted).filter(|_| learned > 1)?;
    let labels: Vec<String> = classes.iter().map(|(label, _)| label.clone()).collect();
    context.watch.warn(&one_sided.message(&labels));
    Some(match one_sided {
        OneSided::Nothing => ("predicts_nothing", None, rows as f64),
        OneSided::Only(class) => ("predicts_only", labels.get(class).cloned(), predicted[class] as f64),
    })
}

/// Warns of labels that the model can't give.
pub(crate) fn warn_of_unseen(context: &StatementContext, labels: &[String]) {
    for unseen in labels {
        context
            .watch
            .warn(&format!("the model has never seen the label '{unseen}'; its rows count as wrong"));
    }
}

/// Returns the plan that sums up how predictions compare to the truth, in one row: numbers, or the cosines of pairs to scores.
fn regression_plan(
    context: &StatementContext,
    rows: DataFrame,
    roles: &Roles,
    model: &PinnedModel,
) -> Result<DataFrame> {
    let texts: Vec<&str> = roles.texts().collect();
    let function = if roles.task == Task::Embed { "similarity" } else { "predict" };
    let prediction =
        cast(model_call(context, function, &texts, model)?, DataType::Float64).alias("prediction");
    let rows = rows.select(vec![roles.target_expr().alias("truth"), prediction])?;
    let (truth, prediction) = (ident("truth"), ident("prediction"));
    let counts = truth.clone().is_not_null().and(prediction.clone().is_not_null());
    // NaN is above every number here.
    let not_finite = truth.clone().not_between(lit(f64::MIN), lit(f64::MAX)).and(counts.clone());
    let metric = |function: fn(Expr, Expr) -> Expr, name: &str| {
        function(truth.clone(), prediction.clone()).alias(name)
    };
    let measures = vec![
        count(lit(1)).alias(SEEN),
        count(truth.clone()).alias(WITH_TARGET),
        count(lit(1)).filter(counts).build()?.alias("rows"),
        max(truth.clone()).filter(not_finite).build()?.alias("not_finite"),
        metric(expr_fn::rmse, "rmse"),
        metric(expr_fn::mae, "mae"),
        metric(expr_fn::r2, "r2"),
        metric(expr_fn::pearson, "pearson"),
        metric(expr_fn::spearman, "spearman"),
    ];
    Ok(rows.aggregate(Vec::new(), measures)?)
}

fn regression_report(
    context: &StatementContext,
    measured: &RecordBatch,
    roles: &Roles,
) -> Result<RegressionReport> {
    let rows = whole_number(measured, "rows")?;
    check_rows(context, measured, roles, rows)?;
    if let Some(value) = number(measured, "not_finite")? {
        return Err(TrainingError::NotFinite { target: roles.target_name().to_owned(), value }.into());
    }
    let metric = |name| Ok::<_, StatementError>(number(measured, name)?.unwrap_or(f64::NAN));
    Ok(RegressionReport {
        rows: rows as usize,
        rmse: metric("rmse")?,
        mae: metric("mae")?,
        r2: metric("r2")?,
        pearson: metric("pearson")?,
        spearman: metric("spearman")?,
    })
}

/// Runs a plan of one row, telling how far it has got and how many texts were truncated.
async fn run(context: &StatementContext, plan: DataFrame, model: &PinnedModel) -> Result<RecordBatch> {
    let task_context = Arc::new(plan.task_ctx());
    let plan = plan.create_physical_plan().await?;
    let progress = plan_progress(plan.as_ref());
    context.watch.phase("evaluating", progress.unit, progress.total);
    let running = Arc::clone(&plan) as Arc<dyn ExecutionPlan>;
    let (stream, _watched) = execute_watched(running, task_context, Arc::clone(&context.watch))?;
    let batches: Vec<RecordBatch> = stream.try_collect().await?;
    warn_of_truncated(context, plan.as_ref(), model)?;
    let row = batches.into_iter().find(|batch| batch.num_rows() == 1);
    row.ok_or_else(|| StatementError::Internal("an evaluation without its row".to_owned()))
}

/// Refuses rows of which none counts, and warns of those that don't.
pub(crate) fn check_rows(
    context: &StatementContext,
    measured: &RecordBatch,
    roles: &Roles,
    counted: u64,
) -> Result<()> {
    let seen = whole_number(measured, SEEN)?;
    if seen == 0 {
        return Err(TrainingError::NoRows { purpose: PURPOSE }.into());
    }
    let target = roles.target_name();
    if counted == 0 {
        let column = if whole_number(measured, WITH_TARGET)? == 0 { target } else { &roles.text };
        return Err(TrainingError::AllNull { rows: seen, purpose: PURPOSE, column: column.to_owned() }.into());
    }
    if seen > counted {
        let skipped = seen - counted;
        let columns = roles.texts().chain([target]).collect::<Vec<_>>().join(" or ");
        context.watch.warn(&format!("{skipped} rows with NULL as {columns} were left out"));
    }
    Ok(())
}

pub(crate) fn column<'a>(measured: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    let found = measured.column_by_name(name);
    found.ok_or_else(|| StatementError::Internal(format!("an evaluation without {name}")))
}

pub(crate) fn number(measured: &RecordBatch, name: &str) -> Result<Option<f64>> {
    Ok(column(measured, name)?.as_primitive::<Float64Type>().iter().flatten().next())
}

pub(crate) fn whole_number(measured: &RecordBatch, name: &str) -> Result<u64> {
    Ok(column(measured, name)?.as_primitive::<Int64Type>().iter().flatten().next().unwrap_or_default() as u64)
}

pub(crate) fn classification(report: &ClassificationReport) -> Vec<Metric> {
    let mut metrics: Vec<Metric> = vec![
        ("rows", None, report.rows as f64),
        ("accuracy", None, report.accuracy),
        ("macro_precision", None, report.macro_precision),
        ("macro_recall", None, report.macro_recall),
        ("macro_f1", None, report.macro_f1),
        ("log_loss", None, report.log_loss),
    ];
    metrics.extend(report.roc_auc.map(|value| ("roc_auc", None, value)));
    for class in &report.per_class {
        let label = || Some(class.label.clone());
        metrics.push(("precision", label(), class.precision));
        metrics.push(("recall", label(), class.recall));
        metrics.push(("f1", label(), class.f1));
        metrics.push(("support", label(), class.support as f64));
    }
    metrics
}

fn regression(report: &RegressionReport) -> Vec<Metric> {
    vec![
        ("rows", None, report.rows as f64),
        ("rmse", None, report.rmse),
        ("mae", None, report.mae),
        ("r2", None, report.r2),
        ("pearson", None, report.pearson),
        ("spearman", None, report.spearman),
    ]
}

fn similarity(report: &RegressionReport) -> Vec<Metric> {
    let rows = ("rows", None, report.rows as f64);
    vec![rows, ("pearson", None, report.pearson), ("spearman", None, report.spearman)]
}

/// Returns the rows of EVALUATE: metric, class (NULL for the whole), value.
pub(crate) fn metric_rows(metrics: Vec<Metric>) -> Result<RecordBatch> {
    let columns: [(&str, ArrayRef, bool); 3] = [
        ("metric", Arc::new(StringArray::from_iter_values(metrics.iter().map(|metric| metric.0))), false),
        ("class", Arc::new(metrics.iter().map(|metric| metric.1.as_deref()).collect::<StringArray>()), true),
        (
            "value",
            Arc::new(Float64Array::from_iter_values(metrics.iter().map(|metric| rounded(metric.2)))),
            false,
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns)
        .map_err(|error| StatementError::from(DataFusionError::from(error)))
}

/// Rounds to what a person compares: six decimals. Cards and the history keep every digit.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}
