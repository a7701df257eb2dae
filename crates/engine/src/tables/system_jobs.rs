//! The system tables of jobs and their ledger.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, UInt32Array, UInt64Array};
use nightjar_catalog::{CatalogError, JobRun, Store};

use super::system::{Columns, texts, times};

/// How many runs the tables show: the newest.
const RUNS: usize = 100_000;

fn integers(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<Int64Array>())
}

fn counts(values: impl Iterator<Item = Option<u64>>) -> ArrayRef {
    Arc::new(values.collect::<UInt64Array>())
}

/// Seconds between two points in time.
fn seconds(values: impl Iterator<Item = (Option<i64>, Option<i64>)>) -> ArrayRef {
    let seconds = values.map(|(from, to)| Some((to? - from?) as f64 / 1e6));
    Arc::new(seconds.collect::<Float64Array>())
}

pub(super) fn jobs(store: &Store) -> Result<Columns, CatalogError> {
    let (jobs, runs, rules) = store
        .catalog()
        .read_jobs(|ledger| Ok((ledger.jobs()?, ledger.runs(None, RUNS)?, ledger.zone_rules()?)))?;
    // Those of the daemon, which may be another program; before there was one, those by which the first time was found.
    let rules = rules.unwrap_or_else(|| nightjar_zones::rules().to_string());
    // The newest first: the first of a job is its last.
    let mut last: HashMap<&str, &JobRun> = HashMap::new();
    for run in &runs {
        last.entry(&run.job).or_insert(run);
    }
    let last: Vec<Option<&JobRun>> = jobs.iter().map(|job| last.get(job.name.as_str()).copied()).collect();
    let of_last = |text: fn(&JobRun) -> Option<String>| texts(last.iter().map(|run| run.and_then(text)));
    Ok(vec![
        ("name", texts(jobs.iter().map(|job| Some(&job.name)))),
        ("schedule", texts(jobs.iter().map(|job| Some(&job.schedule)))),
        ("status", texts(jobs.iter().map(|job| Some(&job.status)))),
        ("next_run_at", times(jobs.iter().map(|job| job.next_at))),
        ("zone_rules", texts(jobs.iter().map(|_| Some(&rules)))),
        ("last_run_at", times(last.iter().map(|run| run.map(|run| run.scheduled_at)))),
        ("last_status", of_last(|run| Some(run.shown_status().to_owned()))),
        ("last_error", of_last(|run| run.error.clone())),
        ("failures", Arc::new(jobs.iter().map(|job| Some(job.failures)).collect::<UInt32Array>())),
        ("options", texts(jobs.iter().map(|job| Some(&job.options)))),
        ("statement", texts(jobs.iter().map(|job| Some(&job.statement)))),
        ("created_at", times(jobs.iter().map(|job| Some(job.created_at)))),
        ("updated_at", times(jobs.iter().map(|job| Some(job.updated_at)))),
    ])
}

pub(super) fn job_runs(store: &Store) -> Result<Columns, CatalogError> {
    let mut runs = store.catalog().read_jobs(|ledger| ledger.runs(None, RUNS))?;
    runs.reverse();
    Ok(vec![
        ("run_id", integers(runs.iter().map(|run| Some(run.run_id)))),
        ("job", texts(runs.iter().map(|run| Some(&run.job)))),
        ("scheduled_at", times(runs.iter().map(|run| Some(run.scheduled_at)))),
        ("cause", texts(runs.iter().map(|run| Some(&run.cause)))),
        ("after_run", integers(runs.iter().map(|run| run.after_run))),
        ("status", texts(runs.iter().map(|run| Some(run.shown_status())))),
        ("attempt", Arc::new(runs.iter().map(|run| Some(run.attempt)).collect::<UInt32Array>())),
        ("started_at", times(runs.iter().map(|run| run.started_at))),
        ("finished_at", times(runs.iter().map(|run| run.finished_at))),
        ("seconds", seconds(runs.iter().map(|run| (run.started_at, run.finished_at)))),
        ("next_attempt_at", times(runs.iter().map(|run| run.until))),
        ("rows", counts(runs.iter().map(|run| run.rows))),
        ("error", texts(runs.iter().map(|run| run.error.as_ref()))),
    ])
}

pub(super) fn job_run_statements(store: &Store) -> Result<Columns, CatalogError> {
    let statements = store.catalog().read_jobs(|ledger| ledger.statements(None))?;
    let speed = statements.iter().map(|statement| {
        let micros = (statement.finished_at? - statement.started_at).max(1);
        Some(statement.rows? as f64 * 1e6 / micros as f64)
    });
    let speed: ArrayRef = Arc::new(speed.collect::<Float64Array>());
    Ok(vec![
        ("run_id", integers(statements.iter().map(|statement| Some(statement.run_id)))),
        (
            "attempt",
            Arc::new(statements.iter().map(|statement| Some(statement.attempt)).collect::<UInt32Array>()),
        ),
        (
            "position",
            Arc::new(statements.iter().map(|statement| Some(statement.position)).collect::<UInt32Array>()),
        ),
        ("status", texts(statements.iter().map(|statement| Some(&statement.status)))),
        ("started_at", times(statements.iter().map(|statement| Some(statement.started_at)))),
        (
            "seconds",
            seconds(statements.iter().map(|statement| (Some(statement.started_at), statement.finished_at))),
        ),
        ("rows", counts(statements.iter().map(|statement| statement.rows))),
        ("rows_per_second", speed),
        ("error", texts(statements.iter().map(|statement| statement.error.as_ref()))),
        ("statement", texts(statements.iter().map(|statement| Some(&statement.sql)))),
        ("plan", texts(statements.iter().map(|statement| statement.plan.as_ref()))),
    ])
}

pub(super) fn job_skips(store: &Store) -> Result<Columns, CatalogError> {
    let skips = store.catalog().read_jobs(|ledger| ledger.skips(None))?;
    Ok(vec![
        ("job", texts(skips.iter().map(|skip| Some(&skip.job)))),
        ("first_at", times(skips.iter().map(|skip| Some(skip.first_at)))),
        ("last_at", times(skips.iter().map(|skip| Some(skip.last_at)))),
        ("times", counts(skips.iter().map(|skip| Some(skip.times)))),
        ("why", texts(skips.iter().map(|skip| Some(&skip.why)))),
        ("decided_at", times(skips.iter().map(|skip| Some(skip.at)))),
    ])
}
