//! Folders of compiled zone files, as `zic` writes them.

use std::path::{Path, PathBuf};

use crate::release::Release;
use crate::{Zone, ZoneError};

/// Where systems keep their zone files.
const SYSTEM_FOLDERS: [&str; 4] =
    ["/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/usr/lib/zoneinfo", "/etc/zoneinfo"];

/// The files that name a release: the BSDs' and macOS's, and the text form that most distributions install.
const RELEASE_FILES: [&str; 3] = ["+VERSION", "version", "tzdata.zi"];

/// How much of a file is looked at for its release, in bytes.
const LOOKED_AT: u64 = 200;

/// A folder of zone files.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ZoneFolder {
    pub(crate) path: PathBuf,
    /// None where nothing in the folder names it.
    pub(crate) release: Option<Release>,
    /// Whether the user has named the folder.
    pub(crate) is_named: bool,
}

impl ZoneFolder {
    /// Returns the folder that `TZDIR` names, else the system's.
    pub(crate) fn of_machine(tzdir: Option<&Path>) -> Option<Self> {
        let named = tzdir.filter(|path| path.is_dir()).map(|path| (path.to_owned(), true));
        let system = || SYSTEM_FOLDERS.iter().map(PathBuf::from).find(|path| path.is_dir());
        let (path, is_named) = named.or_else(|| Some((system()?, false)))?;
        Some(Self { release: release_of(&path), path, is_named })
    }

    /// Returns a zone; None where there is no file of that name.
    ///
    /// Errors: a file that is no zone file.
    pub(crate) fn zone(&self, name: &str) -> Result<Option<Zone>, ZoneError> {
        if !is_plain(name) {
            return Ok(None);
        }
        let path = self.path.join(name);
        let unreadable = |reason: String| ZoneError::Unreadable {
            zone: name.to_owned(),
            path: path.display().to_string(),
            reason,
        };
        match std::fs::read(&path) {
            Ok(bytes) if bytes.starts_with(b"TZif") => Zone::tzif(name, &bytes).map(Some).map_err(unreadable),
            // `tzdata.zi` and the other lists lie among the zones.
            Ok(_) => Ok(None),
            Err(_) if !path.is_file() => Ok(None),
            Err(error) => Err(unreadable(error.to_string())),
        }
    }
}

/// Whether a name can be a zone's, and leads to no other folder. `right/` has files that count leap seconds.
fn is_plain(name: &str) -> bool {
    let part = |part: &str| !part.is_empty() && !part.starts_with('.');
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-/".contains(&byte);
    name.bytes().all(letters)
        && name.split('/').all(part)
        && !name.starts_with("right/")
        && !name.starts_with("posix/")
}

fn release_of(folder: &Path) -> Option<Release> {
    RELEASE_FILES.iter().find_map(|name| {
        use std::io::Read;
        let mut text = Vec::new();
        std::fs::File::open(folder.join(name)).ok()?.take(LOOKED_AT).read_to_end(&mut text).ok()?;
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().next()?;
        Release::parse(line.trim_start_matches("# version "))
    })
}
