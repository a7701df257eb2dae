//! `/runs/<id>`: what a run did, attempt by attempt.

use nightjar_catalog::{JobRun, JobRunLine, JobRunStatement, Result, Store};

use crate::http::figures;
use crate::http::html::Html;
use crate::http::layout::Page;

/// How many of the last lines of a run's log are shown.
const LINES: usize = 1_000;

/// Returns the page.
///
/// # Errors
/// A run that is not in the ledger.
pub(in crate::http) fn run(store: &Store, run: i64, now: i64) -> Result<Page> {
    let (run, statements, lines) = store
        .catalog()
        .read_jobs(|ledger| Ok((ledger.run(run)?, ledger.statements(Some(run))?, ledger.lines(run)?)))?;
    let mut body = Html::default();
    about(&mut body, &run, now);
    let mut attempt = None;
    body.raw("<h2>Statements</h2>");
    if statements.is_empty() {
        body.raw("<p class=\"none\">None has begun.</p>");
    }
    for statement in &statements {
        if attempt.replace(statement.attempt) != Some(statement.attempt) {
            body.raw("<h3>Attempt ").text(statement.attempt).raw("</h3>");
        }
        what_it_did(&mut body, statement, now);
    }
    body.raw("<h2>Log</h2>");
    log(&mut body, &lines);
    Ok(Page { title: format!("Run {} of {}", run.run_id, run.job), body, live: run.finished_at.is_none() })
}

fn about(body: &mut Html, run: &JobRun, now: i64) {
    let mut cause = Html::of(run.cause.replace('_', " "));
    if let Some(before) = run.after_run {
        cause.raw(" ").add(&Html::run(before));
    }
    let mut status = Html::status(run.shown_status());
    if let Some(reason) = &run.reason {
        status.raw(" ").text(reason);
    }
    body.facts([
        ("Job", Html::job(&run.job)),
        ("Status", status),
        ("For", Html::time(Some(run.scheduled_at), now)),
        ("Cause", cause),
        ("Opened", Html::time(Some(run.created_at), now)),
        ("Began", Html::time(run.started_at, now)),
        ("Ended", Html::time(run.finished_at, now)),
        ("Took", Html::took(run.started_at, run.finished_at, now)),
        ("Attempt", Html::of(run.attempt)),
        ("Next attempt", Html::time(run.until, now)),
        ("Interruptions", Html::of(run.interruptions)),
        ("Rows", Html::count(run.rows)),
    ]);
    if let Some(error) = &run.error {
        let over = run.finished_at.is_some();
        body.raw(if over { "<h2>Error</h2>" } else { "<h2>Error of the last attempt</h2>" });
        body.add(&Html::error(Some(error)));
    }
}

fn what_it_did(body: &mut Html, statement: &JobRunStatement, now: i64) {
    body.raw("<article>").add(&Html::code(&statement.sql));
    let spent = statement.finished_at.map(|end| end.saturating_sub(statement.started_at));
    body.facts([
        ("Status", Html::status(&statement.status)),
        ("Rows", Html::count(statement.rows)),
        ("Took", Html::took(Some(statement.started_at), statement.finished_at, now)),
        ("Rows a second", Html::count(rate(statement.rows, spent))),
    ]);
    if let Some(error) = &statement.error {
        body.add(&Html::error(Some(error)));
    }
    if let Some(plan) = &statement.plan {
        body.raw("<details><summary>Plan</summary>").add(&Html::code(plan)).raw("</details>");
    }
    body.raw("</article>");
}

/// Returns the rows a second; `None` where there are none or no time went by.
fn rate(rows: Option<u64>, micros: Option<i64>) -> Option<u64> {
    let (rows, micros) = (rows?, micros.filter(|micros| *micros > 0)?);
    (rows > 0).then(|| (rows as f64 / (micros as f64 / 1e6)).round() as u64)
}

fn log(body: &mut Html, lines: &[JobRunLine]) {
    if lines.is_empty() {
        body.raw("<p class=\"none\">It says nothing.</p>");
        return;
    }
    let left_out = lines.len().saturating_sub(LINES);
    if left_out > 0 {
        body.raw("<p class=\"more\">")
            .text(figures::count(left_out as u64))
            .raw(" earlier lines are left out.</p>");
    }
    let mut text = String::new();
    for line in &lines[left_out..] {
        let at = figures::moment(line.at).map_or_else(String::new, |(people, _)| people);
        text.push_str(&format!("{at}  [{}]  {}\n", line.attempt, line.line));
    }
    body.add(&Html::code(&text));
}

#[cfg(test)]
mod tests {
    use super::rate;

    #[test]
    fn rows_a_second_need_rows_and_time() {
        assert_eq!(rate(Some(500), Some(250_000)), Some(2_000));
        assert_eq!(
            [rate(None, Some(1)), rate(Some(1), None), rate(Some(1), Some(0)), rate(Some(0), Some(1))],
            [None; 4]
        );
    }
}
