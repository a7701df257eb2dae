//! When a job runs.

use std::fmt;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use nightjar_zones::{Zone, ZoneError, rules};
use thiserror::Error;

use crate::Interval;
use crate::cron::{Cron, FieldError};

/// When a job runs.
///
/// **CRON** has five fields: minute, hour, day of the month, month, day of the week; with names, lists, ranges that may wrap
/// (`22-2`, `FRI-MON`), steps (`*/20`, `5/20`), `L`, `L-3`, `LW`, `15W`, `5L`, `5#2`, `?`; or a word: `@hourly`, `@daily`,
/// `@midnight`, `@weekly`, `@monthly`, `@yearly`. Where days of the month and of the week are both restricted, a day matches if
/// either does; a step restricts too (Vixie's cron asks for both where one begins with `*`). `+` before the weekdays asks for both.
/// The times are the wall clock's in the zone. When the clock is put forward, fixed times in the hour that is not there
/// run at the first moment after it, once; when it is put back, fixed times in the hour that is there twice run the first
/// time only. Expressions with `*` or a step in minutes or hours follow the clock as it goes: the repeated hour counts twice.
/// The 31st, or the 29th of February, comes in the months and years that have one; `L` is the last day of each.
///
/// **EVERY** is anchored to the wall clock, not to the job's creation or its last run: 15 minutes are the quarters of every hour,
/// whatever a run took. Its times are the multiples of the length since 1970-01-01 00:00 UTC.
///
/// **AFTER** another job: once for each of its runs that succeeds, with that run's scheduled time.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// By the wall clock of a zone.
    Cron {
        /// Boxed: it is much larger than the others.
        cron: Box<Cron>,
        /// As it was written.
        expression: String,
        /// UTC where none was named.
        zone: Zone,
    },
    /// At the multiples of a length.
    Every(Interval),
    /// When a run of this job has succeeded.
    After(String),
}

/// A schedule that can't be.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum ScheduleError {
    /// Not a cron expression.
    #[error("invalid cron expression '{expression}': {reason}")]
    Cron {
        /// The text.
        expression: String,
        /// Which field is wrong, and why.
        reason: String,
        /// The right form of the field.
        hint: String,
    },
    /// An expression such as the 30th of February.
    #[error("cron expression '{expression}' never matches: there is no such date")]
    Never {
        /// The text.
        expression: String,
    },
    /// Not a zone of the rules in use.
    #[error(transparent)]
    Zone(#[from] ZoneError),
    /// Not a length of time.
    #[error("invalid interval '{text}': {reason}")]
    Interval {
        /// The text.
        text: String,
        /// Why not.
        reason: String,
    },
}

impl ScheduleError {
    /// What to type instead.
    pub fn hint(&self) -> String {
        match self {
            Self::Cron { hint, .. } => hint.clone(),
            Self::Never { .. } => "'0 2 L * *' is the last day of each month".to_owned(),
            Self::Zone(error) => error.hint(),
            Self::Interval { .. } => "write an interval as '15 minutes' or '1 day 6 hours'".to_owned(),
        }
    }
}

impl Schedule {
    /// By a cron expression, in a zone of the rules that decide; UTC where none is named.
    ///
    /// Errors: text that is no such expression, one that matches no date, a zone that the rules don't have.
    pub fn cron(expression: &str, zone: Option<&str>) -> Result<Self, ScheduleError> {
        let zone = match zone {
            None => Zone::utc(),
            Some(name) => rules().zone(name)?,
        };
        Self::cron_in(expression, zone)
    }

    /// By a cron expression, in a zone.
    ///
    /// Errors: text that is no such expression, one that matches no date.
    pub fn cron_in(expression: &str, zone: Zone) -> Result<Self, ScheduleError> {
        let expression = expression.trim().to_owned();
        let cron = match Cron::parse(&expression) {
            Ok(cron) => Box::new(cron),
            Err(FieldError { reason, hint }) => return Err(ScheduleError::Cron { expression, reason, hint }),
        };
        match cron.next_on_the_wall(DateTime::UNIX_EPOCH.naive_utc()) {
            Some(_) => Ok(Self::Cron { cron, expression, zone }),
            None => Err(ScheduleError::Never { expression }),
        }
    }

    /// Returns the first time after `after`; None for AFTER, which no time brings.
    pub fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Cron { cron, zone, .. } => {
                let next = match cron.has_fixed_times() {
                    true => next_on_the_wall(cron, zone, after.timestamp()),
                    false => next_by_the_clock(cron, zone, after.timestamp()),
                };
                DateTime::from_timestamp(next?, 0)
            }
            Self::Every(interval) => {
                let length = i64::try_from(interval.seconds()).ok()?;
                let begun = after.timestamp().div_euclid(length);
                DateTime::from_timestamp(begun.checked_add(1)?.checked_mul(length)?, 0)
            }
            Self::After(_) => None,
        }
    }

    /// Returns the times after `after` up to and with `until`, the first ones, at most `limit`.
    pub fn times(&self, after: DateTime<Utc>, until: DateTime<Utc>, limit: usize) -> Vec<DateTime<Utc>> {
        let mut times = Vec::new();
        let mut from = after;
        while times.len() < limit {
            match self.next_after(from) {
                // Past its predecessor, whatever the library says of odd hours: a schedule always goes on.
                Some(next) if next <= until => {
                    let next = if next > from { next } else { from + TimeDelta::seconds(1) };
                    times.push(next);
                    from = next;
                }
                _ => break,
            }
        }
        times
    }
}

/// What a wall clock shows, in seconds since it showed 1970-01-01 00:00.
fn wall(seconds: i64) -> Option<NaiveDateTime> {
    Some(DateTime::from_timestamp(seconds, 0)?.naive_utc())
}

/// Returns the first moment after `after` that one of an expression's times on the wall clock stands for.
fn next_on_the_wall(cron: &Cron, zone: &Zone, after: i64) -> Option<i64> {
    // Later times on the wall never stand for earlier moments.
    let mut shown = wall(zone.wall_seconds(after))?;
    loop {
        shown = cron.next_on_the_wall(shown)?;
        let moment = zone.moments(shown.and_utc().timestamp()).first();
        if moment > after {
            return Some(moment);
        }
    }
}

/// Returns the first moment after `after` at which the wall clock shows one of an expression's times, as often as it does.
fn next_by_the_clock(cron: &Cron, zone: &Zone, after: i64) -> Option<i64> {
    // From one change of the clock to the next it goes as UTC does.
    let (mut begun, mut after) = (after, after);
    loop {
        let offset = zone.offset_seconds(begun);
        let change = zone.next_change(begun);
        let next = cron.next_on_the_wall(wall(after.checked_add(offset)?)?)?.and_utc().timestamp() - offset;
        match change {
            Some(change) if change <= next => (begun, after) = (change, change - 1),
            _ => return Some(next),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cron { expression, zone, .. } if zone.is_utc() => write!(f, "CRON '{expression}'"),
            Self::Cron { expression, zone, .. } => {
                write!(f, "CRON '{expression}' AT TIME ZONE '{}'", zone.name())
            }
            Self::Every(interval) => write!(f, "EVERY INTERVAL '{interval}'"),
            Self::After(job) => write!(f, "AFTER JOB {job}"),
        }
    }
}
