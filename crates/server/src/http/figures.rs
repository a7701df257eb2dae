//! How numbers, durations and times are written for people.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};

/// Returns the time that jobs go by, in microseconds since 1970 UTC.
pub(super) fn now() -> i64 {
    nightjar_statements::now().timestamp_micros()
}

/// Returns a time in microseconds since 1970 UTC.
pub(super) fn micros(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Returns a count with its thousands apart.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns microseconds with their two largest units.
pub(super) fn duration(micros: i64) -> String {
    let micros = micros.max(0);
    let seconds = micros / 1_000_000;
    let of = |large: i64, big: &str, small: i64, little: &str| match (seconds % large) / small {
        0 => format!("{} {big}", seconds / large),
        rest => format!("{} {big} {rest} {little}", seconds / large),
    };
    match seconds {
        0 if micros < 1_000 => format!("{micros} µs"),
        0 => format!("{} ms", micros / 1_000),
        1..60 => format!("{seconds}.{} s", micros % 1_000_000 / 100_000),
        60..3_600 => of(60, "min", 1, "s"),
        3_600..86_400 => of(3_600, "h", 60, "min"),
        _ => of(86_400, "d", 3_600, "h"),
    }
}

/// Returns how far a time is away.
pub(super) fn distance(at: i64, now: i64) -> String {
    let away = at.saturating_sub(now);
    // Less than a second is no news, and seconds are whole.
    match away.saturating_abs() / 1_000_000 * 1_000_000 {
        0 => "now".to_owned(),
        whole => {
            let text = duration(whole).replace(".0 s", " s");
            if away > 0 { format!("in {text}") } else { format!("{text} ago") }
        }
    }
}

/// Returns a time as people read it, without its zone, and as machines do.
pub(super) fn moment(at: i64) -> Option<(String, String)> {
    let time: DateTime<Utc> = DateTime::from_timestamp_micros(at)?;
    Some((time.format("%Y-%m-%d %H:%M:%S").to_string(), time.to_rfc3339_opts(SecondsFormat::Secs, true)))
}

/// Returns a value with about four significant digits.
pub(super) fn value(number: f64) -> String {
    if !number.is_finite() {
        return "undefined".to_owned();
    }
    let size = number.abs();
    if size != 0.0 && !(1e-3..1e7).contains(&size) {
        return format!("{number:.3e}");
    }
    let places = if size >= 1_000.0 {
        1
    } else if size >= 10.0 {
        2
    } else {
        4
    };
    let text = format!("{number:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        let of = [-5, 12, 12_000, 1_250_000, 60_000_000, 3_725_000_000, 90_000_000_000].map(duration);
        assert_eq!(of, ["0 µs", "12 µs", "12 ms", "1.2 s", "1 min", "1 h 2 min", "1 d 1 h"]);
        let of = [0, -400_000, 5_000_000, -61_500_000, i64::MAX].map(|away| distance(away, 0));
        assert_eq!(of[..4], ["now", "now", "in 5 s", "1 min 1 s ago"]);
        let of = [0.0, 0.5, 0.123_456, 12.5, 12_345.67, 2e-5, f64::NAN].map(value);
        assert_eq!(of, ["0", "0.5", "0.1235", "12.5", "12345.7", "2.000e-5", "undefined"]);
        assert_eq!(moment(0).unwrap().1, "1970-01-01T00:00:00Z");
        assert_eq!(moment(i64::MAX), None);
    }
}
