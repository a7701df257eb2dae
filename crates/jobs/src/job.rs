//! A job and its open runs, as values.

use chrono::{DateTime, Utc};

use crate::{Overlap, Policy, Schedule};

/// A run's number; the ledger's.
pub type RunId = i64;

/// Whether a job's schedule is heeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is.
    Active,
    /// Someone paused it. What runs ends; nothing else starts but what someone asks for.
    Paused,
    /// It failed too often in a row.
    Suspended,
}

/// A job: its schedule, its policy, and what is going on.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// When it runs.
    pub schedule: Schedule,
    /// What becomes of its runs.
    pub policy: Policy,
    /// Whether its schedule is heeded.
    pub status: Status,
    /// Scheduled times up to and with this moment have been decided: run, queued or left out.
    pub decided_until: DateTime<Utc>,
    /// How many runs have failed in a row.
    pub failures: u32,
    /// The runs that are not over, in the order in which they came.
    pub open: Vec<OpenRun>,
}

/// A run that is not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRun {
    /// Its number.
    pub id: RunId,
    /// The time that it runs for, which is not the time at which it starts.
    pub scheduled_at: DateTime<Utc>,
    /// Why there is this run.
    pub cause: Cause,
    /// What it is at.
    pub stage: Stage,
    /// How many of its attempts ended because the daemon did.
    pub interruptions: u32,
}

/// Why there is a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its time came.
    Schedule,
    /// Its time had gone by while nobody was there.
    CatchUp,
    /// This run of the job before it succeeded.
    After(RunId),
    /// Someone asked.
    Request,
}

/// What an open run is at. Attempts are numbered from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It waits for its turn.
    Queued,
    /// An attempt runs.
    Running {
        /// Its number.
        attempt: u32,
        /// Since when.
        since: DateTime<Utc>,
    },
    /// An attempt was told to stop and has not ended yet.
    Stopping {
        /// Its number.
        attempt: u32,
        /// Why.
        reason: StopReason,
    },
    /// An attempt ended early; the next one comes.
    Waiting {
        /// The number of the one that ended.
        attempt: u32,
        /// When the next one starts.
        until: DateTime<Utc>,
    },
}

/// Why an attempt is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// It took longer than the job's `timeout`.
    Timeout,
    /// Someone cancelled the run.
    Cancelled,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// Its body ran to its end.
    Succeeded,
    /// Its last attempt failed.
    Failed,
    /// Someone cancelled it.
    Cancelled,
}

impl Job {
    /// A job that was made, or given another schedule, at this time: its first run is the first scheduled time after it.
    pub fn new(schedule: Schedule, policy: Policy, now: DateTime<Utc>) -> Self {
        Self { schedule, policy, status: Status::Active, decided_until: now, failures: 0, open: Vec::new() }
    }

    /// Gives the job another schedule from now on.
    pub fn reschedule(&mut self, schedule: Schedule, now: DateTime<Utc>) {
        self.schedule = schedule;
        self.decided_until = now;
    }

    /// Returns when there is next something to decide, if nothing happens before.
    pub fn wakes_at(&self) -> Option<DateTime<Utc>> {
        let scheduled = match self.status {
            Status::Active => self.schedule.next_after(self.decided_until),
            Status::Paused | Status::Suspended => None,
        };
        // Where runs don't overlap, one that waits goes on when the one at work ends.
        let room = self.policy.overlap == Overlap::Allow || !self.is_at_work();
        let runs = self.open.iter().filter_map(|run| match run.stage {
            Stage::Waiting { until, .. } if room && self.may_start(run) => Some(until),
            Stage::Running { since, .. } => Some(since + self.policy.timeout?.duration()),
            _ => None,
        });
        scheduled.into_iter().chain(runs).min()
    }

    /// Whether an attempt of some run has begun and not ended.
    pub(crate) fn is_at_work(&self) -> bool {
        self.open.iter().any(|run| matches!(run.stage, Stage::Running { .. } | Stage::Stopping { .. }))
    }

    /// A job that is paused starts only what someone asks for.
    pub(crate) fn may_start(&self, run: &OpenRun) -> bool {
        self.status == Status::Active || run.cause == Cause::Request
    }
}
