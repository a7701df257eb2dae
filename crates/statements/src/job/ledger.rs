//! Jobs in the catalog, and decisions about them: what [`nightjar_jobs`] decides is written down here, in the transaction that read
//! what it was decided on.
//!
//! Any process may decide. Whoever holds the lease acts: it begins the runs that are `running` and that nobody has begun yet, and stops those that
//! are `stopping`.
//!
//! # How jobs run
//!
//! `nightjar_jobs` decides: `Job::decide` takes what happened and the time, changes the job and returns
//! what is to be done. `statements/src/job/ledger.rs` is the one place where that is written down: it
//! reads a job's record and open runs, decides, and writes both and every action (a run opened,
//! started, to be stopped, closed; times left out and why) in the same transaction, with the jobs that
//! come after a run that closed. Any process may decide: `RUN JOB`, `PAUSE JOB`, `CANCEL RUN` do.
//!
//! Only who holds the lease acts (`server/src/daemon.rs`). A run that is `running` without a fence is
//! one that nobody is at: the daemon writes its fence into it and begins the attempt. One that is
//! `stopping` it stops. The lease is a row with a number that only grows, and the lock of its owner's
//! mark (`catalog/src/owner.rs`): a process that ends, however it ends, lets go of it. All that an
//! attempt writes checks the number in the same transaction, so a daemon that was taken for dead writes
//! nothing more. On taking the lease, runs with an older fence are decided as interrupted: begun anew
//! at once, five times at most. Nothing is in memory that the ledger does not say, so a kill at any
//! moment loses no scheduled time and doubles none (`tests/tests/jobs.rs`; at its full size, a hundred
//! kills with ten jobs that run each second, and an absence after them, some minutes:
//! `NIGHTJAR_TEST_KILLS=100 NIGHTJAR_TEST_JOBS=10 NIGHTJAR_TEST_AWAY_SECONDS=100 cargo test -p
//! nightjar-tests --test jobs killed_at_any_moment`).
//!
//! The daemon and its pages run on a runtime of their own: a statement may keep all threads of its own
//! at work between two batches, and times come due meanwhile. It looks at the number of the last change
//! of a job every 50 ms, which costs two reads of SQLite, and decides when the earliest `wakes_at` has
//! come. A run keeps the body that it began with, whatever becomes of its job. A run whose turn has
//! come and that no daemon is at is shown as queued, and its `timeout` begins with the daemon. Each
//! attempt has a session of its own; its statements are parsed anew with the run's parameters in their
//! places (`job_body.rs`), relative files having been made absolute when the job was made. Notices of
//! failed runs (`notices.rs`) are kept in the run's row until whoever is to be told has been: at once,
//! then after a second, then twice as late each time. A daemon that is killed after it told and before
//! the ledger knew tells twice; each message bears the run's number.
//!
//! All times are of one clock (`statements/src/clock.rs`): the machine's, or that of a file, by which
//! tests go through weeks in seconds and set it forward and back. A clock that is put forward has
//! missed times, which `catch_up` decides about; one that is put back repeats nothing, and the next
//! time comes when it has caught up (`tests/tests/job_clock.rs`). The rules of zones are the newer ones
//! of the machine's zone files and those that the program carries (`zones`). The lease names them, and
//! a daemon that takes it with others decides all jobs anew. A job is decided until a moment, in UTC,
//! so no moment comes twice; a time that new rules put before the daemon's start was missed, and
//! `catch_up` decides.
//!
//! The ledger forgets (`statements/src/job/past.rs`, `catalog/src/job_past.rs`): beside its passes,
//! from its start and each hour, the daemon goes through the jobs by name, twenty or a hundred runs a
//! transaction, and removes what is beyond `keep_runs` or `keep_for`. What `:previous_success` stands
//! for stays, for each open run and for the next one. Numbers of runs never come again, because SQLite
//! keeps the highest one. How many have ended, and how, are totals that triggers keep
//! (`job_run_totals`): a scrape counts no runs that are over, and the totals never fall.
//!
//! Ten thousand jobs (`benches/jobs.sh`): a change is one transaction, and synced, because a job that
//! was made is not lost by a power cut either; that wait for the disk is most of what a job costs
//! beside its plan. SQLite's `synchronous = NORMAL` would save it, and lose what was committed last.
//! Statements of SQL are prepared once.
//!
//! A body that published its output and was killed before the ledger knew is run again, and must not
//! add twice. So each statement of an attempt is started under an `OutputKey`
//! (`engine/src/write/output_key.rs`): the run, the number of the statement, and a digest of the
//! store's mark and of the run's time, so that several stores may write into one folder. The files that
//! it adds to a folder are called `part-00000-run7s1-<digest>-<random>.parquet`; from the second
//! attempt on, `PublishExec` settles the folder, lists all below it that bears the key, and puts it
//! into the journal as what the new files replace, in the folders of partitions too, and also where the
//! new attempt has no rows. What the earlier attempt has added by the same statement or a later one is
//! not read either (`hide_output.rs`): `WHERE id NOT IN (SELECT id FROM t)` finds again what it found.
//! An overwrite that reads what it replaces is done once: a second attempt that finds its files leaves
//! them. The key is an extension of the task's settings: no user sets it, no plan prints it, and it
//! stays in the coordinator. Right before files become visible the attempt asks the ledger once more
//! whether it holds the lease and its run is still to go on. `RUN JOB` twice are two runs, and add.
//!
//! What surprises: between that last question and the journal an attempt could lose the lease only by
//! the end of its process, because the lease is the lock of a living process; a daemon that is told to
//! stop at once keeps it until its process has gone. A second attempt of INSERT OVERWRITE whose rows
//! are of other partitions than the first one's leaves those empty: what the first has written there
//! goes, and what was there before it is gone. A run in the middle of which the daemon ended six times
//! fails, and says so. What a body writes by other ways than COPY and INSERT knows no keys. A body
//! whose later statement fails has published the earlier ones.

use chrono::{DateTime, Utc};
use nightjar_catalog::{JobLedger, JobRecord, JobRun, JobSkip};
use nightjar_jobs::{Action, Cause, Closed, Event, Job, OpenRun, Skipped, Stage, Status, StopReason};

use crate::error::Result;
use crate::job::error::JobError;
use nightjar_sql::{JobOptions, options_of_text, schedule_of_text};

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
