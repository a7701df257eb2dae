//! The calendar that Spark 2 had, and Spark 3 has on request: Julian before 1582-10-15, Gregorian from then on.
//!
//! Days and instants of it stand for what its calendar showed, so the same date is another number here. Spark's own rule is
//! followed: a Julian 29 February that the Gregorian year doesn't have is 1 March.

/// The day 1582-10-15, from which both calendars are one.
const GREGORIAN_FROM_DAY: i32 = -141_427;

/// The second 1900-01-01T00:00:00Z, from which Java's two libraries know the same offsets of all zones.
const SAME_OFFSETS_FROM_SECOND: i64 = -2_208_988_800;

const SECONDS_PER_DAY: i64 = 86_400;

/// The Julian day number of 1970-01-01.
const UNIX_EPOCH_JULIAN_DAY: i64 = 2_440_588;

/// Returns the day that a day of the hybrid calendar shows.
pub(super) fn hybrid_day(day: i32) -> i32 {
    if day >= GREGORIAN_FROM_DAY {
        return day;
    }
    let (year, month, of_month) = julian_date(i64::from(day));
    // Within three weeks of the day, so in range but for days that no calendar shows.
    i32::try_from(gregorian_day(year, month, of_month)).unwrap_or(day)
}

/// Returns the instant that an instant of the hybrid calendar shows, or None for one that depends on what its writer's zone was
/// before 1900. `in_utc` says that it was UTC.
pub(super) fn hybrid_instant(value: i64, per_second: i64, in_utc: bool) -> Option<i64> {
    if value.div_euclid(per_second) >= SAME_OFFSETS_FROM_SECOND {
        return Some(value);
    }
    if !in_utc {
        return None;
    }
    let per_day = per_second.checked_mul(SECONDS_PER_DAY)?;
    let day = i32::try_from(value.div_euclid(per_day)).ok()?;
    let shift = i64::from(hybrid_day(day)) - i64::from(day);
    value.checked_add(shift.checked_mul(per_day)?)
}

/// Whether a day and all after it are the same in both calendars.
pub(super) fn is_gregorian(day: i64) -> bool {
    day >= i64::from(GREGORIAN_FROM_DAY)
}

/// Whether an instant and all after it are the same in both, in every zone.
pub(super) fn is_of_known_offset(value: i64, per_second: i64) -> bool {
    value.div_euclid(per_second) >= SAME_OFFSETS_FROM_SECOND
}

/// Returns year, month and day of the month that a day has in the Julian calendar.
fn julian_date(day: i64) -> (i64, i64, i64) {
    // Years that begin in March, from −4800 on; four of them have 1461 days, five months from March or August 153.
    let days = day + UNIX_EPOCH_JULIAN_DAY + 32_082;
    let years = (4 * days + 3).div_euclid(1461);
    let of_year = days - (1461 * years).div_euclid(4);
    let months = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * months + 2) / 5 + 1;
    (years - 4800 + months / 10, months + 3 - 12 * (months / 10), of_month)
}

/// Returns the day of a date in the Gregorian calendar.
fn gregorian_day(year: i64, month: i64, of_month: i64) -> i64 {
    let before_march = i64::from(month <= 2);
    let (years, months) = (year + 4800 - before_march, month + 12 * before_march - 3);
    let leap_days = years.div_euclid(4) - years.div_euclid(100) + years.div_euclid(400);
    of_month + (153 * months + 2) / 5 + 365 * years + leap_days - 32_045 - UNIX_EPOCH_JULIAN_DAY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_show_what_the_hybrid_calendar_showed() {
        for (hybrid, date) in [
            // As Spark's own tests have them.
            (-719_164, (1, 1, 1)),
            (-682_945, (100, 3, 1)),
            (-354_280, (1000, 1, 1)),
            (-141_428, (1582, 10, 4)),
            (-141_427, (1582, 10, 15)),
            (0, (1970, 1, 1)),
            // Julian 29 February 1000.
            (-354_221, (1000, 3, 1)),
        ] {
            let (year, month, day) = date;
            assert_eq!(i64::from(hybrid_day(hybrid)), gregorian_day(year, month, day), "{date:?}");
        }
        assert_eq!(gregorian_day(1970, 1, 1), 0);
        assert_eq!(gregorian_day(1, 1, 1), -719_162);
        assert_eq!(gregorian_day(1000, 1, 1), -354_285);
        assert_eq!(gregorian_day(1582, 10, 15), i64::from(GREGORIAN_FROM_DAY));
    }

    #[test]
    fn instants_move_by_whole_days_and_unknown_offsets_are_none() {
        let micros = 1_000_000;
        let day = SECONDS_PER_DAY * micros;
        assert_eq!(hybrid_instant(-354_280 * day + 5, micros, true), Some(-354_285 * day + 5));
        assert_eq!(hybrid_instant(-354_280 * day + 5, micros, false), None);
        assert_eq!(hybrid_instant(-1, micros, false), Some(-1));
        assert_eq!(hybrid_instant(-100_000 * day, micros, true), Some(-100_000 * day));
        assert_eq!(hybrid_instant(SAME_OFFSETS_FROM_SECOND * micros - 1, micros, false), None);
    }
}
