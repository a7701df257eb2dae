//! What happened, and what is to be done about it.

use chrono::{DateTime, TimeDelta, Utc};

use crate::job::{Cause, Closed, Job, OpenRun, RunId, Stage, Status, StopReason};
use crate::policy::{CatchUp, Overlap};

/// A scheduled time that is decided so much later was missed; one that is decided within it is on time.
const ON_TIME: TimeDelta = TimeDelta::minutes(1);

/// A clock that was put back further than this was wrong before: the schedule begins anew. One that was put back less runs no
/// scheduled time twice.
const CLOCK_WAS_WRONG: TimeDelta = TimeDelta::days(1);

/// How many scheduled times one decision looks at. With more the job wakes again at once.
const SLICE: usize = 1_000;

/// How often a run is begun anew because the daemon ended in the middle of it: perhaps it is what ends the daemon.
const MOST_INTERRUPTIONS: u32 = 5;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Time went by.
    Tick,
    /// Someone asked for a run.
    Requested,
    /// A run of the job that this one comes after is over.
    Upstream {
        /// Its number.
        run: RunId,
        /// The time that it ran for.
        scheduled_at: DateTime<Utc>,
        /// How it ended.
        closed: Closed,
    },
    /// An attempt is over. One that was told to stop and did so has not succeeded.
    Ended {
        /// The run.
        run: RunId,
        /// Whether the body ran to its end.
        succeeded: bool,
    },
    /// The process that an attempt ran in is gone.
    Interrupted {
        /// The run.
        run: RunId,
    },
    /// Someone cancels a run.
    Cancel {
        /// The run.
        run: RunId,
    },
    /// Someone pauses the job.
    Pause,
    /// Someone resumes the job. The times that went by are left out; the count of failures begins anew.
    Resume,
}

/// Why scheduled times are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// Nobody was there, and `catch_up` says so.
    Missed,
    /// An earlier run was not over, and `overlap` says so.
    Overlap,
    /// The job was paused or suspended.
    Paused,
    /// The run that it would have come after did not succeed.
    Upstream,
}

/// What is to be done, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Scheduled times get no run: so many in a row, from the first to the last.
    Skip {
        /// The first of them.
        first: DateTime<Utc>,
        /// The last of them.
        last: DateTime<Utc>,
        /// How many.
        times: usize,
        /// Why.
        why: Skipped,
    },
    /// There is a run. It waits until it is started.
    Open {
        /// Its number.
        run: RunId,
        /// The time that it runs for.
        scheduled_at: DateTime<Utc>,
        /// Why there is this run.
        cause: Cause,
    },
    /// An attempt begins.
    Start {
        /// The run.
        run: RunId,
        /// Its number, from 1.
        attempt: u32,
    },
    /// An attempt is told to stop.
    Stop {
        /// The run.
        run: RunId,
        /// Why.
        reason: StopReason,
    },
    /// An attempt ended early, and there will be another one.
    Wait {
        /// The run.
        run: RunId,
        /// When.
        until: DateTime<Utc>,
    },
    /// A run is over.
    Close {
        /// The run.
        run: RunId,
        /// How it ended.
        closed: Closed,
    },
    /// The job is suspended.
    Suspend {
        /// How many runs have failed in a row.
        failures: u32,
    },
}

/// One decision: the job that changes, the time, and what there is to do so far.
struct Decision<'a> {
    job: &'a mut Job,
    now: DateTime<Utc>,
    last_id: &'a mut RunId,
    actions: Vec<Action>,
}

impl Job {
    /// Takes what happened, changes the job and returns what is to be done. New runs are numbered from `last_id` on.
    ///
    /// An event that does not fit, such as the end of a run that is over, does nothing but let time go by: it may have been on
    /// its way while something else was decided.
    pub fn decide(&mut self, event: Event, now: DateTime<Utc>, last_id: &mut RunId) -> Vec<Action> {
        let mut decision = Decision { job: self, now, last_id, actions: Vec::new() };
        decision.heed_clock();
        decision.take(event);
        decision.come_due();
        decision.time_out();
        decision.start();
        decision.actions
    }
}

impl Decision<'_> {
    /// Nothing waits longer because the clock was put back.
    fn heed_clock(&mut self) {
        let now = self.now;
        if self.job.decided_until - now > CLOCK_WAS_WRONG {
            self.job.decided_until = now;
        }
        for run in &mut self.job.open {
            match &mut run.stage {
                Stage::Running { since, .. } => *since = (*since).min(now),
                Stage::Waiting { attempt, until } => {
                    let longest = now + self.job.policy.wait_after(*attempt).duration();
                    *until = (*until).min(longest);
                }
                Stage::Queued | Stage::Stopping { .. } => {}
            }
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Tick => {}
            Event::Requested => self.open(self.now, Cause::Request),
            Event::Upstream { run, scheduled_at, closed } => {
                if self.job.status != Status::Active {
                    self.skip(&[scheduled_at], Skipped::Paused);
                } else if closed != Closed::Succeeded {
                    self.skip(&[scheduled_at], Skipped::Upstream);
                } else {
                    self.due(scheduled_at, Cause::After(run));
                }
            }
            Event::Ended { run, succeeded } => self.ended(run, succeeded),
            Event::Interrupted { run } => self.interrupted(run),
            Event::Cancel { run } => self.cancel(run),
            Event::Pause => self.job.status = Status::Paused,
            Event::Resume => self.resume(),
        }
    }

    fn open(&mut self, scheduled_at: DateTime<Utc>, cause: Cause) {
        *self.last_id += 1;
        let id = *self.last_id;
        self.job.open.push(OpenRun { id, scheduled_at, cause, stage: Stage::Queued, interruptions: 0 });
        self.actions.push(Action::Open { run: id, scheduled_at, cause });
    }

    /// One entry for all of them, and for those that were left out just before: a daemon that was away for a week has missed
    /// half a million seconds.
    fn skip(&mut self, left_out: &[DateTime<Utc>], why: Skipped) {
        let (Some(first), Some(last)) = (left_out.first().copied(), left_out.last().copied()) else { return };
        let more = left_out.len();
        match self.actions.last_mut() {
            Some(Action::Skip { last: until, times, why: before, .. }) if *before == why => {
                *until = last;
                *times += more;
            }
            _ => self.actions.push(Action::Skip { first, last, times: more, why }),
        }
    }

    /// A time comes while the daemon is there.
    fn due(&mut self, scheduled_at: DateTime<Utc>, cause: Cause) {
        if self.job.policy.overlap == Overlap::Skip && !self.job.open.is_empty() {
            self.skip(&[scheduled_at], Skipped::Overlap);
        } else {
            self.open(scheduled_at, cause);
        }
    }

    /// Decides the scheduled times that have come since the last one that was decided.
    fn come_due(&mut self) {
        if self.job.status != Status::Active {
            return;
        }
        let times = self.job.schedule.times(self.job.decided_until, self.now, SLICE);
        let Some(last) = times.last().copied() else { return };
        let more = self.job.schedule.next_after(last).is_some_and(|next| next <= self.now);
        self.job.decided_until = last;
        let missed = times.partition_point(|time| self.now - *time > ON_TIME);
        let (missed, due) = times.split_at(missed);
        match self.job.policy.catch_up {
            CatchUp::All => missed.iter().for_each(|time| self.open(*time, Cause::CatchUp)),
            // It waits its turn, also where a time that comes while a run is open would be left out: it is what is left of a
            // night, or of many.
            CatchUp::Last if due.is_empty() && !more => {
                let (_, others) = missed.split_last().unwrap_or((&last, &[]));
                self.skip(others, Skipped::Missed);
                self.open(last, Cause::CatchUp);
            }
            CatchUp::Last | CatchUp::None => self.skip(missed, Skipped::Missed),
        }
        for time in due {
            self.due(*time, Cause::Schedule);
        }
    }

    fn time_out(&mut self) {
        let Some(timeout) = self.job.policy.timeout else { return };
        for run in &mut self.job.open {
            if let Stage::Running { attempt, since } = run.stage
                && self.now >= since + timeout.duration()
            {
                let reason = StopReason::Timeout;
                run.stage = Stage::Stopping { attempt, reason };
                self.actions.push(Action::Stop { run: run.id, reason });
            }
        }
    }

    /// Starts what may start: all whose time has come where runs may overlap, else one where none is at work. A run that waits
    /// to be tried again comes before those that wait for their turn.
    fn start(&mut self) {
        let overlap = self.job.policy.overlap == Overlap::Allow;
        let active = self.job.status == Status::Active;
        let may_start = |run: &OpenRun| active || run.cause == Cause::Request;
        let mut at_work = self.job.is_at_work();
        let retries = |run: &OpenRun| may_start(run) && matches!(run.stage, Stage::Waiting { .. });
        let retried = self.job.open.iter().any(retries);
        for run in &mut self.job.open {
            if !may_start(run) || (at_work && !overlap) {
                continue;
            }
            let attempt = match run.stage {
                Stage::Waiting { attempt, until } if until <= self.now => attempt + 1,
                Stage::Queued if overlap || !retried => 1,
                _ => continue,
            };
            at_work = true;
            run.stage = Stage::Running { attempt, since: self.now };
            self.actions.push(Action::Start { run: run.id, attempt });
        }
    }

    fn find(&mut self, run: RunId) -> Option<&mut OpenRun> {
        self.job.open.iter_mut().find(|open| open.id == run)
    }

    fn close(&mut self, run: RunId, closed: Closed) {
        self.job.open.retain(|open| open.id != run);
        self.actions.push(Action::Close { run, closed });
        match closed {
            Closed::Succeeded => self.job.failures = 0,
            Closed::Cancelled => {}
            Closed::Failed => {
                self.job.failures += 1;
                let failures = self.job.failures;
                let most = self.job.policy.suspend_after_failures;
                if most.is_some_and(|most| failures >= most) && self.job.status == Status::Active {
                    self.job.status = Status::Suspended;
                    self.actions.push(Action::Suspend { failures });
                }
            }
        }
    }

    fn ended(&mut self, id: RunId, succeeded: bool) {
        let (retries, now) = (self.job.policy.retries, self.now);
        let Some(run) = self.find(id) else { return };
        let (Stage::Running { attempt, .. } | Stage::Stopping { attempt, .. }) = run.stage else { return };
        let failed_attempts = attempt - run.interruptions;
        if succeeded {
            // Also where it was told to stop: the work is done and published.
            self.close(id, Closed::Succeeded);
        } else if matches!(run.stage, Stage::Stopping { reason: StopReason::Cancelled, .. }) {
            self.close(id, Closed::Cancelled);
        } else if failed_attempts > retries {
            self.close(id, Closed::Failed);
        } else {
            let until = now + self.job.policy.wait_after(failed_attempts).duration();
            self.wait(id, attempt, until);
        }
    }

    fn wait(&mut self, id: RunId, attempt: u32, until: DateTime<Utc>) {
        if let Some(run) = self.find(id) {
            run.stage = Stage::Waiting { attempt, until };
        }
        self.actions.push(Action::Wait { run: id, until });
    }

    /// An interruption is nobody's failure: the run goes on at once and has as many retries as before.
    fn interrupted(&mut self, id: RunId) {
        let now = self.now;
        let Some(run) = self.find(id) else { return };
        match run.stage {
            Stage::Queued | Stage::Waiting { .. } => {}
            Stage::Stopping { reason: StopReason::Cancelled, .. } => self.close(id, Closed::Cancelled),
            Stage::Running { .. } | Stage::Stopping { .. } if run.interruptions >= MOST_INTERRUPTIONS => {
                self.close(id, Closed::Failed);
            }
            Stage::Running { attempt, .. } | Stage::Stopping { attempt, .. } => {
                run.interruptions += 1;
                self.wait(id, attempt, now);
            }
        }
    }

    fn cancel(&mut self, id: RunId) {
        let Some(run) = self.find(id) else { return };
        match run.stage {
            Stage::Queued | Stage::Waiting { .. } => self.close(id, Closed::Cancelled),
            Stage::Running { attempt, .. } | Stage::Stopping { attempt, .. } => {
                let reason = StopReason::Cancelled;
                run.stage = Stage::Stopping { attempt, reason };
                self.actions.push(Action::Stop { run: id, reason });
            }
        }
    }

    fn resume(&mut self) {
        if self.job.status == Status::Active {
            return;
        }
        self.job.status = Status::Active;
        self.job.failures = 0;
        let mut from = self.job.decided_until;
        loop {
            let times = self.job.schedule.times(from, self.now, SLICE);
            let Some(last) = times.last().copied() else { break };
            self.skip(&times, Skipped::Paused);
            from = last;
        }
        self.job.decided_until = self.job.decided_until.max(self.now);
    }
}
