//! When jobs run, and what becomes of their runs: decisions only.
//!
//! A [`Job`] is a value. [`Job::decide`] takes what happened and the time, changes the value and returns what has to be done
//! about it. There is no clock here, no disk and no thread, but for the rules of time zones, which are read once: whoever calls writes value and actions down in one transaction and
//! only then does what they say. So a decision is never lost and never made twice, and every odd hour of the year can be tested
//! on any day.
//!
//! ```
//! use nightjar_jobs::{Action, Event, Job, Policy, Schedule};
//! let two_in_the_morning = Schedule::cron("0 2 * * *", Some("Europe/Paris"))?;
//! let mut job = Job::new(two_in_the_morning, Policy::default(), "2026-11-22T12:00:00Z".parse()?);
//! let mut ids = 0;
//! // 02:00 in Paris is 01:00 UTC in winter.
//! assert_eq!(job.wakes_at(), Some("2026-11-23T01:00:00Z".parse()?));
//! let actions = job.decide(Event::Tick, "2026-11-23T01:00:00Z".parse()?, &mut ids);
//! assert!(matches!(actions[..], [Action::Open { .. }, Action::Start { run: 1, attempt: 1 }]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod cron;
mod decide;
mod interval;
mod job;
mod policy;
mod schedule;

pub use cron::Cron;
pub use decide::{Action, Event, Skipped};
pub use interval::Interval;
pub use job::{Cause, Closed, Job, OpenRun, RunId, Stage, Status, StopReason};
pub use policy::{CatchUp, Overlap, Policy};
pub use schedule::{Schedule, ScheduleError};
