//! The rules of time zones that schedules and SQL go by.
//!
//! Two copies of the IANA's database are at hand: the machine's zone files (`TZDIR`, or `/usr/share/zoneinfo`) and the one that the
//! program carries. The newer release decides, for the whole process and for all zones: [`rules`] says which one that is. Two
//! releases are never mixed: a zone that only the other one knows is an error.
//!
//! Arrow computes with a third copy, `chrono-tz`, which is no longer updated. [`arrow_zone`] compares it with the rules that
//! decide, zone by zone, so that SQL knows where it must not rely on Arrow.
//!
//! ```
//! use nightjar_zones::rules;
//! let paris = rules().zone("Europe/Paris")?;
//! // 2026-07-01 00:00 UTC: summer time.
//! assert_eq!(paris.offset_seconds(1_782_864_000), 7_200);
//! # Ok::<(), nightjar_zones::ZoneError>(())
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod arrow;
mod error;
mod folder;
mod release;
mod rules;
mod zone;

pub use arrow::{ARROW_RELEASE, ArrowZone, arrow_zone};
pub use error::ZoneError;
pub use release::Release;
pub use rules::{ZoneRules, rules};
pub use zone::{WallTime, Zone};
