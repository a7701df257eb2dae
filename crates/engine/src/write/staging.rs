//! The folder that a statement's files lie in until they are published.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use datafusion::common::runtime::SpawnedTask;
use datafusion::error::Result;
use datafusion::execution::runtime_env::RuntimeEnv;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use super::location::Location;

/// The folder, beside the files or in the folder written to, that holds the staging of all statements. Readers pass by what
/// begins with an underscore, and folders.
pub(super) const STAGING: &str = "_nightjar";

/// The file that says that a statement is at work: its tasks give up where it is gone.
const OPEN: &str = "open";

/// How often a statement says that it is at work.
const HEARTBEAT: Duration = Duration::from_secs(600);

/// A staging whose statement has not been heard of for so long is removed by the next one.
const STALE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// On a file system a folder is there before the marker in it: one without is a statement's that begins, until it is so old.
const BEGINNING: Duration = Duration::from_secs(60);

/// How often a folder is made anew that another statement, the last one in it, has removed meanwhile.
const MOST_FOLDERS: usize = 100;

/// When it is looked once more whether a statement that was given up has written since. A process that ends waits a fifth of a second.
const LATE_WRITES: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(3),
];

/// A statement's staging, held open. Dropping it removes all that is in it, unless a journal says where it goes.
#[derive(Debug)]
pub(super) struct Staging {
    place: Location,
    store: Arc<dyn ObjectStore>,
    ended: bool,
    /// Set while the staging must outlive the statement: others carry out its journal.
    journaled: AtomicBool,
    _heartbeat: SpawnedTask<()>,
}

impl Staging {
    /// Opens a staging, and removes those beside it that dead statements left a day ago.
    pub(super) async fn open(place: &Location, runtime: &RuntimeEnv) -> Result<Self> {
        let store = place.store(runtime)?;
        if let Some(path) = place.local() {
            make_folder(&path).await?;
        }
        sweep(&store, place).await;
        let marker = place.file(OPEN)?.path().clone();
        store.put(&marker, PutPayload::new()).await?;
        let beats = Arc::clone(&store);
        let heartbeat = SpawnedTask::spawn(async move {
            loop {
                tokio::time::sleep(HEARTBEAT).await;
                // One beat that is missed does no harm.
                let _ = beats.put(&marker, PutPayload::new()).await;
            }
        });
        Ok(Self {
            place: place.clone(),
            store,
            ended: false,
            journaled: AtomicBool::new(false),
            _heartbeat: heartbeat,
        })
    }

    /// Where it is.
    pub(super) fn place(&self) -> &Location {
        &self.place
    }

    /// The object store that it is in.
    pub(super) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// Says whether there may be a journal: then what is staged is what the statement has done, and dropping the staging
    /// leaves it for who looks there next.
    pub(super) fn set_journaled(&self, journaled: bool) {
        self.journaled.store(journaled, Ordering::SeqCst);
    }

    /// Removes the staging, once what was in it has gone where it belongs.
    pub(super) async fn end(mut self) {
        self.ended = true;
        remove(&self.store, &self.place).await;
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if self.ended || self.journaled.load(Ordering::SeqCst) {
            return;
        }
        if let Some(path) = self.place.local() {
            remove_local(&path);
            // A write that a thread had begun goes on although its task is gone, and makes its folder anew.
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn_blocking(move || {
                    for pause in LATE_WRITES {
                        std::thread::sleep(pause);
                        remove_local(&path);
                    }
                });
            }
            return;
        }
        let (store, place) = (Arc::clone(&self.store), self.place.clone());
        // Without a runtime the process ends: the next statement sweeps.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { remove(&store, &place).await });
        }
    }
}

/// Returns whether the statement that a staging belongs to is still at work.
pub(super) async fn is_open(store: &dyn ObjectStore, place: &Location) -> Result<bool> {
    match store.head(place.file(OPEN)?.path()).await {
        Ok(_) => Ok(true),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Takes the marker away: the statement is not at work any more.
pub(super) async fn close(store: &Arc<dyn ObjectStore>, place: &Location) {
    if let Ok(marker) = place.file(OPEN) {
        let _ = store.delete(marker.path()).await;
    }
}

/// Removes all that is below a place, the marker first. What can't be removed is left for the next sweep.
pub(super) async fn remove(store: &Arc<dyn ObjectStore>, place: &Location) {
    if let Some(path) = place.local() {
        return remove_local(&path);
    }
    close(store, place).await;
    let found = store.list(Some(place.path())).try_collect::<Vec<_>>().await.unwrap_or_default();
    for object in found {
        let _ = store.delete(&object.location).await;
    }
}

/// Object stores know no folders, and would leave them behind.
fn remove_local(path: &std::path::Path) {
    let _ = std::fs::remove_dir_all(path);
    if let Some(parent) = path.parent() {
        // Others may be at work in it: then it stays.
        let _ = std::fs::remove_dir(parent);
    }
}

/// Makes a staging's folder. The folder of all stagings goes with the last of them, perhaps right now.
async fn make_folder(path: &std::path::Path) -> Result<()> {
    for _ in 0..MOST_FOLDERS {
        match std::fs::create_dir_all(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => tokio::task::yield_now().await,
            made => return Ok(made?),
        }
    }
    Ok(std::fs::create_dir_all(path)?)
}

/// Removes the stagings beside `place` that nobody holds open.
async fn sweep(store: &Arc<dyn ObjectStore>, place: &Location) {
    let Ok(all) = place.parent() else { return };
    let found = store.list_with_delimiter(Some(all.path())).await;
    for other in found.map(|found| found.common_prefixes).unwrap_or_default() {
        let name = other.filename().unwrap_or_default().to_owned();
        let Ok(other) = all.folder(&[&name]) else { continue };
        if &other != place && is_dead(store.as_ref(), &other).await {
            remove(store, &other).await;
        }
    }
}

async fn is_dead(store: &dyn ObjectStore, place: &Location) -> bool {
    let Ok(marker) = place.file(OPEN) else { return false };
    match store.head(marker.path()).await {
        Ok(marker) => {
            let age = (unix_seconds() - marker.last_modified.timestamp()).max(0);
            age > STALE_AFTER.as_secs() as i64 && !is_publishing(store, place).await
        }
        // Its statement is done, and has left something behind.
        Err(object_store::Error::NotFound { .. }) => {
            !is_beginning(place) && !is_publishing(store, place).await
        }
        Err(_) => false,
    }
}

/// Returns whether a folder without a marker may be one whose marker comes.
fn is_beginning(place: &Location) -> bool {
    let Some(path) = place.local() else { return false };
    let made = path.metadata().and_then(|found| found.modified());
    made.is_ok_and(|made| made.elapsed().is_ok_and(|age| age < BEGINNING))
}

/// Returns whether a staging's files are on their way: what is left of it then is not to be lost.
async fn is_publishing(store: &dyn ObjectStore, place: &Location) -> bool {
    match place.file(super::journal::JOURNAL) {
        Ok(journal) => !matches!(store.head(journal.path()).await, Err(object_store::Error::NotFound { .. })),
        Err(_) => true,
    }
}

/// Seconds since 1970.
fn unix_seconds() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// Returns where an object lies below a place.
pub(super) fn below(place: &Path, object: &Path) -> Option<String> {
    let rest: Vec<_> = object.prefix_match(place)?.collect();
    Some(rest.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join("/"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn staging_ends_with_its_statement_and_dead_ones_are_swept() {
        let folder = tempfile::tempdir().unwrap();
        let root = Location::parse(&format!("file://{}/", folder.path().display())).unwrap();
        let runtime = RuntimeEnv::default();
        let at = |name: &str| root.folder(&[STAGING, name]).unwrap();
        let living = Staging::open(&at("living"), &runtime).await.unwrap();
        // What a task leaves that ends after its statement.
        let late = at("late").local().unwrap();
        fs::create_dir_all(late.join("0-x")).unwrap();
        fs::write(late.join("0-x/a.parquet"), "rows").unwrap();
        let old = std::time::SystemTime::now() - 2 * BEGINNING;
        fs::File::open(&late).unwrap().set_modified(old).unwrap();
        // What another one has just made.
        let beginning = at("beginning").local().unwrap();
        fs::create_dir(&beginning).unwrap();
        let staging = Staging::open(&at("mine"), &runtime).await.unwrap();
        fs::write(staging.place().local().unwrap().join("half"), "x").unwrap();
        assert!(!late.exists() && beginning.exists());
        fs::remove_dir(beginning).unwrap();
        assert!(is_open(staging.store().as_ref(), staging.place()).await.unwrap());
        drop(staging);
        assert!(!at("mine").local().unwrap().exists());
        assert!(living.place().local().unwrap().exists());
        living.end().await;
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "the folder of all staging goes too");
    }

    #[test]
    fn paths_below_a_place() {
        let below = |place: &str, object: &str| below(&Path::from(place), &Path::from(object));
        assert_eq!(below("a/b", "a/b/c=1/d.parquet").as_deref(), Some("c=1/d.parquet"));
        assert_eq!(below("a/b", "a/bc/d"), None);
    }
}
