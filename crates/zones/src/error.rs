//! What can be wrong with a zone's name.

use thiserror::Error;

/// A zone that the rules don't have.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum ZoneError {
    /// No release at hand has it.
    #[error("unknown time zone '{zone}'")]
    Unknown {
        /// The name as written.
        zone: String,
        /// The nearest name that the rules have.
        nearest: Option<String>,
    },
    /// The rules that decide lack it, and another copy has it.
    #[error(
        "time zone '{zone}' is missing from the rules in use, release {decides}; only release {known_to} has it"
    )]
    OnlyElsewhere {
        /// The name as written.
        zone: String,
        /// The rules that decide.
        decides: String,
        /// The rules that have the zone.
        known_to: String,
    },
    /// Arrow, which SQL computes with, lacks it.
    #[error(
        "time zone '{zone}' is in release {decides} but not in {arrow}, the release that SQL computes with"
    )]
    UnknownToArrow {
        /// The name as written.
        zone: String,
        /// The rules that decide.
        decides: String,
        /// Arrow's release.
        arrow: String,
    },
    /// The zone's file can't be read.
    #[error("time zone '{zone}' can't be read from {path}: {reason}")]
    Unreadable {
        /// The name as written.
        zone: String,
        /// The file.
        path: String,
        /// Why not.
        reason: String,
    },
}

impl ZoneError {
    /// What to type instead.
    pub fn hint(&self) -> String {
        match self {
            Self::Unknown { nearest: Some(nearest), .. } => format!("did you mean '{nearest}'?"),
            Self::Unknown { nearest: None, .. } => {
                "name a zone as the IANA database does, such as 'Europe/Paris' or 'UTC'".to_owned()
            }
            Self::OnlyElsewhere { .. } => {
                "name the zone by a city that both releases have, or update the machine's tzdata".to_owned()
            }
            Self::UnknownToArrow { .. } => {
                "schedules can use it; in a query name a zone with the same clock, or an offset such as '+01:00'".to_owned()
            }
            Self::Unreadable { .. } => {
                "install the machine's tzdata again, or unset TZDIR to use the rules that nightjar carries"
                    .to_owned()
            }
        }
    }
}
