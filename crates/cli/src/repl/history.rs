//! The statements typed before, in a file that only their author reads.

use std::fs::OpenOptions;
use std::path::PathBuf;

use etcetera::BaseStrategy;

use super::Line;

/// The file of the history, where the platform has a place for it and it can be written.
pub(super) struct History {
    path: Option<PathBuf>,
}

impl History {
    /// Returns the history in the platform's data folder. Without one, nothing is remembered.
    pub(super) fn open() -> Self {
        let strategy = etcetera::base_strategy::choose_native_strategy().ok();
        let path = strategy.map(|strategy| strategy.data_dir().join("nightjar").join("history"));
        Self { path: path.filter(|path| create_private(path).is_ok()) }
    }

    pub(super) fn load(&self, line: &mut Line) {
        if let Some(path) = &self.path {
            // An empty or foreign file is no history.
            let _ = line.load_history(path);
        }
    }

    /// Adds what was typed since; several prompts may share the file.
    pub(super) fn append(&self, line: &mut Line) {
        if let Some(path) = &self.path {
            // A full disk must not stop the work.
            let _ = line.append_history(path);
        }
    }
}

/// Makes the file if it isn't there, for its owner only: statements may hold secrets.
fn create_private(path: &std::path::Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let file = options.open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    }
    drop(file);
    Ok(())
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn nobody_else_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/history");
        super::create_private(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        super::create_private(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
