//! `/training/<run>`: a training run, its curve and its metrics.

use std::collections::BTreeMap;

use nightjar_catalog::{Result, RunId, Store, TrainingMetric, TrainingStatus};

use crate::http::html::Html;
use crate::http::layout::Page;
use crate::http::{chart, figures};

/// Returns the page; `None` if there is no such run.
pub(in crate::http) fn training(store: &Store, run: RunId, now: i64) -> Result<Option<Page>> {
    let catalog = store.catalog();
    let Some(training) = catalog.training_runs()?.into_iter().find(|training| training.run_id == run) else {
        return Ok(None);
    };
    let metrics = catalog.run_metrics(run)?;
    let warnings = catalog.training_warnings()?;
    let mut body = Html::default();
    // Of one whose process died nobody knows when it ended.
    let known = training.finished_at.is_some() || training.status == TrainingStatus::Running;
    let began = Some(training.started_at).filter(|_| known);
    body.facts([
        ("Model", Html::of(&training.model)),
        ("Version", training.version.map_or_else(Html::none, Html::of)),
        ("Status", Html::status(training.status.as_str())),
        ("Rows", Html::count(training.rows)),
        ("Began", Html::time(Some(training.started_at), now)),
        ("Took", Html::took(began, training.finished_at, now)),
    ]);
    if let Some(error) = &training.error {
        body.add(&Html::error(Some(error)));
    }
    body.raw("<h2>Loss</h2>");
    match chart::losses(&metrics) {
        Some(chart) => drop(body.add(&chart)),
        None => drop(body.raw("<p class=\"none\">No loss was recorded.</p>")),
    }
    body.raw("<h2>Metrics</h2>");
    table(&mut body, &metrics);
    let found = warnings.iter().filter(|(of, _)| *of == run);
    body.raw("<h2>What the checks found</h2>");
    let rows = found.map(|(_, warning)| {
        [Html::of(&warning.check), Html::count(Some(warning.rows)), Html::of(&warning.message)]
    });
    body.table("Warnings", ["Check", "Rows", "What"], "Nothing.", rows);
    body.raw("<h2>Statement</h2>").add(&Html::code(&training.statement));
    let title = format!("Training run {run} of {}", training.model);
    Ok(Some(Page { title, body, live: training.status == TrainingStatus::Running }))
}

/// The first, the last and the extreme values of a metric.
struct Extent {
    step: i64,
    last: f64,
    lowest: f64,
    highest: f64,
}

fn table(body: &mut Html, metrics: &[TrainingMetric]) {
    let mut extents: BTreeMap<&str, Extent> = BTreeMap::new();
    for metric in metrics {
        let (step, last) = (metric.step, metric.value);
        let extent =
            extents.entry(&metric.name).or_insert(Extent { step, last, lowest: last, highest: last });
        // min and max leave NaN out.
        *extent = Extent { step, last, lowest: extent.lowest.min(last), highest: extent.highest.max(last) };
    }
    let rows = extents.iter().map(|(name, extent)| {
        let values =
            [extent.last, extent.lowest, extent.highest].map(|value| Html::of(figures::value(value)));
        let [last, lowest, highest] = values;
        [Html::of(name), Html::of(extent.step), last, lowest, highest]
    });
    let columns = ["Metric", "Last step", "Last", "Lowest", "Highest"];
    body.table("Metrics of the run", columns, "None was recorded.", rows);
}
