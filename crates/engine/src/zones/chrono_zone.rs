//! A zone's rules as chrono asks for them.

use chrono::{FixedOffset, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone};
use nightjar_zones::{WallTime, Zone};

/// A zone for chrono's arithmetic.
#[derive(Debug, Clone)]
pub(super) struct ChronoZone(pub(super) Zone);

/// How far a wall clock is ahead of UTC at a moment.
#[derive(Debug, Clone)]
pub(super) struct ZoneOffset {
    zone: ChronoZone,
    offset: FixedOffset,
}

impl Offset for ZoneOffset {
    fn fix(&self) -> FixedOffset {
        self.offset
    }
}

impl ChronoZone {
    fn offset_at(&self, moment: i64) -> ZoneOffset {
        let seconds = i32::try_from(self.0.offset_seconds(moment)).ok();
        // The rules of zones have no offset of a day or more.
        let offset = seconds.and_then(FixedOffset::east_opt).unwrap_or(chrono::Utc.fix());
        ZoneOffset { zone: self.clone(), offset }
    }
}

impl TimeZone for ChronoZone {
    type Offset = ZoneOffset;

    fn from_offset(offset: &ZoneOffset) -> Self {
        offset.zone.clone()
    }

    fn offset_from_local_date(&self, local: &NaiveDate) -> LocalResult<ZoneOffset> {
        self.offset_from_local_datetime(&local.and_time(NaiveTime::MIN))
    }

    fn offset_from_local_datetime(&self, local: &NaiveDateTime) -> LocalResult<ZoneOffset> {
        match self.0.moments(local.and_utc().timestamp()) {
            WallTime::Once(moment) => LocalResult::Single(self.offset_at(moment)),
            WallTime::Twice(first, second) => {
                LocalResult::Ambiguous(self.offset_at(first), self.offset_at(second))
            }
            WallTime::Never(_) => LocalResult::None,
        }
    }

    fn offset_from_utc_date(&self, utc: &NaiveDate) -> ZoneOffset {
        self.offset_from_utc_datetime(&utc.and_time(NaiveTime::MIN))
    }

    fn offset_from_utc_datetime(&self, utc: &NaiveDateTime) -> ZoneOffset {
        self.offset_at(utc.and_utc().timestamp())
    }
}
