//! What a statement that changes several files of a folder has still to do, written down before it begins.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::location::Location;

/// The file in a staging that holds the journal. Once it is written the statement has happened: whoever finds it carries
/// it out.
pub(super) const JOURNAL: &str = "publish";

/// What stands between the two paths of a move, and after the path of a removal: no path has tabs or line breaks, they
/// are encoded.
const TO: char = '\t';

/// A file's way from the staging to its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) from: Path,
    pub(super) to: Path,
}

/// The files to move, and the files that they replace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Journal {
    pub(super) moves: Vec<Move>,
    pub(super) removals: Vec<Path>,
}

impl Journal {
    /// Returns whether there is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        self.moves.is_empty() && self.removals.is_empty()
    }

    /// Returns the bytes of its file: a line for each move, with two paths, then one for each removal, with one.
    pub(super) fn write(&self) -> Vec<u8> {
        let moves = self.moves.iter().map(|Move { from, to }| format!("{from}{TO}{to}\n"));
        let removals = self.removals.iter().map(|path| format!("{path}{TO}\n"));
        moves.chain(removals).collect::<String>().into_bytes()
    }

    /// Returns the journal of a file.
    ///
    /// Errors: what is not the whole of one.
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        let broken = || DataFusionError::Execution("a journal of files to publish is damaged".to_owned());
        let text = std::str::from_utf8(bytes).map_err(|_| broken())?;
        let mut journal = Self::default();
        for line in text.lines() {
            let (from, to) = line.split_once(TO).ok_or_else(broken)?;
            let from = Path::parse(from).map_err(|_| broken())?;
            match to {
                "" => journal.removals.push(from),
                to => journal.moves.push(Move { from, to: Path::parse(to).map_err(|_| broken())? }),
            }
        }
        Ok(journal)
    }

    /// Makes the moves and then the removals, those that have been made before left out: rows are rather there twice for
    /// a moment, for who reads past all journals, than not at all.
    pub(super) async fn carry_out(&self, store: &Arc<dyn ObjectStore>, target: &Location) -> Result<()> {
        for Move { from, to } in &self.moves {
            match store.rename(from, to).await {
                // Somebody else has carried it out.
                Err(object_store::Error::NotFound { .. }) if store.head(to).await.is_ok() => {}
                other => other?,
            }
        }
        self.sync(target)?;
        for path in &self.removals {
            match store.delete(path).await {
                Err(object_store::Error::NotFound { .. }) => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// Has the disk keep the names of what was moved, before what it replaces goes.
    fn sync(&self, target: &Location) -> Result<()> {
        let Some(root) = target.local() else { return Ok(()) };
        let below = |place: &Move| {
            let rest: Vec<_> = place.to.prefix_match(target.path())?.collect();
            let folders = rest.split_last()?.1;
            // As the store names them on the disk.
            Some(folders.iter().fold(root.clone(), |path, folder| path.join(folder.as_ref())))
        };
        let folders: BTreeSet<_> = self.moves.iter().filter_map(below).chain([root.clone()]).collect();
        for folder in folders {
            match std::fs::File::open(folder) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                folder => folder?.sync_all()?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn journals_read_back() {
        let moves = vec![Move { from: Path::from("a/b=1 2/c"), to: Path::from("d") }];
        let removals = vec![Path::from("b=%2F/e\tf"), Path::from("g")];
        let journal = Journal { moves, removals };
        assert_eq!(Journal::read(&journal.write()).unwrap(), journal);
        assert!(Journal::read(b"half a line").is_err());
        assert!(Journal::read(&[0xff]).is_err());
    }
}
