//! Jobs in the catalog, and decisions about them: what [`nightjar_jobs`] decides is written down here, in the transaction that read
//! what it was decided on.
//!
//! Any process may decide. Whoever holds the lease acts: it begins the runs that are `running` and that nobody has begun yet, and stops those that
//! are `stopping`.

use chrono::{DateTime, Utc};
use nightjar_catalog::{JobLedger, JobRecord, JobRun, JobSkip};
use nightjar_jobs::{Action, Cause, Closed, Event, Job, OpenRun, Skipped, Stage, Status, StopReason};

use crate::error::Result;
use crate::job_error::JobError;
use crate::job_options::{JobOptions, options_of_text};
use crate::job_schedule::schedule_of_text;

/// Returns a time of the catalog.
pub fn time(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

const ACTIVE: &str = "active";
const PAUSED: &str = "paused";
const SUSPENDED: &str = "suspended";

/// Returns a job as a value, with its open runs.
///
/// # Errors
/// A record that can't be read back.
pub fn job_of(record: &JobRecord, open: &[JobRun]) -> Result<Job> {
    let unreadable = |what: &'static str| {
        let name = record.name.clone();
        move |error: &dyn std::fmt::Display| JobError::Unreadable { what, name, reason: error.to_string() }
    };
    let schedule = schedule_of_text(&record.schedule).map_err(|error| unreadable("schedule")(&error))?;
    let options = options_of_text(&record.options).map_err(|error| unreadable("option")(&error))?;
    let policy = JobOptions::policy_of(&options, &schedule).map_err(|error| unreadable("option")(&error))?;
    let mut job = Job::new(schedule, policy, time(record.decided_until));
    job.status = match record.status.as_str() {
        PAUSED => Status::Paused,
        SUSPENDED => Status::Suspended,
        _ => Status::Active,
    };
    job.failures = record.failures;
    job.open = open.iter().map(open_run).collect();
    Ok(job)
}

fn open_run(run: &JobRun) -> OpenRun {
    let attempt = run.attempt;
    let stage = match run.status.as_str() {
        // Its time begins when somebody is at it.
        "running" if run.fence.is_none() => Stage::Running { attempt, since: DateTime::<Utc>::MAX_UTC },
        "running" => Stage::Running { attempt, since: time(run.since.unwrap_or(run.created_at)) },
        "stopping" => Stage::Stopping {
            attempt,
            reason: match run.reason.as_deref() {
                Some("timeout") => StopReason::Timeout,
                _ => StopReason::Cancelled,
            },
        },
        "waiting" => Stage::Waiting { attempt, until: time(run.until.unwrap_or(run.created_at)) },
        _ => Stage::Queued,
    };
    let cause = match (run.cause.as_str(), run.after_run) {
        ("catch_up", _) => Cause::CatchUp,
        ("after", Some(run)) => Cause::After(run),
        ("request", _) => Cause::Request,
        _ => Cause::Schedule,
    };
    let (id, scheduled_at) = (run.run_id, time(run.scheduled_at));
    OpenRun { id, scheduled_at, cause, stage, interruptions: run.interruptions }
}

/// Writes into a record what a decision may change of a job.
pub(crate) fn record_job(record: &mut JobRecord, job: &Job) {
    record.status = match job.status {
        Status::Active => ACTIVE,
        Status::Paused => PAUSED,
        Status::Suspended => SUSPENDED,
    }
    .to_owned();
    record.decided_until = job.decided_until.timestamp_micros();
    record.failures = job.failures;
    let active = job.status == Status::Active;
    let next = active.then(|| job.schedule.next_after(job.decided_until)).flatten();
    record.next_at = next.map(|time| time.timestamp_micros());
    record.wakes_at = job.wakes_at().map(|time| time.timestamp_micros());
}

/// Takes what happened to a job, and writes down what follows from it: for the job, its runs, and the jobs that come after it.
///
/// # Errors
/// An unknown job; a record that can't be read back; the catalog.
pub fn decide(ledger: &JobLedger<'_>, name: &str, event: Event, now: DateTime<Utc>) -> Result<Vec<Action>> {
    let before = ledger.job(name)?;
    let mut runs = ledger.open_runs(name)?;
    let mut job = job_of(&before, &runs)?;
    let mut last_run = ledger.last_run()?;
    let actions = job.decide(event, now, &mut last_run);
    let mut record = before.clone();
    record_job(&mut record, &job);
    if record != before || !actions.is_empty() {
        ledger.put(&record)?;
    }
    let at = now.timestamp_micros();
    for action in &actions {
        write_action(ledger, &record, &mut runs, action, at)?;
    }
    for run in &mut runs {
        let Some(open) = job.open.iter().find(|open| open.id == run.run_id) else { continue };
        let was = run.clone();
        record_stage(run, open);
        if *run != was {
            ledger.put_run(run)?;
        }
    }
    for action in &actions {
        if let Action::Close { run, closed } = *action {
            let scheduled_at = time(ledger.run(run)?.scheduled_at);
            for other in ledger.downstream(name)? {
                decide(ledger, &other, Event::Upstream { run, scheduled_at, closed }, now)?;
            }
        }
    }
    Ok(actions)
}

fn record_stage(run: &mut JobRun, open: &OpenRun) {
    run.interruptions = open.interruptions;
    (run.since, run.until, run.reason) = (None, None, None);
    run.status = match open.stage {
        Stage::Queued => "queued",
        Stage::Running { attempt, since } => {
            (run.attempt, run.since) = (attempt, Some(since.timestamp_micros()));
            "running"
        }
        Stage::Stopping { attempt, reason } => {
            run.attempt = attempt;
            run.reason = Some(reason_word(reason).to_owned());
            "stopping"
        }
        Stage::Waiting { attempt, until } => {
            (run.attempt, run.until) = (attempt, Some(until.timestamp_micros()));
            "waiting"
        }
    }
    .to_owned();
}

fn write_action(
    ledger: &JobLedger<'_>,
    job: &JobRecord,
    runs: &mut Vec<JobRun>,
    action: &Action,
    at: i64,
) -> Result<()> {
    let find = |runs: &mut Vec<JobRun>, id: i64| runs.iter().position(|run| run.run_id == id);
    match *action {
        Action::Skip { first, last, times, why } => ledger.skip(&JobSkip {
            job: job.name.clone(),
            first_at: first.timestamp_micros(),
            last_at: last.timestamp_micros(),
            times: times as u64,
            why: why_word(why).to_owned(),
            at,
        })?,
        Action::Open { run, scheduled_at, cause } => {
            let (cause, after_run) = match cause {
                Cause::Schedule => ("schedule", None),
                Cause::CatchUp => ("catch_up", None),
                Cause::After(run) => ("after", Some(run)),
                Cause::Request => ("request", None),
            };
            let opened = JobRun {
                run_id: run,
                job: job.name.clone(),
                scheduled_at: scheduled_at.timestamp_micros(),
                cause: cause.to_owned(),
                after_run,
                status: "queued".to_owned(),
                created_at: at,
                ..JobRun::default()
            };
            ledger.put_run(&opened)?;
            runs.push(opened);
        }
        Action::Start { run, attempt } => {
            if let Some(index) = find(runs, run) {
                let run = &mut runs[index];
                // Nobody is at this attempt yet.
                (run.fence, run.attempt) = (None, attempt);
            }
        }
        Action::Stop { run, reason } => {
            let attempt = find(runs, run).map_or(0, |index| runs[index].attempt);
            ledger.log(run, attempt, at, &format!("told to stop: {}", reason_word(reason)))?;
        }
        Action::Wait { run, until } => {
            let attempt = find(runs, run).map_or(0, |index| runs[index].attempt);
            ledger.log(
                run,
                attempt,
                at,
                &format!("attempt {attempt} ended early; the next one comes at {until}"),
            )?;
        }
        Action::Close { run, closed } => {
            let mut ended = ledger.run(run)?;
            ended.status = closed_word(closed).to_owned();
            (ended.since, ended.until, ended.reason, ended.finished_at) = (None, None, None, Some(at));
            if closed == Closed::Succeeded {
                ended.error = None;
            }
            ledger.put_run(&ended)?;
            ledger.forget_body(run)?;
            runs.retain(|open| open.run_id != run);
            if closed == Closed::Failed {
                let options = JobOptions::read(&options_of_text(&job.options)?)?;
                ledger.put_notice(run, options.on_failure.as_deref())?;
            }
        }
        Action::Suspend { failures } => {
            if let Some(last) = ledger.runs(Some(&job.name), 1)?.first() {
                let line = format!("the job is suspended: {failures} runs have failed in a row");
                ledger.log(last.run_id, last.attempt, at, &line)?;
            }
        }
    }
    Ok(())
}

fn reason_word(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Timeout => "timeout",
        StopReason::Cancelled => "cancelled",
    }
}

fn closed_word(closed: Closed) -> &'static str {
    match closed {
        Closed::Succeeded => "succeeded",
        Closed::Failed => "failed",
        Closed::Cancelled => "cancelled",
    }
}

fn why_word(why: Skipped) -> &'static str {
    match why {
        Skipped::Missed => "missed",
        Skipped::Overlap => "overlap",
        Skipped::Paused => "paused",
        Skipped::Upstream => "upstream",
    }
}
