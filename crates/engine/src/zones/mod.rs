//! Time zones in SQL, by the rules that decide.
//!
//! Arrow computes with rules of its own, which are no longer updated. [`CurrentZones`], an analyzer rule, finds what depends on a zone's wall
//! clock (casts, parts of dates, truncation, arithmetic with intervals, text) where Arrow's rules of that zone are not those that decide, and puts
//! functions of ours there ([`functions`]). A timestamp itself is an instant and needs no rules; where a result is printed or written as
//! text, [`with_zones_as_text`] does it. What neither covers is refused by the zone's name.

mod chrono_zone;
mod function;
mod printed;
mod rewrite;
mod rule;
mod values;

pub(crate) use function::functions;
pub use printed::with_zones_as_text;
pub(crate) use rule::{CurrentZones, check_columns, check_setting};
