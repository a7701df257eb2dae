//! `/jobs/<name>`: a job's statement, its runs and the times it left out.

use nightjar_catalog::{CatalogError, JobRecord, JobSkip, Result, Store};

use super::jobs::runs;
use crate::http::figures;
use crate::http::html::Html;
use crate::http::layout::Page;

/// How many of a job's newest runs are shown.
const RUNS: usize = 100;

/// How many of the newest entries of skipped times are shown.
const SKIPS: usize = 100;

/// Returns the page.
///
/// # Errors
/// A job that neither exists nor has run.
pub(in crate::http) fn job(store: &Store, name: &str, now: i64) -> Result<Page> {
    let mut body = Html::default();
    store.catalog().read_jobs(|ledger| {
        let found = ledger.runs(Some(name), RUNS)?;
        match ledger.job(name) {
            Ok(job) => about(&mut body, &job, &ledger.downstream(name)?, now),
            // The ledger outlives the job.
            Err(CatalogError::JobUnknown { .. }) if !found.is_empty() => {
                body.raw("<p>This job was dropped. What it did is kept.</p>");
            }
            Err(error) => return Err(error),
        }
        body.raw("<h2>Runs</h2>");
        runs(&mut body, &found, false, now);
        body.raw("<h2>Skipped times</h2>");
        skips(&mut body, &ledger.skips(Some(name))?, now);
        Ok(())
    })?;
    Ok(Page { title: name.to_owned(), body, live: true })
}

fn about(body: &mut Html, job: &JobRecord, downstream: &[String], now: i64) {
    let mut before = if downstream.is_empty() { Html::none() } else { Html::default() };
    for (at, other) in downstream.iter().enumerate() {
        before.raw(if at > 0 { ", " } else { "" }).add(&Html::job(other));
    }
    body.facts([
        ("Status", Html::status(&job.status)),
        ("Schedule", Html::of(&job.schedule)),
        ("Next run", Html::time(job.next_at.filter(|_| job.status == "active"), now)),
        ("Comes after", job.upstream.as_deref().map_or_else(Html::none, Html::job)),
        ("Comes before", before),
        ("Failures in a row", Html::of(job.failures)),
        ("Options", Html::or_none(Some(&job.options))),
        ("Made", Html::time(Some(job.created_at), now)),
        ("Last changed", Html::time(Some(job.updated_at), now)),
    ]);
    body.raw("<h2>Statement</h2>").add(&Html::code(&job.statement));
}

fn skips(body: &mut Html, skips: &[JobSkip], now: i64) {
    let rows = skips.iter().rev().take(SKIPS).map(|skip| {
        let mut until = Html::time(Some(skip.last_at), now);
        if skip.first_at == skip.last_at {
            until = Html::none();
        }
        [
            Html::time(Some(skip.first_at), now),
            until,
            Html::of(figures::count(skip.times)),
            Html::of(&skip.why),
            Html::time(Some(skip.at), now),
        ]
    });
    let columns = ["From", "To", "Times", "Why", "Decided"];
    body.table("Scheduled times without a run, the newest first", columns, "None was skipped.", rows);
}
