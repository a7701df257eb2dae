//! When a job runs.

use std::fmt;

use chrono::{DateTime, LocalResult, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use thiserror::Error;

use crate::Interval;

/// The rules of time zones that this program was built with: the release of the IANA's database, such as `2026b`.
pub const ZONE_RULES: &str = chrono_tz::IANA_TZDB_VERSION;

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// When a job runs.
///
/// **CRON** is a Vixie cron expression: minute, hour, day of the month, month, day of the week; names, lists, ranges, steps,
/// `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. Days of the month and of the week that are both restricted match if either
/// does. The times are the wall clock's in the zone. When the clock is put forward, fixed times in the hour that is not there
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
        zone: Tz,
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
    #[error("'{expression}' is no cron expression: {reason}")]
    Cron {
        /// The text.
        expression: String,
        /// Why not.
        reason: String,
    },
    /// An expression such as the 30th of February.
    #[error("'{expression}' never comes: no date is like that")]
    Never {
        /// The text.
        expression: String,
    },
    /// Not a zone of the IANA database.
    #[error("there is no time zone '{zone}'")]
    Zone {
        /// The text.
        zone: String,
    },
    /// Not a length of time.
    #[error("'{text}' is no interval: {reason}")]
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
            Self::Cron { .. } => {
                "five fields: minute hour day month weekday, such as '0 2 * * *' for two in the morning, or '@daily'".to_owned()
            }
            Self::Never { .. } => "'0 2 L * *' is the last day of each month".to_owned(),
            Self::Zone { zone } => match nearest_zone(zone) {
                Some(nearest) => format!("did you mean '{nearest}'?"),
                None => "zones are named as in 'Europe/Paris', or 'UTC'".to_owned(),
            },
            Self::Interval { .. } => "an interval is such as '15 minutes' or '1 day 6 hours'".to_owned(),
        }
    }
}

/// A zone whose last part is what was written, in any case and with blanks for underscores, or one that is the same but for case.
fn nearest_zone(text: &str) -> Option<&'static str> {
    let plain = |name: &str| name.to_ascii_lowercase().replace('_', " ");
    let wanted = plain(text.trim());
    let names = || chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
    let last = |name: &'static str| name.rsplit('/').next().unwrap_or(name);
    names().find(|name| plain(name) == wanted).or_else(|| names().find(|name| plain(last(name)) == wanted))
}

impl Schedule {
    /// By a cron expression, in a zone of the IANA database.
    ///
    /// Errors: text that is no such expression, one that matches no date, a zone that isn't there.
    pub fn cron(expression: &str, zone: Option<&str>) -> Result<Self, ScheduleError> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(expression.trim()).map_err(|error| ScheduleError::Cron {
            expression: expression.to_owned(),
            reason: error.to_string(),
        })?;
        let zone = match zone {
            None => Tz::UTC,
            Some(name) => name.parse().map_err(|_| ScheduleError::Zone { zone: name.to_owned() })?,
        };
        let schedule = Self::Cron { cron: Box::new(cron), expression: expression.trim().to_owned(), zone };
        match schedule.next_after(DateTime::UNIX_EPOCH) {
            Some(_) => Ok(schedule),
            None => Err(ScheduleError::Never { expression: expression.to_owned() }),
        }
    }

    /// Returns the first time after `after`; None for AFTER, which no time brings.
    pub fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Cron { cron, zone, expression } if has_fixed_times(expression) => {
                next_on_the_wall(cron, *zone, after)
            }
            Self::Cron { cron, zone, .. } => {
                let next = cron.find_next_occurrence(&after.with_timezone(zone), false).ok()?;
                Some(next.with_timezone(&Utc))
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

/// Whether an expression names each of its times of the day, as Vixie cron has it, by lists and ranges too.
fn has_fixed_times(expression: &str) -> bool {
    if expression.starts_with('@') {
        return !expression.eq_ignore_ascii_case("@hourly");
    }
    let mut fields = expression.split_whitespace();
    let is_fixed = |field: Option<&str>| field.is_some_and(|field| !field.contains(['*', '/', '?']));
    is_fixed(fields.next()) && is_fixed(fields.next())
}

/// Returns the first moment after `after` that a time on the wall clock stands for. The library knows that of single times only.
fn next_on_the_wall(cron: &Cron, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    // The wall clock's time, as if it were UTC. Later times on it never stand for earlier moments.
    let mut wall = after.with_timezone(&zone).naive_local().and_utc();
    loop {
        wall = cron.find_next_occurrence(&wall, false).ok()?;
        let moment = moment_of(wall.naive_utc(), zone)?;
        if moment > after {
            return Some(moment);
        }
    }
}

/// Returns the moment that a time on the wall clock stands for: of two the first, and for none the first one after the gap.
fn moment_of(wall: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    match zone.from_local_datetime(&wall) {
        LocalResult::Single(moment) | LocalResult::Ambiguous(moment, _) => Some(moment.with_timezone(&Utc)),
        LocalResult::None => {
            let shows = |moment: i64| {
                Some(zone.from_utc_datetime(&DateTime::from_timestamp(moment, 0)?.naive_utc()).naive_local())
            };
            // No zone is further from UTC, and none has left out more, than a day and some hours.
            let (mut before, mut from) =
                (wall.and_utc().timestamp() - 2 * DAY_SECONDS, wall.and_utc().timestamp() + 2 * DAY_SECONDS);
            while from - before > 1 {
                let middle = before + (from - before) / 2;
                if shows(middle)? < wall { before = middle } else { from = middle }
            }
            DateTime::from_timestamp(from, 0)
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cron { expression, zone: Tz::UTC, .. } => write!(f, "CRON '{expression}'"),
            Self::Cron { expression, zone, .. } => {
                write!(f, "CRON '{expression}' AT TIME ZONE '{}'", zone.name())
            }
            Self::Every(interval) => write!(f, "EVERY INTERVAL '{interval}'"),
            Self::After(job) => write!(f, "AFTER JOB {job}"),
        }
    }
}
