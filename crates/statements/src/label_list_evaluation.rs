//! Measuring a model whose rows bear any number of labels each: one plan, like that of other models.

use std::collections::BTreeMap;

use datafusion::arrow::array::RecordBatch;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::{Expr, ExprFunctionExt, ident, lit};
use datafusion::prelude::DataFrame;
use nightjar_functions::{PinnedModel, classes_of, expr_fn};
use nightjar_models::{ClassCounts, ClassificationReport};

use crate::StatementContext;
use crate::error::Result;
use crate::evaluation::{
    Metric, SEEN, WITH_TARGET, check_rows, classification, column, number, one_sided, warn_of_unseen,
    whole_number,
};
use crate::labelled_rows::{Roles, model_call, sort_labels};

/// Returns the plan that counts lists of labels against predictions, in one row.
pub(crate) fn plan(
    context: &StatementContext,
    rows: DataFrame,
    roles: &Roles,
    model: &PinnedModel,
) -> Result<DataFrame> {
    let texts: Vec<&str> = roles.texts().collect();
    let call = |function| model_call(context, function, &texts, model);
    // One encoder pass serves both calls.
    let rows = rows.select(vec![
        ident(roles.target_name()).alias("label"),
        call("classify")?.alias("prediction"),
        call("classify_scores")?.alias("scores"),
    ])?;
    let (label, prediction) = (ident("label"), ident("prediction"));
    let counts = label.clone().is_not_null().and(prediction.clone().is_not_null());
    let metric = |function: fn(Expr, Expr) -> Expr, name: &str| {
        function(label.clone(), prediction.clone()).alias(name)
    };
    let measures = vec![
        count(lit(1)).alias(SEEN),
        count(label.clone()).alias(WITH_TARGET),
        count(lit(1)).filter(counts).build()?.alias("rows"),
        metric(expr_fn::accuracy, "accuracy"),
        metric(expr_fn::label_counts, "label_counts"),
        expr_fn::log_loss(label.clone(), ident("scores")).alias("log_loss"),
    ];
    Ok(rows.aggregate(Vec::new(), measures)?)
}

/// Returns the metrics in the row of that plan: of the whole, then of each label that the model knows or a row bears.
pub(crate) fn metrics(
    context: &StatementContext,
    measured: &RecordBatch,
    roles: &Roles,
    known: &[String],
) -> Result<Vec<Metric>> {
    let rows = whole_number(measured, "rows")?;
    check_rows(context, measured, roles, rows)?;
    let mut counted: BTreeMap<String, ClassCounts> =
        classes_of(column(measured, "label_counts")?).into_iter().collect();
    let mut labels: Vec<String> = counted.keys().cloned().collect();
    labels.retain(|label| !known.contains(label));
    sort_labels(&mut labels);
    warn_of_unseen(context, &labels);
    let classes =
        known.iter().chain(&labels).map(|label| (label.clone(), counted.remove(label).unwrap_or_default()));
    let classes: Vec<_> = classes.collect();
    let all = classes.iter().fold(ClassCounts::default(), |all, (_, counts)| all.plus(*counts));
    let metric = |name| Ok::<_, crate::StatementError>(number(measured, name)?.unwrap_or(f64::NAN));
    let report = ClassificationReport {
        rows: rows as usize,
        accuracy: metric("accuracy")?,
        ..ClassificationReport::of_counts(&classes, metric("log_loss")?, None)
    };
    let mut metrics = classification(&report);
    let micro =
        [("micro_precision", all.precision()), ("micro_recall", all.recall()), ("micro_f1", all.f1())];
    let after = metrics.iter().position(|metric| metric.0 == "macro_precision").unwrap_or_default();
    metrics.splice(after..after, micro.map(|(name, value)| (name, None, value)));
    metrics.extend(one_sided(context, &classes, rows));
    Ok(metrics)
}
