//! The field of the days of the month.

use chrono::{Datelike, NaiveDate, Weekday};

use super::field::{FieldError, MONTH_DAY};

/// Days of the month.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct MonthDays {
    /// Bits of 1 to 31.
    days: u64,
    /// `L-n`: how many days before the last one.
    before_last: Vec<u32>,
    /// `nW`: the weekday nearest to a day, in the same month.
    nearest: Vec<u32>,
    /// `L-nW`: the same for days before the last one.
    nearest_before_last: Vec<u32>,
}

impl MonthDays {
    pub(super) fn parse(text: &str) -> Result<Self, FieldError> {
        let mut days = Self::default();
        for item in text.to_ascii_uppercase().split(',') {
            let (day, is_nearest) = match item.strip_suffix('W') {
                Some(day) => (day, true),
                None => (item, false),
            };
            match (day.strip_prefix('L'), is_nearest) {
                (Some(""), false) => days.before_last.push(0),
                (Some(""), true) => days.nearest_before_last.push(0),
                (Some(rest), is_nearest) => {
                    let before = rest.strip_prefix('-').and_then(|before| before.parse().ok());
                    let before = before.filter(|before| (1..=30).contains(before));
                    let before = before.ok_or_else(|| {
                        MONTH_DAY.error(item, "is not L-1 to L-30, counted from the last day")
                    })?;
                    if is_nearest { &mut days.nearest_before_last } else { &mut days.before_last }
                        .push(before);
                }
                (None, true) => days.nearest.push(MONTH_DAY.value(day)?),
                (None, false) => days.days |= MONTH_DAY.item(item)?,
            }
        }
        Ok(days)
    }

    pub(super) fn contains(&self, date: NaiveDate) -> bool {
        let last = u32::from(date.num_days_in_month());
        let before_last = |before: &u32| date.day() + before == last;
        let is_nearest = |day: u32| day >= 1 && day <= last && nearest_weekday(date, day) == Some(date);
        self.days & (1 << date.day()) != 0
            || self.before_last.iter().any(before_last)
            || self.nearest.iter().any(|day| is_nearest(*day))
            || self.nearest_before_last.iter().any(|before| is_nearest(last.saturating_sub(*before)))
    }
}

/// Returns the weekday nearest to a day of a date's month, and in that month.
fn nearest_weekday(date: NaiveDate, day: u32) -> Option<NaiveDate> {
    let wanted = date.with_day(day)?;
    let last = u32::from(date.num_days_in_month());
    let day = match wanted.weekday() {
        Weekday::Sat if day == 1 => 3,
        Weekday::Sat => day - 1,
        Weekday::Sun if day == last => day - 2,
        Weekday::Sun => day + 1,
        _ => day,
    };
    date.with_day(day)
}
