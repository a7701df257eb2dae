//! The field of the weekdays.

use chrono::{Datelike, NaiveDate};

use super::field::{FieldError, WEEK_DAY};

/// Days of the week, by number from Sunday.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct WeekDays {
    every: u64,
    /// `5L`: the last one of the month.
    last: u64,
    /// `5#2`: a weekday, and which one of the month.
    nth: Vec<(u32, u32)>,
}

impl WeekDays {
    pub(super) fn parse(text: &str) -> Result<Self, FieldError> {
        let mut days = Self::default();
        for item in text.to_ascii_uppercase().split(',') {
            if let Some((day, which)) = item.split_once('#') {
                let day = WEEK_DAY.value(day)? % 7;
                match which {
                    "L" => days.last |= 1 << day,
                    _ => match which.parse() {
                        Ok(which @ 1..=5) => days.nth.push((day, which)),
                        _ => return Err(WEEK_DAY.error(item, "does not count from #1 to #5")),
                    },
                }
            } else if item == "L" {
                return Err(WEEK_DAY.error(
                    item,
                    "names no day: it is Saturday in some dialects and every last day in others",
                ));
            } else if let Some(day) = last_of_month(item) {
                days.last |= 1 << (WEEK_DAY.value(day)? % 7);
            } else {
                days.every |= WEEK_DAY.item(item)?;
            }
        }
        Ok(days)
    }

    pub(super) fn contains(&self, date: NaiveDate) -> bool {
        let day = date.weekday().num_days_from_sunday();
        let is_last = date.day() + 7 > u32::from(date.num_days_in_month());
        let which = (date.day() - 1) / 7 + 1;
        self.every & (1 << day) != 0
            || is_last && self.last & (1 << day) != 0
            || self.nth.contains(&(day, which))
    }
}

/// Returns the day in `5L`, `FRIL` or, as some dialects write it, `L5`.
fn last_of_month(item: &str) -> Option<&str> {
    item.strip_suffix('L').filter(|day| !day.is_empty()).or_else(|| item.strip_prefix('L'))
}
