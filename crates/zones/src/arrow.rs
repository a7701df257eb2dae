//! Where Arrow's rules are not the ones that decide.

use std::collections::HashMap;
use std::sync::OnceLock;

use chrono::{DateTime, Offset, TimeZone};
use parking_lot::Mutex;

use crate::{Zone, ZoneError, rules};

/// The release of the rules that Arrow computes with.
pub const ARROW_RELEASE: &str = chrono_tz::IANA_TZDB_VERSION;

/// From which moment on rules are compared: 1970-01-01 00:00 UTC. Copies of the same release differ before, by how they are
/// packaged.
const FIRST: i64 = 0;

/// Until which moment rules are compared: 2100-01-01 00:00 UTC.
const LAST: i64 = 4_102_444_800;

/// How far apart the moments are that are compared beside those at which a clock is changed: a week.
const STEP: usize = 7 * 24 * 60 * 60;

/// What Arrow can be used for with a zone.
#[derive(Debug, Clone, PartialEq)]
pub enum ArrowZone {
    /// For everything: its rules are those that decide.
    Agrees,
    /// For nothing that depends on the wall clock: its rules are others. These decide.
    Differs(Zone),
}

/// Compares Arrow's rules of a zone with those that decide, from 1970 to 2099. Offsets such as `+05:30` agree.
///
/// Errors: a zone that is unknown to the rules that decide, or to Arrow.
///
/// Cost: below a millisecond for a zone's first time, a look into a table afterwards.
pub fn arrow_zone(name: &str) -> Result<ArrowZone, ZoneError> {
    static KNOWN: OnceLock<Mutex<HashMap<String, Result<ArrowZone, ZoneError>>>> = OnceLock::new();
    if name == "UTC" || name.starts_with(['+', '-']) {
        return Ok(ArrowZone::Agrees);
    }
    let known = KNOWN.get_or_init(Mutex::default);
    if let Some(found) = known.lock().get(name) {
        return found.clone();
    }
    let found = compare(name);
    known.lock().insert(name.to_owned(), found.clone());
    found
}

fn compare(name: &str) -> Result<ArrowZone, ZoneError> {
    let arrow: Option<chrono_tz::Tz> = name.parse().ok();
    let zone = match (rules().zone(name), &arrow) {
        (Ok(zone), _) => zone,
        (Err(ZoneError::Unknown { .. }), Some(_)) => {
            return Err(ZoneError::OnlyElsewhere {
                zone: name.to_owned(),
                decides: rules().to_string(),
                known_to: format!("{ARROW_RELEASE} (Arrow's)"),
            });
        }
        (Err(error), _) => return Err(error),
    };
    let Some(arrow) = arrow else {
        let (decides, arrow) = (rules().to_string(), ARROW_RELEASE.to_owned());
        return Err(ZoneError::UnknownToArrow { zone: name.to_owned(), decides, arrow });
    };
    let agrees = |moment: i64| {
        DateTime::from_timestamp(moment, 0).is_none_or(|time| {
            let offset = arrow.offset_from_utc_datetime(&time.naive_utc()).fix();
            i64::from(offset.local_minus_utc()) == zone.offset_seconds(moment)
        })
    };
    let changes = std::iter::successors(zone.next_change(FIRST), |change| zone.next_change(*change));
    let same = changes.take_while(|change| *change < LAST).all(|change| agrees(change - 1) && agrees(change))
        && (FIRST..LAST).step_by(STEP).all(agrees);
    Ok(if same { ArrowZone::Agrees } else { ArrowZone::Differs(zone) })
}
