//! Which of two models is better on the same rows: what `PROMOTE MODEL … IF BETTER` asks.

use nightjar_catalog::{ModelVersion, Task};
use nightjar_sql::{MEASURES, Measure, TrainingData};

use crate::StatementContext;
use crate::error::Result;
use crate::evaluation::{Metric, evaluate};
use crate::training_error::TrainingError;

/// The name that EVALUATE MODEL gives the number of rows.
const ROWS: &str = "rows";

/// Returns the measure by which epochs of a task are compared in training.
fn usual(version: &ModelVersion) -> &'static Measure {
    let name = match version.card.task {
        Task::Classify if version.card.multi_label => "micro_f1",
        Task::Classify => "accuracy",
        Task::Regress => "rmse",
        Task::Embed => "spearman",
    };
    Measure::named(name).unwrap_or(&MEASURES[0])
}

/// How a challenger compares with the current version.
pub(crate) struct Verdict {
    pub(crate) measure: &'static Measure,
    pub(crate) challenger: f64,
    /// None where there is none to compare with.
    pub(crate) current: Option<f64>,
    pub(crate) is_better: bool,
}

/// Measures both models on the rows and compares them. The query runs once for each of them; a challenger is better than none.
///
/// # Errors
/// Those of EVALUATE MODEL; a measure that a model has not on these rows; rows that were not as many the second time.
pub(crate) async fn compare(
    context: &StatementContext,
    challenger: &ModelVersion,
    current: Option<&ModelVersion>,
    data: &TrainingData,
    target: Option<&str>,
    measure: Option<&'static Measure>,
) -> Result<Verdict> {
    let measure = measure.unwrap_or_else(|| usual(challenger));
    let of_challenger = evaluate(context, challenger, data, target).await?;
    let value = measured(&of_challenger, measure.name, challenger)?;
    let Some(current) = current else {
        return Ok(Verdict { measure, challenger: value, current: None, is_better: true });
    };
    let of_current = evaluate(context, current, data, target).await?;
    let than = measured(&of_current, measure.name, current)?;
    let rows = [measured(&of_challenger, ROWS, challenger)?, measured(&of_current, ROWS, current)?];
    if rows[0] != rows[1] {
        let [before, after] = rows.map(|rows| rows as u64);
        return Err(TrainingError::RowsChanged { before, after }.into());
    }
    let is_better = measure.is_better(value, than);
    Ok(Verdict { measure, challenger: value, current: Some(than), is_better })
}

fn measured(metrics: &[Metric], name: &str, model: &ModelVersion) -> Result<f64> {
    let whole = || metrics.iter().filter(|(_, class, _)| class.is_none());
    let found = whole().find(|metric| metric.0 == name).map(|metric| metric.2);
    found.ok_or_else(|| {
        let known = whole().map(|metric| metric.0).filter(|known| *known != ROWS);
        TrainingError::NotMeasured {
            model: model.reference().to_string(),
            name: name.to_owned(),
            known: known.map(str::to_owned).collect(),
        }
        .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn better_is_by_the_measure() {
        let accuracy = Measure::named("Accuracy").unwrap();
        assert!(accuracy.is_better(0.9, 0.8) && !accuracy.is_better(0.8, 0.8));
        let rmse = Measure::named("rmse").unwrap();
        assert!(rmse.is_better(1.0, 2.0) && !rmse.is_better(2.0, 1.0));
        assert!(!accuracy.is_better(f64::NAN, 0.1) && accuracy.is_better(0.1, f64::NAN));
        assert!(!accuracy.is_better(f64::NAN, f64::NAN));
        assert!(Measure::named("acuracy").unwrap_err().to_string().contains("acuracy"));
    }
}
