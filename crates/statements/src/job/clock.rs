//! The clock that jobs go by: the machine's, or another one that a file tells of.
//!
//! Where the environment variable `NIGHTJAR_CLOCK` names a file such as
//! `{"at": "2026-11-29T13:00:00Z", "shows": "2026-03-28T00:00:00Z", "speed": 3600}`, it is 28 March 2026 when the machine's clock shows 13:00 on 29
//! November, and an hour goes by with each second. A month of schedules is seen in minutes, and every process that is told of the
//! same file has the same time. The file may be replaced at any moment: that is a clock that is set.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::Deserialize;

use crate::error::Result;
use crate::job::error::JobError;
use crate::job::ledger::time;

/// The variable that names the file.
const VARIABLE: &str = "NIGHTJAR_CLOCK";

/// The speeds that a clock can have: it goes on, and no faster than a year in a second.
const SPEEDS: std::ops::RangeInclusive<f64> = 1e-3..=4e7;

/// A clock that was set and that goes at a speed of its own.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Clock {
    /// When it was set, by the machine's clock.
    at: DateTime<Utc>,
    /// What it showed then.
    shows: DateTime<Utc>,
    /// How many of its seconds go by in one of the machine's.
    speed: f64,
}

impl Clock {
    fn read(path: &Path) -> std::result::Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        let clock: Self = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        match SPEEDS.contains(&clock.speed) {
            true => Ok(clock),
            false => {
                Err(format!("speed is {}, expected {} to {}", clock.speed, SPEEDS.start(), SPEEDS.end()))
            }
        }
    }

    /// Returns what it shows when the machine's shows `machine`.
    fn time(&self, machine: DateTime<Utc>) -> DateTime<Utc> {
        let since = (machine - self.at).num_microseconds().unwrap_or(i64::MAX);
        // Beyond 285 years a float is no longer exact to the microsecond, and nobody waits for that.
        let shown = TimeDelta::microseconds((since as f64 * self.speed) as i64);
        self.shows.checked_add_signed(shown).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

fn file() -> Option<&'static Path> {
    static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
    FILE.get_or_init(|| std::env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from))
        .as_deref()
}

/// Returns the clock of the file, or the last one that it was; none, and so the machine's, where it never was one: who has to know asks
/// [`clock_in_words`] first.
fn other() -> Option<Clock> {
    static LAST: Mutex<Option<Clock>> = Mutex::new(None);
    let path = file()?;
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    *last = Clock::read(path).ok().or(*last);
    *last
}

/// Returns the time of the machine's clock.
fn machine() -> DateTime<Utc> {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    time(i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX))
}

/// Returns the time that jobs go by, to the microsecond, as the catalog keeps it.
pub fn now() -> DateTime<Utc> {
    match other() {
        Some(clock) => time(clock.time(machine()).timestamp_micros()),
        None => machine(),
    }
}

/// Returns how long a process has to wait until it is `then` (microseconds since 1970 UTC), if nobody sets the clock meanwhile; none where
/// that is over.
pub fn time_until(then: i64) -> Duration {
    let left = then.saturating_sub(now().timestamp_micros());
    let left = Duration::from_micros(u64::try_from(left).unwrap_or(0));
    other()
        .map_or(left, |clock| Duration::try_from_secs_f64(left.as_secs_f64() / clock.speed).unwrap_or(left))
}

/// Returns what clock jobs go by, for people to read; `None` where it is the machine's.
///
/// # Errors
/// A file that is no clock.
pub fn clock_in_words() -> Result<Option<String>> {
    let Some(path) = file() else { return Ok(None) };
    let clock = Clock::read(path).map_err(|reason| JobError::Clock {
        path: path.to_owned(),
        variable: VARIABLE,
        reason,
    })?;
    let shown = clock.time(machine()).to_rfc3339_opts(SecondsFormat::Secs, true);
    Ok(Some(format!(
        "jobs go by the clock of {}: it is {shown}, and time goes {} times as fast",
        path.display(),
        clock.speed
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn read(text: &str) -> std::result::Result<Clock, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Clock::read(file.path())
    }

    #[test]
    fn an_hour_goes_by_in_a_second() {
        let text = r#"{"at": "2026-11-29T13:00:00Z", "shows": "2026-03-28T00:00:00Z", "speed": 3600}"#;
        let clock = read(text).unwrap();
        assert_eq!(clock.time(at("2026-11-29T13:00:00Z")), at("2026-03-28T00:00:00Z"));
        assert_eq!(clock.time(at("2026-11-29T13:00:02Z")), at("2026-03-28T02:00:00Z"));
        assert_eq!(clock.time(at("2026-11-29T12:59:59Z")), at("2026-03-27T23:00:00Z"));
    }

    #[test]
    fn what_is_no_clock_is_refused() {
        for text in [
            "",
            "{}",
            r#"{"at": "2026-11-29T13:00:00Z", "shows": "soon", "speed": 1}"#,
            r#"{"at": "2026-11-29T13:00:00Z", "shows": "2026-03-28T00:00:00Z", "speed": 0}"#,
            r#"{"at": "2026-11-29T13:00:00Z", "shows": "2026-03-28T00:00:00Z", "speed": -1}"#,
            r#"{"at": "2026-11-29T13:00:00Z", "shows": "2026-03-28T00:00:00Z", "speed": 1e99}"#,
            r#"{"at": "2026-11-29T13:00:00Z", "shows": "2026-03-28T00:00:00Z", "speed": 1, "tick": 1}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
