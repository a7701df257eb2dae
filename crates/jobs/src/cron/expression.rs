//! A whole expression.

use chrono::{Datelike, Days, Months, NaiveDate, NaiveDateTime, TimeDelta, Timelike};

use super::field::{FieldError, HOUR, MINUTE, MONTH};
use super::month_days::MonthDays;
use super::week_days::WeekDays;

/// For how long a date is looked for, in years: the 29th of February on a Monday comes within 40.
const MAX_YEARS: i32 = 100;

const FIVE_FIELDS: &str = "write five fields: minute hour day month weekday, such as '0 2 * * *' for two in the morning, or '@daily'";

/// A cron expression of five fields, or the word for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    months: u64,
    /// None for `*` and `?`.
    month_days: Option<MonthDays>,
    week_days: Option<WeekDays>,
    /// `+` before the weekdays: a day has to match both fields.
    needs_both: bool,
    /// Whether minutes and hours are named one by one.
    has_fixed_times: bool,
}

impl Cron {
    /// Reads an expression.
    ///
    /// Errors: which field can't be read, and how it is written.
    pub(crate) fn parse(text: &str) -> Result<Self, FieldError> {
        let text = text.trim();
        let text = match text.starts_with('@') {
            true => word(text)?,
            false => text,
        };
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, month_day, month, week_day] = fields[..] else {
            let hint = match fields.len() {
                6 => "leave the seconds out: EVERY INTERVAL '10 seconds' is for less than a minute",
                _ => FIVE_FIELDS,
            };
            return Err(FieldError::new(format!("it has {} fields, not 5", fields.len()), hint));
        };
        let (week_day, needs_both) = match week_day.strip_prefix('+') {
            Some(rest) => (rest, true),
            None => (week_day, false),
        };
        let is_open = |field: &str| matches!(field, "*" | "?");
        let is_fixed = |field: &str| !field.contains(['*', '/']);
        Ok(Self {
            minutes: MINUTE.list(minute)?,
            hours: HOUR.list(hour)?,
            months: MONTH.list(month)?,
            month_days: (!is_open(month_day)).then(|| MonthDays::parse(month_day)).transpose()?,
            week_days: (!is_open(week_day)).then(|| WeekDays::parse(week_day)).transpose()?,
            needs_both,
            has_fixed_times: is_fixed(minute) && is_fixed(hour),
        })
    }

    /// Whether the expression names each of its times of the day, by lists and ranges too.
    pub(crate) fn has_fixed_times(&self) -> bool {
        self.has_fixed_times
    }

    /// Returns the first time after this one that a wall clock shows; None where no date is like that.
    pub(crate) fn next_on_the_wall(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        let from = after.with_second(0)?.with_nanosecond(0)?.checked_add_signed(TimeDelta::minutes(1))?;
        let (mut date, mut hour, mut minute) = (from.date(), from.hour(), from.minute());
        while date.year() <= from.year() + MAX_YEARS {
            if self.months & (1 << date.month()) == 0 {
                date = date.with_day(1)?.checked_add_months(Months::new(1))?;
            } else if let Some((hour, minute)) =
                self.has_day(date).then(|| self.next_time(hour, minute)).flatten()
            {
                return date.and_hms_opt(hour, minute, 0);
            } else {
                date = date.checked_add_days(Days::new(1))?;
            }
            (hour, minute) = (0, 0);
        }
        None
    }

    /// Returns the first time of a day from this one on.
    fn next_time(&self, hour: u32, minute: u32) -> Option<(u32, u32)> {
        let first = |bits: u64, from: u32| (from..60).find(|value| bits & (1 << value) != 0);
        if self.hours & (1 << hour) != 0
            && let Some(minute) = first(self.minutes, minute)
        {
            return Some((hour, minute));
        }
        Some((first(self.hours, hour + 1)?, first(self.minutes, 0)?))
    }

    /// Whether a date matches: where both fields of days are restricted, either is enough.
    fn has_day(&self, date: NaiveDate) -> bool {
        match (&self.month_days, &self.week_days) {
            (None, None) => true,
            (Some(days), None) => days.contains(date),
            (None, Some(days)) => days.contains(date),
            (Some(month), Some(week)) if self.needs_both => month.contains(date) && week.contains(date),
            (Some(month), Some(week)) => month.contains(date) || week.contains(date),
        }
    }
}

/// Returns the expression that a word stands for.
fn word(text: &str) -> Result<&'static str, FieldError> {
    match text.to_ascii_lowercase().as_str() {
        "@yearly" | "@annually" => Ok("0 0 1 1 *"),
        "@monthly" => Ok("0 0 1 * *"),
        "@weekly" => Ok("0 0 * * 0"),
        "@daily" | "@midnight" => Ok("0 0 * * *"),
        "@hourly" => Ok("0 * * * *"),
        "@reboot" => Err(FieldError::new(
            "a job has times, and the start of the machine is none",
            "RUN JOB runs a job at once; a schedule is five fields, or '@daily'",
        )),
        _ => Err(FieldError::new(
            format!(
                "unknown word '{text}': expected @hourly, @daily, @midnight, @weekly, @monthly or @yearly"
            ),
            FIVE_FIELDS,
        )),
    }
}
