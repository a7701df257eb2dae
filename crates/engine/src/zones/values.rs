//! What the functions do with one value. Timestamps are integers in a unit, since 1970-01-01 00:00.

use chrono::{DateTime, Days, Months, SecondsFormat, TimeDelta, TimeZone};
use datafusion::arrow::compute::kernels::cast_utils::string_to_datetime;
use datafusion::arrow::datatypes::{IntervalMonthDayNano, TimeUnit};
use nightjar_zones::{WallTime, Zone, rules};

use super::chrono_zone::ChronoZone;

/// How many of a unit are a second.
pub(super) fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// Returns what the wall clock shows at an instant.
pub(super) fn wall(zone: &Zone, unit: TimeUnit, value: i64) -> Option<i64> {
    let offset = zone.offset_seconds(value.div_euclid(per_second(unit)));
    value.checked_add(offset.checked_mul(per_second(unit))?)
}

/// Returns the instant at which the wall clock shows a time; of two, and of none, what `pick` says.
pub(super) fn instant(
    zone: &Zone,
    unit: TimeUnit,
    value: i64,
    pick: impl Fn(WallTime) -> Option<i64>,
) -> Option<i64> {
    let (seconds, rest) = (value.div_euclid(per_second(unit)), value.rem_euclid(per_second(unit)));
    let shown = zone.moments(seconds);
    // After a jump forward the clock shows none of the seconds that were left out, nor their parts.
    let rest = if matches!(shown, WallTime::Never(_)) { 0 } else { rest };
    pick(shown)?.checked_mul(per_second(unit))?.checked_add(rest)
}

/// One instant, or nothing: a time that comes twice or never stands for none in particular.
pub(super) fn only(shown: WallTime) -> Option<i64> {
    match shown {
        WallTime::Once(moment) => Some(moment),
        WallTime::Twice(..) | WallTime::Never(_) => None,
    }
}

fn date_time(zone: &Zone, unit: TimeUnit, value: i64) -> Option<DateTime<ChronoZone>> {
    let (seconds, rest) = (value.div_euclid(per_second(unit)), value.rem_euclid(per_second(unit)));
    let nanos = u32::try_from(rest * (1_000_000_000 / per_second(unit))).ok()?;
    Some(ChronoZone(zone.clone()).from_utc_datetime(&DateTime::from_timestamp(seconds, nanos)?.naive_utc()))
}

fn in_unit<Z: TimeZone>(time: &DateTime<Z>, unit: TimeUnit) -> Option<i64> {
    let per_second = per_second(unit);
    let rest = i64::from(time.timestamp_subsec_nanos()) / (1_000_000_000 / per_second);
    time.timestamp().checked_mul(per_second)?.checked_add(rest)
}

/// Returns an instant as text with its offset, as Arrow writes it.
pub(super) fn text(zone: &Zone, unit: TimeUnit, value: i64) -> Option<String> {
    let time = date_time(zone, unit, value)?.fixed_offset();
    Some(time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

/// Returns the instant that a text means: by its offset or the zone that it names, else by this zone's wall clock.
pub(super) fn parse(zone: &Zone, unit: TimeUnit, text: &str) -> Result<i64, String> {
    let text = text.trim();
    let out_of_range = || format!("'{text}' is out of the range of this type of timestamp");
    let (text, zone) = match split_zone(text) {
        Some((time, name)) => (time, rules().zone(name).map_err(|error| error.to_string())?),
        None => (text, zone.clone()),
    };
    let time = string_to_datetime(&ChronoZone(zone), text).map_err(|error| error.to_string())?;
    in_unit(&time, unit).ok_or_else(out_of_range)
}

/// Splits the name of a zone off a timestamp's text.
pub(super) fn split_zone(text: &str) -> Option<(&str, &str)> {
    let from = text.char_indices().skip(11).find(|(_, c)| c.is_ascii_alphabetic())?.0;
    let (time, name) = text.split_at(from);
    (name.len() > 1).then(|| (time.trim_end(), name))
}

/// Adds an interval as PostgreSQL does: months and days on the wall clock, then the rest as time that passes.
pub(super) fn add(
    zone: &Zone,
    unit: TimeUnit,
    value: i64,
    interval: IntervalMonthDayNano,
    sign: i64,
) -> Option<i64> {
    let mut time = date_time(zone, unit, value)?;
    let (months, days) = (i64::from(interval.months) * sign, i64::from(interval.days) * sign);
    let count = |n: i64| u32::try_from(n.unsigned_abs()).ok();
    if months != 0 {
        let months_count = Months::new(count(months)?);
        time = if months > 0 {
            time.checked_add_months(months_count)
        } else {
            time.checked_sub_months(months_count)
        }?;
    }
    if days != 0 {
        let days_count = Days::new(days.unsigned_abs());
        time = if days > 0 { time.checked_add_days(days_count) } else { time.checked_sub_days(days_count) }?;
    }
    let rest = TimeDelta::nanoseconds(interval.nanoseconds.checked_mul(sign)?);
    in_unit(&time.checked_add_signed(rest)?, unit)
}
