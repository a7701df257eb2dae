//! `/models`: models with their versions, and training runs.

use nightjar_catalog::{ModelVersion, Result, Store, TrainingRun, TrainingStatus};

use crate::http::figures;
use crate::http::html::Html;
use crate::http::layout::Page;

/// How many versions are shown.
const VERSIONS: usize = 500;

/// How many of the newest training runs are shown.
const TRAININGS: usize = 200;

/// Returns the page.
pub(in crate::http) fn models(store: &Store, now: i64) -> Result<Page> {
    let catalog = store.catalog();
    let (summaries, versions, trainings) =
        (catalog.models()?, catalog.all_versions()?, catalog.training_runs()?);
    let mut body = Html::default();
    let rows = summaries.iter().map(|model| {
        let mut name = Html::of(&model.name);
        name.raw(if model.is_default { " <small>default of its task</small>" } else { "" });
        [
            name,
            Html::of(model.task),
            Html::of(model.current_version),
            Html::count(Some(model.versions)),
            Html::or_none(model.base.as_deref()),
            Html::time(Some(model.updated_at), now),
        ]
    });
    let columns = ["Model", "Task", "Current version", "Versions", "Made from", "Last changed"];
    body.table(
        "Models by name",
        columns,
        "There are no models yet: CREATE MODEL or PULL MODEL makes one.",
        rows,
    );
    body.raw("<h2>Versions</h2>");
    of_versions(&mut body, &versions, now);
    body.raw("<h2>Training runs</h2>");
    of_trainings(&mut body, &trainings, now);
    let live = trainings.iter().any(|run| run.status == TrainingStatus::Running);
    Ok(Page { title: "Models".to_owned(), body, live })
}

fn of_versions(body: &mut Html, versions: &[ModelVersion], now: i64) {
    let rows = versions.iter().take(VERSIONS).map(|version| {
        let mut name = Html::of(version.reference());
        name.raw(if version.current { " <small>current</small>" } else { "" });
        let empty = version.card.metrics.is_empty();
        let mut metrics = if empty { Html::none() } else { Html::default() };
        for (at, (metric, value)) in version.card.metrics.iter().enumerate() {
            metrics.raw(if at > 0 { "<br>" } else { "" }).text(metric).raw(" ").text(figures::value(*value));
        }
        [
            name,
            Html::or_none(version.card.method.as_deref()),
            Html::count(Some(version.card.rows).filter(|rows| *rows > 0)),
            metrics,
            version.run.map_or_else(Html::none, Html::training),
            Html::time(Some(version.created_at), now),
        ]
    });
    let columns = ["Version", "Method", "Rows", "Metrics", "Training", "Made"];
    body.table("Versions of models", columns, "There are none.", rows);
    if versions.len() > VERSIONS {
        body.raw("<p class=\"more\">").text(figures::count((versions.len() - VERSIONS) as u64));
        body.raw(" more are in nightjar.model_versions.</p>");
    }
}

fn of_trainings(body: &mut Html, trainings: &[TrainingRun], now: i64) {
    let rows = trainings.iter().rev().take(TRAININGS).map(|run| {
        // Of one whose process died nobody knows when it ended.
        let known = run.finished_at.is_some() || run.status == TrainingStatus::Running;
        let began = Some(run.started_at).filter(|_| known);
        [
            Html::training(run.run_id),
            Html::of(&run.model),
            Html::status(run.status.as_str()),
            Html::count(run.rows),
            Html::time(Some(run.started_at), now),
            Html::took(began, run.finished_at, now),
            Html::error(run.error.as_deref()),
        ]
    });
    let columns = ["Training", "Model", "Status", "Rows", "Began", "Took", "Error"];
    body.table("Training runs, the newest first", columns, "Nothing was trained yet.", rows);
}
