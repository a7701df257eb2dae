//! `/`: all jobs, the newest runs, and who works.

use nightjar_catalog::{JobLedger, JobRecord, JobRun, Result, Store};

use crate::http::figures;
use crate::http::html::Html;
use crate::http::layout::Page;
use crate::http::state::ExecutorRow;

/// How many jobs a page shows.
const JOBS_A_PAGE: usize = 200;

/// How many of the newest runs are shown.
const RECENT_RUNS: usize = 25;

/// Among how many of a job's newest runs its last error is looked for.
const RUNS_LOOKED_AT: usize = 5;

/// Which jobs are asked for.
pub(in crate::http) struct Selection {
    /// A part of the name, of the schedule or of the status; empty for all.
    pub(in crate::http) text: String,
    /// Which page of them, from 1.
    pub(in crate::http) page: usize,
}

/// Returns the page.
pub(in crate::http) fn jobs(
    store: &Store,
    ready: bool,
    selection: &Selection,
    executors: Option<&[ExecutorRow]>,
    now: i64,
) -> Result<Page> {
    let mut body = Html::default();
    store.catalog().read_jobs(|ledger| {
        let all = ledger.jobs()?;
        summary(&mut body, ledger, &all, ready)?;
        list(&mut body, ledger, &all, selection, now)?;
        body.raw("<h2>Recent runs</h2>");
        runs(&mut body, &ledger.runs(None, RECENT_RUNS)?, true, now);
        Ok(())
    })?;
    if let Some(executors) = executors {
        workers(&mut body, executors, now);
    }
    Ok(Page { title: "Jobs".to_owned(), body, live: true })
}

fn summary(body: &mut Html, ledger: &JobLedger<'_>, all: &[JobRecord], ready: bool) -> Result<()> {
    let of = |status: &str| all.iter().filter(|job| job.status == status).count() as u64;
    let at_work = ledger.jobs_at_work()?.len() as u64;
    body.facts([
        (
            "This daemon",
            Html::of(if ready { "runs the jobs" } else { "stands by: another one has the lease" }),
        ),
        ("Jobs", Html::count(Some(all.len() as u64))),
        ("With open runs", Html::count(Some(at_work))),
        ("Paused", Html::count(Some(of("paused")))),
        ("Time zones", Html::of(nightjar_zones::rules())),
        ("Suspended", Html::count(Some(of("suspended")))),
    ]);
    Ok(())
}

fn list(
    body: &mut Html,
    ledger: &JobLedger<'_>,
    all: &[JobRecord],
    selection: &Selection,
    now: i64,
) -> Result<()> {
    let wanted = selection.text.to_lowercase();
    let fits = |job: &&JobRecord| {
        wanted.is_empty()
            || [&job.name, &job.schedule, &job.status]
                .iter()
                .any(|text| text.to_lowercase().contains(&wanted))
    };
    let found: Vec<&JobRecord> = all.iter().filter(fits).collect();
    let pages = found.len().div_ceil(JOBS_A_PAGE).max(1);
    let page = selection.page.min(pages);
    body.raw("<h2>All jobs</h2><form method=\"get\" action=\"/\" role=\"search\"><input type=\"search\" name=\"q\" ");
    body.raw("aria-label=\"Name, schedule or status\" placeholder=\"Name, schedule or status\" value=\"");
    body.text(&selection.text).raw("\"><button>Filter</button></form>");
    let shown = found.iter().skip((page - 1) * JOBS_A_PAGE).take(JOBS_A_PAGE);
    let rows = shown.map(|job| row(ledger, job, now)).collect::<Result<Vec<_>>>()?;
    let none = match all.is_empty() {
        true => "There are no jobs yet: CREATE JOB makes one.",
        false => "No job has this in its name, schedule or status.",
    };
    let columns = ["Job", "Status", "Schedule", "Next run", "Last run", "Last error"];
    body.table("Jobs by name", columns, none, rows);
    if pages > 1 {
        body.raw("<nav class=\"more\" aria-label=\"Pages of jobs\"><p>Page ")
            .text(page)
            .raw(" of ")
            .text(pages);
        body.raw(", ").text(figures::count(found.len() as u64)).raw(" jobs ");
        for (other, word) in [(page - 1, "← Back"), (page + 1, "On →")] {
            if (1..=pages).contains(&other) {
                body.raw("<a href=\"/?page=").text(other).raw("&amp;q=").encoded(&selection.text);
                body.raw("\">").raw(word).raw("</a> ");
            }
        }
        body.raw("</p></nav>");
    }
    Ok(())
}

fn row(ledger: &JobLedger<'_>, job: &JobRecord, now: i64) -> Result<[Html; 6]> {
    let runs = ledger.runs(Some(&job.name), RUNS_LOOKED_AT)?;
    // A run that has begun anew after a failure has the error of its last attempt.
    let telling = runs.iter().find(|run| run.finished_at.is_some() || run.error.is_some());
    let mut last = Html::default();
    match runs.first() {
        Some(run) => {
            last.add(&Html::status(run.shown_status())).raw(" ").add(&Html::run(run.run_id)).raw("<br>");
            last.add(&Html::time(run.finished_at.or(run.started_at).or(Some(run.created_at)), now));
        }
        None => drop(last.text("never")),
    }
    Ok([
        Html::job(&job.name),
        Html::status(&job.status),
        Html::of(&job.schedule),
        Html::time(job.next_at.filter(|_| job.status == "active"), now),
        last,
        Html::error(telling.and_then(|run| run.error.as_deref())),
    ])
}

/// Adds a table of runs, with the jobs that they are of where that isn't plain.
pub(super) fn runs(body: &mut Html, runs: &[JobRun], with_job: bool, now: i64) {
    let columns = ["Run", "Status", "For", "Began", "Took", "Rows", "Error"];
    let rows = runs.iter().map(|run| {
        let mut name = Html::run(run.run_id);
        if with_job {
            name.raw(" ").add(&Html::job(&run.job));
        }
        let mut status = Html::status(run.shown_status());
        status.raw(" <small>").text(run.cause.replace('_', " ")).raw("</small>");
        [
            name,
            status,
            Html::time(Some(run.scheduled_at), now),
            Html::time(run.started_at, now),
            Html::took(run.started_at, run.finished_at, now),
            Html::count(run.rows),
            Html::error(run.error.as_deref()),
        ]
    });
    body.table("Runs, the newest first", columns, "Nothing has run yet.", rows);
}

fn workers(body: &mut Html, executors: &[ExecutorRow], now: i64) {
    body.raw("<h2>Executors</h2>");
    let rows = executors.iter().map(|executor| {
        [
            Html::of(&executor.id),
            Html::or_none(executor.address.as_deref()),
            Html::of(executor.vcores),
            Html::time(executor.last_heard.map(figures::micros), now),
        ]
    });
    let columns = ["Executor", "Address", "Tasks at once", "Last heard of"];
    body.table("Executors of the cluster", columns, "The scheduler names no executors.", rows);
}
