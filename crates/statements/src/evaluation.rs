//! Measuring a model on labelled rows.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use datafusion::error::DataFusionError;
use nightjar_catalog::{ModelVersion, Task};
use nightjar_functions::{PinnedModel, ResolvedModel};
use nightjar_models::{ClassificationReport, RegressionReport, classification_report, regression_report};

use crate::error::{Result, StatementError};
use crate::head_training::with_unseen;
use crate::labelled_rows::{LabelledRows, Roles, Targets};
use crate::method::Method;
use crate::training_error::TrainingError;
use crate::{StatementContext, TrainingData};

/// A metric of the whole, or of one class.
pub(crate) type Metric = (&'static str, Option<String>, f64);

/// Returns the model's metrics on the rows: first of the whole, then per class in the order of labels.
///
/// The target is the named column, else the one the model learned, where the rows have it. A label that the model
/// never saw counts as wrong. Rows with a NULL text or target are left out, with a warning.
pub(crate) async fn evaluate(
    context: &StatementContext,
    version: &ModelVersion,
    data: &TrainingData,
    target: Option<&str>,
) -> Result<Vec<Metric>> {
    if version.card.task == Task::Embed {
        return Err(TrainingError::NotEvaluable { model: version.reference().to_string() }.into());
    }
    let rows = context.rows(data).await?;
    let schema = rows.schema().as_arrow().clone();
    let learned = version.card.target.as_deref().filter(|name| schema.column_with_name(name).is_some());
    let roles = Roles::of(&schema, target.or(learned), Some(version.card.task), Method::Head)?;
    let pinned = PinnedModel::from(version);
    let rows = LabelledRows::embed(context, rows, &roles, &pinned, "evaluate on").await?;
    if rows.skipped > 0 {
        let (skipped, text, target) = (rows.skipped, &roles.text, &roles.target);
        context.watch.warn(&format!("{skipped} rows with NULL as {text} or {target} were left out"));
    }
    let model = ResolvedModel { pinned, card: Arc::new(version.card.clone()) };
    match &rows.targets {
        Targets::Labels { labels, .. } => {
            let head = context.models.head(&model)?;
            for unseen in labels.iter().filter(|label| !head.labels.contains(label)) {
                context
                    .watch
                    .warn(&format!("the model has never seen the label '{unseen}'; its rows count as wrong"));
            }
            let (truth, probabilities, labels) = with_unseen(&head, &rows)?;
            Ok(classification(&classification_report(&truth, &probabilities, &labels)?))
        }
        Targets::Numbers(truth) => {
            let predicted = context.models.regression(&model)?.predict(&rows.embeddings);
            Ok(regression(&regression_report(truth, &predicted)?))
        }
    }
}

fn classification(report: &ClassificationReport) -> Vec<Metric> {
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
