//! One zone's rules.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

/// A time zone and its rules.
#[derive(Clone, PartialEq)]
pub struct Zone {
    name: Arc<str>,
    rules: TimeZone,
}

/// What a time on the wall clock stands for, in seconds since 1970-01-01 00:00 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WallTime {
    /// One moment.
    Once(i64),
    /// Two moments: the clock was put back.
    Twice(i64, i64),
    /// No moment: the clock was put forward at this one.
    Never(i64),
}

impl WallTime {
    /// Returns the moment: of two the first, and for none the one at which the clock was put forward.
    pub fn first(self) -> i64 {
        match self {
            Self::Once(moment) | Self::Twice(moment, _) | Self::Never(moment) => moment,
        }
    }
}

impl Zone {
    /// UTC, which needs no rules.
    pub fn utc() -> Self {
        Self { name: "UTC".into(), rules: TimeZone::UTC }
    }

    /// Reads a compiled zone file (RFC 9636).
    ///
    /// Errors: bytes that are none.
    pub fn tzif(name: &str, bytes: &[u8]) -> Result<Self, String> {
        let rules = TimeZone::tzif(name, bytes).map_err(|error| error.to_string())?;
        Ok(Self { name: name.into(), rules })
    }

    /// Returns the zone's name in the IANA's database.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether this is UTC by name.
    pub fn is_utc(&self) -> bool {
        &*self.name == "UTC"
    }

    /// Returns how far the wall clock is ahead of UTC at a moment.
    ///
    /// Units: seconds, of moments since 1970-01-01 00:00 UTC. Moments beyond the year 9999 have the offset of its end.
    pub fn offset_seconds(&self, moment: i64) -> i64 {
        i64::from(self.rules.to_offset(timestamp(moment)).seconds())
    }

    /// Returns what the wall clock shows at a moment, in seconds since it showed 1970-01-01 00:00.
    pub fn wall_seconds(&self, moment: i64) -> i64 {
        moment.saturating_add(self.offset_seconds(moment))
    }

    /// Returns the moments at which the wall clock shows a time.
    pub fn moments(&self, wall: i64) -> WallTime {
        let shown = Offset::UTC.to_datetime(timestamp(wall));
        let by = |offset: Offset| wall.saturating_sub(i64::from(offset.seconds()));
        match self.rules.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Unambiguous { offset } => WallTime::Once(by(offset)),
            AmbiguousOffset::Fold { before, after } => WallTime::Twice(by(before), by(after)),
            // By the later offset the time lies before the change, by the earlier one at it or after.
            AmbiguousOffset::Gap { before, after } => {
                WallTime::Never(self.next_change(by(after)).unwrap_or(by(before)))
            }
        }
    }

    /// Returns the first moment after this one at which the clock is put forward or back.
    pub fn next_change(&self, moment: i64) -> Option<i64> {
        let mut offset = self.offset_seconds(moment);
        let changes = self.rules.following(timestamp(moment));
        // Files also list moments at which only the name of the time changes.
        for change in changes {
            let after = i64::from(change.offset().seconds());
            if after != offset {
                return Some(change.timestamp().as_second());
            }
            offset = after;
        }
        None
    }
}

fn timestamp(seconds: i64) -> Timestamp {
    let seconds = seconds.clamp(Timestamp::MIN.as_second() + 1, Timestamp::MAX.as_second());
    Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Zone").field(&self.name).finish()
    }
}
