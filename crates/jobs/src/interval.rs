//! Lengths of time as SQL writes them: `15 minutes`, `1 day 6 hours`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::schedule::ScheduleError;

/// The units, the longest first, with their seconds. Months and years have no length: those schedules are CRON's.
const UNITS: &[(&str, u64)] =
    &[("week", 604_800), ("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)];

/// A length of time of whole seconds, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval(u64);

impl Interval {
    /// Of so many seconds; None for zero.
    pub fn of_seconds(seconds: u64) -> Option<Self> {
        (seconds > 0).then_some(Self(seconds))
    }

    /// In seconds.
    pub fn seconds(self) -> u64 {
        self.0
    }

    /// As the standard library has it.
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl FromStr for Interval {
    type Err = ScheduleError;

    /// Reads numbers and units in turn; units in the singular, the plural or by their first letter.
    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let fail =
            |reason: &str| ScheduleError::Interval { text: text.to_owned(), reason: reason.to_owned() };
        let mut seconds: u64 = 0;
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(fail("it is empty"));
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let (number, after) = rest.split_at(digits);
            let number: u64 =
                number.parse().map_err(|_| fail("a whole number is expected before each unit"))?;
            let after = after.trim_start();
            let letters = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
            let (unit, after) = after.split_at(letters);
            let length = unit_seconds(unit).ok_or_else(|| fail(&unknown_unit(unit)))?;
            seconds = number
                .checked_mul(length)
                .and_then(|more| seconds.checked_add(more))
                .filter(|seconds| *seconds <= 366 * 86_400)
                .ok_or_else(|| fail("it is longer than a year"))?;
            rest = after.trim_start();
        }
        Self::of_seconds(seconds).ok_or_else(|| fail("it must be at least one second"))
    }
}

fn unit_seconds(unit: &str) -> Option<u64> {
    let unit = unit.to_ascii_lowercase();
    let named = |name: &str| unit == name || unit.strip_suffix('s') == Some(name);
    let short = |name: &str| {
        unit == name[..1]
            || (name == "minute" && unit.starts_with("min") && unit.len() <= 4)
            || (name == "second" && (unit == "sec" || unit == "secs"))
    };
    UNITS.iter().find(|(name, _)| named(name) || short(name)).map(|(_, seconds)| *seconds)
}

fn unknown_unit(unit: &str) -> String {
    let lower = unit.to_ascii_lowercase();
    if lower.starts_with("month") || lower.starts_with("year") {
        return format!(
            "{unit} has no fixed length; use CRON, such as '0 2 1 * *' for the first of each month"
        );
    }
    format!("'{unit}' is no unit; there are weeks, days, hours, minutes and seconds")
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        let mut separator = "";
        for (name, seconds) in UNITS {
            let count = rest / seconds;
            rest %= seconds;
            if count > 0 {
                let plural = if count == 1 { "" } else { "s" };
                write!(f, "{separator}{count} {name}{plural}")?;
                separator = " ";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_read_and_print_back() {
        for (text, seconds, printed) in [
            ("15 minutes", 900, "15 minutes"),
            ("1 day 6 hours", 108_000, "1 day 6 hours"),
            ("90s", 90, "1 minute 30 seconds"),
            (" 2  HOURS ", 7_200, "2 hours"),
            ("10 min", 600, "10 minutes"),
            ("1h30m", 5_400, "1 hour 30 minutes"),
            ("14 days", 1_209_600, "2 weeks"),
        ] {
            let interval: Interval = text.parse().unwrap();
            assert_eq!((interval.seconds(), interval.to_string().as_str()), (seconds, printed), "{text}");
            assert_eq!(printed.parse::<Interval>().unwrap(), interval);
        }
    }

    #[test]
    fn what_is_no_interval_says_why() {
        for (text, reason) in [
            ("", "empty"),
            ("0 minutes", "at least one second"),
            ("minutes", "whole number"),
            ("1.5 hours", "no unit"),
            ("2 months", "use CRON"),
            ("5 fortnights", "weeks, days, hours"),
            ("99999999999999999999 s", "whole number"),
            ("400 days", "longer than a year"),
        ] {
            let error = text.parse::<Interval>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
