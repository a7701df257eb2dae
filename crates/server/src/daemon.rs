//! The daemon: takes the lease, lets schedules come due, begins runs and stops them.
//!
//! What it does follows from the ledger alone. Each pass writes the decisions that time brings in one transaction, and only then begins what is
//! `running` without anybody at it and stops what is `stopping`. So a daemon that is killed forgets nothing: the next one takes the lease,
//! finds the runs that bear an older one, and decides that they were interrupted.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use nightjar_catalog::{Catalog, JobLedger, JobRun, Store};
use nightjar_jobs::{Closed, Event};
use nightjar_statements::{JobError, StatementError, decide, forget_past, now, time_until};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::attempt::{Attempt, Ended};
use crate::error::{DaemonError, Result};
use crate::forgetting::Forgetting;
use crate::notices::Notices;
use crate::pass_times::PassTimes;
use crate::place::Place;

/// How often the ledger is looked at where nothing is due: somebody may have asked for a run.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How often a daemon that stands by asks for the lease.
const STAND_BY: Duration = Duration::from_millis(250);

/// How many jobs one transaction decides about.
const JOBS_AT_A_TIME: usize = 500;

/// How many transactions one pass may take: what is left then is due at once in the next.
const MOST_BATCHES: usize = 200;

/// What runs the jobs of a store.
///
/// It has to run on a runtime of its own: statements may keep every thread of theirs at work for a while, and time goes by meanwhile.
pub struct Daemon {
    store: Store,
    statements: Handle,
    place: Place,
    most_runs: usize,
    ready: Arc<AtomicBool>,
    passes: Arc<PassTimes>,
}

/// A run that this daemon is at.
struct AtWork {
    attempt: u32,
    stop: Option<oneshot::Sender<&'static str>>,
}

/// A daemon with the lease.
struct Holder {
    daemon: Daemon,
    fence: i64,
    at_work: HashMap<i64, AtWork>,
    ended: mpsc::UnboundedReceiver<Ended>,
    ends: mpsc::UnboundedSender<Ended>,
    notices: Notices,
    forgetting: Forgetting,
    /// The number of the last change of a job that was acted on.
    seen: i64,
    /// Whether something may be there to begin although no job has changed.
    look: bool,
}

impl Daemon {
    /// Returns a daemon for the jobs of a store, whose statements run at `place` by the runtime `statements`, at most `most_runs` of
    /// them at once.
    pub fn new(store: Store, place: Place, statements: Handle, most_runs: usize) -> Self {
        Self {
            store,
            statements,
            place,
            most_runs: most_runs.max(1),
            ready: Arc::default(),
            passes: Arc::default(),
        }
    }

    /// Returns what says whether the daemon has the lease.
    pub fn ready(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.ready)
    }

    /// Returns what tells how long passes take.
    pub fn pass_times(&self) -> Arc<PassTimes> {
        Arc::clone(&self.passes)
    }

    /// Runs jobs until `stop`; then begins nothing more, and ends when what is at work has ended, or at `abort`: what is at work then is
    /// begun anew by the next daemon. Where another daemon has the lease, waits for it.
    ///
    /// # Errors
    /// Of the catalog; `LeaseLost` where this process was taken for dead.
    pub async fn serve(self, stop: impl Future<Output = ()>, abort: impl Future<Output = ()>) -> Result<()> {
        let (mut stop, mut abort) = (std::pin::pin!(stop), std::pin::pin!(abort));
        let mut told = false;
        let fence = loop {
            if let Some(fence) = blocking(|| self.store.catalog().take_job_lease())? {
                break fence;
            }
            if !std::mem::replace(&mut told, true) {
                log::warn!("another daemon is at the jobs of this store: this one stands by");
            }
            tokio::select! {
                () = &mut stop => return Ok(()),
                () = tokio::time::sleep(STAND_BY) => {}
            }
        };
        let mut holder = self.hold(fence);
        blocking(|| holder.recover())?;
        holder.daemon.ready.store(true, Ordering::Relaxed);
        loop {
            let wait = match holder.rest()? {
                Some(wait) => wait,
                None => blocking(|| holder.pass().and_then(|wait| holder.forget().map(|_| wait)))?,
            };
            tokio::select! {
                () = &mut stop => break,
                Some(ended) = holder.ended.recv() => drop(blocking(|| holder.end(ended))?),
                () = tokio::time::sleep(wait) => {}
            }
        }
        holder.daemon.ready.store(false, Ordering::Relaxed);
        while !holder.at_work.is_empty() {
            tokio::select! {
                () = &mut abort => break,
                Some(ended) = holder.ended.recv() => drop(blocking(|| holder.end(ended))?),
                // Someone may cancel what is waited for.
                () = tokio::time::sleep(LOOK_EVERY) => blocking(|| holder.stop_what_stops())?,
            }
        }
        // What is still at work ends with the process, and the lease with it: nobody else may be at it before.
        if holder.at_work.is_empty() {
            blocking(|| holder.daemon.store.catalog().give_job_lease_back(fence))?;
        }
        Ok(())
    }

    /// Runs what is due now, and what comes after it, and returns the runs that ended. Retries whose time has not come are left for the
    /// next time. `None` where a daemon is at work.
    ///
    /// # Errors
    /// Of the catalog.
    pub async fn run_due(self) -> Result<Option<Vec<JobRun>>> {
        let Some(fence) = blocking(|| self.store.catalog().take_job_lease())? else { return Ok(None) };
        let mut holder = self.hold(fence);
        blocking(|| holder.recover())?;
        let mut runs = Vec::new();
        loop {
            blocking(|| holder.pass())?;
            if holder.at_work.is_empty() {
                break;
            }
            if let Ok(Some(ended)) = tokio::time::timeout(LOOK_EVERY, holder.ended.recv()).await {
                for run in blocking(|| holder.end(ended))? {
                    runs.push(blocking(|| {
                        holder.daemon.store.catalog().read_jobs(|ledger| ledger.run(run))
                    })?);
                }
            }
        }
        holder.notices.settle().await;
        while blocking(|| holder.forget())? {}
        blocking(|| holder.daemon.store.catalog().give_job_lease_back(fence))?;
        Ok(Some(runs))
    }

    fn hold(self, fence: i64) -> Holder {
        let (ends, ended) = mpsc::unbounded_channel();
        let notices = Notices::new(self.store.clone());
        let (at_work, forgetting) = (HashMap::new(), Forgetting::default());
        Holder { daemon: self, fence, at_work, ended, ends, notices, forgetting, seen: -1, look: true }
    }
}

/// Runs work on the catalog, which may wait for the disk; other tasks move to another thread.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}

impl Holder {
    fn catalog(&self) -> &Catalog {
        self.daemon.store.catalog()
    }

    /// Decides about the runs that another daemon was at when it ended, and looks again for the next times if it went by other rules of time zones.
    fn recover(&self) -> Result<()> {
        self.change(|ledger, fence| {
            ledger.heed_zone_rules(&nightjar_zones::rules().to_string(), now().timestamp_micros())?;
            for name in ledger.jobs_at_work()? {
                for mut run in ledger.open_runs(&name)? {
                    let at_work = matches!(run.status.as_str(), "running" | "stopping");
                    if at_work && run.fence.is_some_and(|other| other != fence) {
                        let line = "the daemon ended in the middle of this attempt";
                        ledger.log(run.run_id, run.attempt, now().timestamp_micros(), line)?;
                        // What is said of the run should this have been its last attempt.
                        run.error = Some(line.to_owned());
                        ledger.put_run(&run)?;
                        ledger.end_statements(run.run_id, now().timestamp_micros(), line)?;
                        decide(ledger, &name, Event::Interrupted { run: run.run_id }, now())?;
                    }
                }
            }
            Ok(())
        })
    }

    /// Changes the ledger, unless another daemon has the lease.
    fn change<T>(&self, work: impl FnOnce(&JobLedger<'_>, i64) -> Result<T>) -> Result<T> {
        self.catalog().change_jobs(|ledger| {
            ledger.hold(self.fence)?;
            work(ledger, self.fence)
        })
    }

    /// Returns how long there is nothing to do, where there is nothing now. Twenty times a second: it reads two numbers of the catalog,
    /// and no other task is moved away from this thread meanwhile.
    fn rest(&self) -> Result<Option<Duration>> {
        if self.look || self.notices.are_pending() || self.forgetting.is_due() {
            return Ok(None);
        }
        let (next, change) =
            self.catalog().read_jobs(|ledger| Ok((ledger.wakes_at()?, ledger.last_change()?)))?;
        let wait = next.map_or(LOOK_EVERY, |next| time_until(next).min(LOOK_EVERY));
        Ok((change == self.seen && !wait.is_zero()).then_some(wait))
    }

    /// Lets time go by, begins and stops what follows from it, and returns how long there is nothing to do.
    fn pass(&mut self) -> Result<Duration> {
        let (at, began) = (now(), Instant::now());
        let look = |ledger: &JobLedger<'_>| Ok((ledger.wakes_at()?, ledger.last_change()?));
        let (mut next, mut change) = self.catalog().read_jobs(look)?;
        for _ in 0..MOST_BATCHES {
            if next.is_none_or(|next| next > at.timestamp_micros()) {
                break;
            }
            (next, change) = self.change(|ledger, _| {
                for name in ledger.due(at.timestamp_micros(), JOBS_AT_A_TIME)? {
                    tick(ledger, &name, at)?;
                }
                Ok(look(ledger)?)
            })?;
        }
        if change != self.seen || self.look {
            (self.seen, self.look) = (change, false);
            self.begin_what_runs()?;
            self.stop_what_stops()?;
            self.notices.look()?;
            self.daemon.passes.count(began.elapsed());
        } else if self.notices.are_pending() {
            self.notices.look()?;
        }
        let until = next.map(time_until);
        Ok(until.map_or(LOOK_EVERY, |until| until.min(LOOK_EVERY)))
    }

    /// Removes some of what jobs do not keep of their past. Returns whether there may be more.
    fn forget(&mut self) -> Result<bool> {
        let (store, fence) = (self.daemon.store.clone(), self.fence);
        self.forgetting.go_on(|after| {
            store.catalog().change_jobs(|ledger| {
                ledger.hold(fence)?;
                Ok(forget_past(ledger, after, now())?)
            })
        })
    }

    /// Begins the runs that nobody is at, as far as there is room.
    fn begin_what_runs(&mut self) -> Result<()> {
        let (fence, room) = (self.fence, self.daemon.most_runs.saturating_sub(self.at_work.len()));
        if room == 0 {
            return Ok(());
        }
        let at = now();
        let waiting = self.catalog().read_jobs(|ledger| ledger.unclaimed_runs(room))?;
        if waiting.is_empty() {
            return Ok(());
        }
        let claimed = self.change(|ledger, _| {
            let mut claimed = Vec::new();
            for mut run in ledger.unclaimed_runs(room)? {
                if run.status == "stopping" {
                    // It was cancelled before anybody was at it.
                    decide(ledger, &run.job, Event::Ended { run: run.run_id, succeeded: false }, at)?;
                    continue;
                }
                let body = ledger.keep_body(&run)?;
                (run.fence, run.since, run.error) = (Some(fence), Some(at.timestamp_micros()), None);
                run.started_at = run.started_at.or(run.since);
                ledger.put_run(&run)?;
                ledger.log(
                    run.run_id,
                    run.attempt,
                    at.timestamp_micros(),
                    &format!("attempt {} begins", run.attempt),
                )?;
                claimed.push((run, body));
            }
            Ok(claimed)
        })?;
        for (run, body) in claimed {
            let (stop, stopped) = oneshot::channel();
            self.at_work.insert(run.run_id, AtWork { attempt: run.attempt, stop: Some(stop) });
            let attempt = Attempt {
                store: self.daemon.store.clone(),
                place: self.daemon.place.clone(),
                fence,
                body: serde_json::from_str(&body).unwrap_or_default(),
                run,
            };
            attempt.begin(&self.daemon.statements, stopped, self.ends.clone());
        }
        Ok(())
    }

    /// Stops the attempts of runs that are to stop, or that are over although this daemon is at them.
    fn stop_what_stops(&mut self) -> Result<()> {
        if self.at_work.is_empty() {
            return Ok(());
        }
        // In one transaction: each would wait for what attempts are writing.
        let ids: Vec<_> = self.at_work.keys().copied().collect();
        let runs = self
            .catalog()
            .read_jobs(|ledger| ids.iter().map(|run| ledger.run(*run)).collect::<Result<Vec<_>, _>>())?;
        for run in runs {
            let Some(at_work) = self.at_work.get_mut(&run.run_id) else { continue };
            let reason = match (run.status.as_str(), run.reason.as_deref()) {
                ("stopping", Some("timeout")) => "it took longer than the job's timeout",
                ("stopping", _) => "it was cancelled",
                _ if run.finished_at.is_some() => "its job was dropped",
                _ => continue,
            };
            if let Some(stop) = at_work.stop.take() {
                // One that has just ended hears nothing more.
                let _ = stop.send(reason);
            }
        }
        Ok(())
    }

    /// Writes down how attempts ended, and what follows: this one, and those that have ended by now, in one transaction. Each would wait for
    /// the disk otherwise, and time waits with them. Returns their runs.
    fn end(&mut self, first: Ended) -> Result<Vec<i64>> {
        self.look = true;
        let mut ended = vec![first];
        while ended.len() < JOBS_AT_A_TIME
            && let Ok(other) = self.ended.try_recv()
        {
            ended.push(other);
        }
        ended.retain(|ended| {
            self.at_work.get(&ended.run).is_some_and(|at_work| at_work.attempt == ended.attempt)
        });
        for ended in &ended {
            self.at_work.remove(&ended.run);
        }
        self.change(|ledger, _| ended.iter().try_for_each(|ended| close_attempt(ledger, ended)))?;
        Ok(ended.iter().map(|ended| ended.run).collect())
    }
}

fn close_attempt(ledger: &JobLedger<'_>, ended: &Ended) -> Result<()> {
    let mut run = ledger.run(ended.run)?;
    if run.finished_at.is_some() {
        return Ok(());
    }
    let at = now();
    let (succeeded, line) = match &ended.outcome {
        Ok(rows) => {
            run.rows = Some(*rows);
            (true, format!("attempt {} succeeded", run.attempt))
        }
        Err(error) => {
            log::warn!("run {} of job {}: attempt {} failed: {error}", run.run_id, run.job, run.attempt);
            run.error = Some(error.clone());
            (false, format!("attempt {} failed: {error}", run.attempt))
        }
    };
    ledger.put_run(&run)?;
    ledger.log(run.run_id, run.attempt, at.timestamp_micros(), &line)?;
    decide(ledger, &run.job, Event::Ended { run: run.run_id, succeeded }, at)?;
    Ok(())
}

/// Lets time go by for one job. One whose record can't be read is suspended, so that the others go on.
fn tick(ledger: &JobLedger<'_>, name: &str, at: DateTime<Utc>) -> Result<()> {
    match decide(ledger, name, Event::Tick, at) {
        Ok(_) => Ok(()),
        Err(error @ StatementError::Job(JobError::Unreadable { .. })) => {
            log::error!("job {name} is suspended: {error}");
            let mut record = ledger.job(name)?;
            (record.status, record.wakes_at, record.next_at) = ("suspended".to_owned(), None, None);
            Ok(ledger.put(&record)?)
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns how the runs of a pass ended, as the word of an exit status: whether any has failed.
pub fn any_failed(runs: &[JobRun]) -> bool {
    runs.iter().any(|run| !matches!(closed(run), Some(Closed::Succeeded)))
}

fn closed(run: &JobRun) -> Option<Closed> {
    match run.status.as_str() {
        "succeeded" => Some(Closed::Succeeded),
        "failed" => Some(Closed::Failed),
        "cancelled" => Some(Closed::Cancelled),
        _ => None,
    }
}

/// The errors of the ledger are the daemon's.
impl From<nightjar_catalog::CatalogError> for DaemonError {
    fn from(error: nightjar_catalog::CatalogError) -> Self {
        Self::Catalog(error)
    }
}
