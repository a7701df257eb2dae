//! Dates and timestamps as they are written.

use datafusion::arrow::compute::kernels::cast_utils::Parser;
use datafusion::arrow::datatypes::{Date32Type, TimeUnit};

/// What a timestamp's text says beside the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Digits of the second's fraction.
    pub(super) fraction: usize,
    /// Whether it ends with Z or an offset.
    pub(super) zoned: bool,
    pub(super) year: u16,
}

fn digits(text: &[u8], from: usize, to: usize) -> Option<u16> {
    let part = text.get(from..to)?;
    part.iter().try_fold(0_u16, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u16::from(byte - b'0')))
}

/// Whether a text is a day: `2026-11-30`, and there is such a day.
pub(super) fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 10
        && bytes.get(4) == Some(&b'-')
        && bytes.get(7) == Some(&b'-')
        && digits(bytes, 0, 4).is_some_and(|year| year > 0)
        && digits(bytes, 5, 7).is_some()
        && digits(bytes, 8, 10).is_some()
        && Date32Type::parse(text).is_some()
}

/// Returns what a text says as a timestamp: a day, `T` or a space, `hh:mm:ss`, at most nine digits of a fraction, and at most
/// an offset (`Z`, `+02:00`, `+0200`, `+02`).
pub(super) fn stamp(text: &str) -> Option<Stamp> {
    let bytes = text.as_bytes();
    if bytes.len() < 19 || !matches!(bytes.get(10), Some(b'T' | b' ')) || !is_date(text.get(..10)?) {
        return None;
    }
    let colons = bytes.get(13) == Some(&b':') && bytes.get(16) == Some(&b':');
    let (hour, minute, second) = (digits(bytes, 11, 13)?, digits(bytes, 14, 16)?, digits(bytes, 17, 19)?);
    if !colons || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut rest = text.get(19..)?;
    let mut fraction = 0;
    if let Some(after) = rest.strip_prefix('.') {
        fraction = after.bytes().take_while(u8::is_ascii_digit).count();
        if fraction == 0 || fraction > 9 {
            return None;
        }
        rest = after.get(fraction..)?;
    }
    Some(Stamp { fraction, zoned: is_offset(rest)?, year: digits(bytes, 0, 4)? })
}

/// Whether what follows a time is an offset (true), nothing (false), or something else (None).
fn is_offset(text: &str) -> Option<bool> {
    if text.is_empty() {
        return Some(false);
    }
    if text == "Z" || text == "z" {
        return Some(true);
    }
    let rest = text.strip_prefix(['+', '-'])?.as_bytes();
    let hour = digits(rest, 0, 2)?;
    let minute = match rest.len() {
        2 => 0,
        4 => digits(rest, 2, 4)?,
        5 if rest.get(2) == Some(&b':') => digits(rest, 3, 5)?,
        _ => return None,
    };
    (hour <= 18 && minute <= 59).then_some(true)
}

/// Returns how many digits of a second's fraction a unit keeps.
pub(super) fn kept_digits(unit: TimeUnit) -> usize {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

/// Returns the coarsest unit that keeps so many digits.
pub(super) fn unit_of(fraction: usize) -> TimeUnit {
    match fraction {
        0 => TimeUnit::Second,
        1..=3 => TimeUnit::Millisecond,
        4..=6 => TimeUnit::Microsecond,
        _ => TimeUnit::Nanosecond,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times_as_they_are_written() {
        assert!(is_date("2024-02-29") && is_date("0001-01-01"));
        for other in ["2023-02-29", "2024-2-1", "20240201", "2024-02-01 ", "2024/02/01", "0000-01-01"] {
            assert!(!is_date(other), "{other}");
        }
        let at = |text| stamp(text).map(|stamp| (stamp.fraction, stamp.zoned));
        assert_eq!(at("2024-01-01T10:00:00"), Some((0, false)));
        assert_eq!(at("2024-01-01 10:00:00.123456Z"), Some((6, true)));
        assert_eq!(at("2024-01-01 10:00:00+02:00"), Some((0, true)));
        for other in [
            "2024-01-01T24:00:00",
            "2024-01-01T10:00",
            "2024-01-01T10:00:00.1234567890",
            "2024-01-01T10:00:00 UTC",
            "2024-01-01x10:00:00",
            "2024-01-01T10:00:00é",
        ] {
            assert_eq!(at(other), None, "{other}");
        }
    }
}
