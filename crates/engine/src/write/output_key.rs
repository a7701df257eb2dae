//! What tells the files that a statement publishes from all others, so that the same statement, run again, replaces them.

use std::fmt;
use std::sync::Arc;

use datafusion::error::Result;
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::path::Path;

use super::location::Location;
use super::staging::{STAGING, below};

/// What the names of published files begin with.
const PART: &str = "part-";

/// Whose output a statement writes: a statement that runs again under the key that it had takes the place of what it has
/// published before.
///
/// Files that are added to a folder bear the key in their names. It is no setting of the session: whoever starts a statement gives it
/// ([`crate::Session::start_as`]), and it stays in the coordinator.
#[derive(Clone)]
pub struct OutputKey {
    name: String,
    again: bool,
    may_publish: Arc<dyn Fn() -> Result<()> + Send + Sync>,
}

impl OutputKey {
    /// Returns a key. `name` has letters, digits and hyphens, and is one that no other statement of any store has. `again` says whether
    /// the statement may have published before: what bears its key is looked for then. `may_publish` is asked once more when all is
    /// written, right before it becomes visible; its error is the statement's.
    pub fn new(
        name: String,
        again: bool,
        may_publish: impl Fn() -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self { name, again, may_publish: Arc::new(may_publish) }
    }

    /// Asks whether the statement is still the one to publish.
    pub(super) fn check(&self) -> Result<()> {
        (self.may_publish)()
    }

    /// Whether the statement may have published before.
    pub(crate) fn is_again(&self) -> bool {
        self.again
    }

    /// Returns the files of a folder, and of the folders of partition values in it, that bear the key.
    ///
    /// Cost: a listing of all that is below the folder.
    pub(super) async fn files(&self, store: &Arc<dyn ObjectStore>, target: &Location) -> Result<Vec<Path>> {
        let found: Vec<_> = store.list(Some(target.path())).try_collect().await?;
        let mut files: Vec<_> = found.into_iter().map(|file| file.location).collect();
        files.retain(|path| {
            let is_staged =
                below(target.path(), path).is_none_or(|path| path.split('/').any(|name| name == STAGING));
            !is_staged && path.filename().is_some_and(|name| self.is_in(name))
        });
        files.sort();
        Ok(files)
    }

    /// Whether a file's name bears the key, or that of a later statement of the same run. Keys of runs are `run7s2-mark`: the second statement.
    pub(super) fn is_of_run(&self, file: &str) -> bool {
        let Some(of_file) = behind_index(file) else { return false };
        match (parts(&self.name), parts(of_file)) {
            (Some((run, statement, mark)), Some((other, later, rest))) => {
                let same = rest.strip_prefix(mark).is_some_and(|rest| rest.starts_with('-'));
                run == other && later >= statement && same
            }
            _ => self.is_in(file),
        }
    }

    /// Whether a file's name bears the key.
    fn is_in(&self, file: &str) -> bool {
        behind_index(file)
            .and_then(|rest| rest.strip_prefix(&self.name))
            .is_some_and(|rest| rest.starts_with('-'))
    }
}

/// Returns what follows the number in the name of a file that was published.
fn behind_index(file: &str) -> Option<&str> {
    let (index, rest) = file.strip_prefix(PART)?.split_once('-')?;
    index.bytes().all(|byte| byte.is_ascii_digit()).then_some(rest)
}

/// Returns the run of a key, the number of the statement, and what follows.
fn parts(key: &str) -> Option<(&str, u32, &str)> {
    let (head, mark) = key.split_once('-')?;
    let (run, statement) = head.strip_prefix("run")?.split_once('s')?;
    Some((run, statement.parse().ok()?, mark))
}

impl fmt::Debug for OutputKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutputKey")
            .field("name", &self.name)
            .field("again", &self.again)
            .finish_non_exhaustive()
    }
}

/// Returns what the names of all files have in common that are published at once, and no others have: a key that is published
/// again gets new names too, so that nobody reads a file that changes.
pub(super) fn run_name(key: Option<&OutputKey>) -> String {
    let random = &uuid::Uuid::new_v4().simple().to_string()[..12];
    key.map_or_else(|| random.to_owned(), |key| format!("{}-{random}", key.name))
}

/// Returns the name under which a staged file is published, below the folder written to.
pub(super) fn file_name(index: usize, run: &str, staged: &str) -> String {
    let (folders, name) = staged.rsplit_once('/').unwrap_or(("", staged));
    let ending = name.split_once('.').map_or("", |(_, ending)| ending);
    // The first folder is the task's; those of partition values follow.
    let folders = folders.split_once('/').map_or(String::new(), |(_, values)| format!("{values}/"));
    format!("{folders}{PART}{index:05}-{run}.{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_from_names() {
        let key = OutputKey::new("run7s1-0a".to_owned(), true, || Ok(()));
        let name = file_name(3, &run_name(Some(&key)), "0-x/k=1/a.csv.gz");
        assert!(name.starts_with("k=1/part-00003-run7s1-0a-") && name.ends_with(".csv.gz"), "{name}");
        assert!(key.is_in(name.rsplit_once('/').unwrap().1));
        for other in [
            "part-00003-0123456789ab.csv",
            "part-00003-run7s1-0a.csv",
            "part-00003-run7s1-0ab-1.csv",
            "part-00003-run7s11-0a-1.csv",
            "part-00003-run17s1-0a-1.csv",
            "part-x-run7s1-0a-1.csv",
            "run7s1-0a-1.csv",
        ] {
            assert!(!key.is_in(other), "{other}");
        }
        let other = run_name(None);
        assert!(!key.is_in(&file_name(3, &other, "0-x/a.csv")));
        for (file, hidden) in [
            ("part-00003-run7s1-0a-1.csv", true),
            ("part-00000-run7s12-0a-1.csv", true),
            ("part-00000-run7s0-0a-1.csv", false),
            ("part-00000-run7s2-0b-1.csv", false),
            ("part-00000-run71s2-0a-1.csv", false),
            ("part-00000-run7s2-0ab-1.csv", false),
            ("part-00003-0123456789ab.csv", false),
        ] {
            assert_eq!(key.is_of_run(file), hidden, "{file}");
        }
    }
}
