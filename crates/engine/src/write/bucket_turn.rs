//! Whose turn it is to replace files of a folder of a bucket, among all processes.
//!
//! An object beside the stagings, `_nightjar/turn`, names the statement whose turn it is, the length of its lease and a fence number that grows with
//! each turn. It is created and changed by conditional puts alone, so of two processes one succeeds. The holder changes it again and again; one that
//! has not changed for its lease, by the clock of who waits, is taken over. So clocks of machines need not agree.
//!
//! A holder that was stopped for longer must not publish: its journal waits under the name [`PREPARED`], its turn is renewed, and only then the journal
//! gets its name, by a copy in the bucket. Who takes a turn over removes what the other had prepared, so that the copy fails. The object stays when
//! the turn ends, without a holder: deleting it is never conditional.
//!
//! Stores without conditional puts have no turns: there, two processes that overwrite a folder at the same moment may leave the rows of both.

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result};
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion};
use tokio::sync::Mutex;

use super::location::Location;
use super::staging::STAGING;
use crate::error::EngineError;

/// The object's name, in the folder of the stagings: no reader takes it for data.
pub(super) const TURN: &str = "turn";

/// The file in a staging that holds a journal that has not happened.
pub(super) const PREPARED: &str = "prepared";

/// How long a holder that does not renew its turn keeps it. Longer than a request may take.
pub(super) const LEASE: Duration = Duration::from_secs(60);

/// How often another process's turn is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What the object begins with.
const HEAD: &str = "nightjar turn 1";

/// What the object says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    /// The staging of the statement whose turn it is; empty for nobody's.
    holder: String,
    /// Grows with each turn.
    fence: u64,
    /// Grows with each renewal.
    beat: u64,
    lease: Duration,
}

impl Record {
    fn write(&self) -> String {
        let Self { holder, fence, beat, lease } = self;
        format!("{HEAD}\nholder={holder}\nfence={fence}\nbeat={beat}\nlease_ms={}\n", lease.as_millis())
    }

    /// Returns what an object says; for a damaged one, a turn of somebody that does not renew it.
    fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let value = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            lines.next().map(str::to_owned)
        };
        let number = |name: &str| value(name).and_then(|text| text.parse::<u64>().ok());
        Self {
            holder: value("holder").unwrap_or_else(|| "?".to_owned()),
            fence: number("fence").unwrap_or(0),
            beat: number("beat").unwrap_or(0),
            lease: number("lease_ms").map_or(LEASE, Duration::from_millis),
        }
    }
}

/// A turn that is held. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct BucketTurn {
    lease: Arc<Lease>,
    ended: bool,
    _renewal: SpawnedTask<()>,
}

#[derive(Debug)]
struct Lease {
    store: Arc<dyn ObjectStore>,
    folder: Location,
    place: Path,
    held: Mutex<(Record, UpdateVersion)>,
}

/// What became of a conditional put.
enum Put {
    Done(UpdateVersion),
    /// The object is not as it was.
    Changed,
    /// The store has no conditional puts.
    Unknown,
}

impl BucketTurn {
    /// Waits for the turn of the statement with this staging. None where the store has no conditional puts.
    pub(super) async fn wait(
        store: &Arc<dyn ObjectStore>,
        folder: &Location,
        staging: &Location,
        lease: Duration,
    ) -> Result<Option<Self>> {
        let all = folder.folder(&[STAGING])?;
        let place = all.file(TURN)?.path().clone();
        let holder = staging.path().filename().unwrap_or_default().to_owned();
        let mine = |fence| Record { holder: holder.clone(), fence, beat: 0, lease };
        let mut seen: Option<(UpdateVersion, Instant)> = None;
        loop {
            let (next, mode, dead) = match read(store, &place).await? {
                None => (mine(1), PutMode::Create, None),
                Some((_, version)) if version.e_tag.is_none() => return Ok(None),
                // The answer to our own put was lost on its way.
                Some((found, version)) if found.holder == holder => {
                    return Ok(Some(Self::hold(store, folder, place, (found, version))));
                }
                Some((found, version)) => {
                    let since = match &seen {
                        Some((same, since)) if *same == version => *since,
                        _ => seen.insert((version.clone(), Instant::now())).1,
                    };
                    if !found.holder.is_empty() && since.elapsed() < found.lease {
                        tokio::time::sleep(LOOK_EVERY.min(found.lease / 4)).await;
                        continue;
                    }
                    (mine(found.fence + 1), PutMode::Update(version), Some(found.holder))
                }
            };
            // Before the turn changes hands: where this fails, the next one in line still reads whose journal is to go. A holder that is alive
            // after all renews its turn, and the put below finds it changed; that holder then publishes nothing.
            if let Some(dead) = dead.filter(|dead| !dead.is_empty()) {
                take_back(store, &all.folder(&[&dead])?).await?;
            }
            let creates = matches!(mode, PutMode::Create);
            let version = match put(store, &place, &next, mode).await? {
                Put::Done(version) => version,
                Put::Changed => continue,
                Put::Unknown => return Ok(None),
            };
            if creates && matches!(put(store, &place, &next, PutMode::Create).await?, Put::Done(_)) {
                // It takes conditions and doesn't look at them.
                store.delete(&place).await?;
                return Ok(None);
            }
            let turn = Self::hold(store, folder, place, (next, version));
            return Ok(Some(turn));
        }
    }

    fn hold(
        store: &Arc<dyn ObjectStore>,
        folder: &Location,
        place: Path,
        held: (Record, UpdateVersion),
    ) -> Self {
        let every = held.0.lease / 4;
        let (store, folder) = (Arc::clone(store), folder.clone());
        let lease = Arc::new(Lease { store, folder, place, held: Mutex::new(held) });
        let renewed = Arc::clone(&lease);
        let renewal = SpawnedTask::spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                // One that fails is tried again; whether the turn is lost is asked before publishing.
                let _ = renewed.renew().await;
            }
        });
        Self { lease, ended: false, _renewal: renewal }
    }

    /// Renews the turn, or fails where another process has taken it over.
    pub(super) async fn check(&self) -> Result<()> {
        self.lease.renew().await
    }

    /// Gives the turn back.
    pub(super) async fn end(mut self) {
        self.ended = true;
        self.lease.free().await;
    }
}

impl Drop for BucketTurn {
    fn drop(&mut self) {
        // Without a runtime the process ends, and the lease with it.
        if let (false, Ok(runtime)) = (self.ended, tokio::runtime::Handle::try_current()) {
            let lease = Arc::clone(&self.lease);
            runtime.spawn(async move { lease.free().await });
        }
    }
}

impl Lease {
    async fn renew(&self) -> Result<()> {
        let mut held = self.held.lock().await;
        let next = Record { beat: held.0.beat + 1, ..held.0.clone() };
        let version = match put(&self.store, &self.place, &next, PutMode::Update(held.1.clone())).await? {
            Put::Done(version) => version,
            Put::Changed | Put::Unknown => match read(&self.store, &self.place).await? {
                // The answer to our own put was lost on its way.
                Some((found, version)) if found == next => version,
                _ => return Err(lost(&self.folder)),
            },
        };
        *held = (next, version);
        Ok(())
    }

    /// Names no holder any more. Where that fails the lease ends.
    async fn free(&self) {
        let held = self.held.lock().await;
        let free = Record { holder: String::new(), ..held.0.clone() };
        let _ = put(&self.store, &self.place, &free, PutMode::Update(held.1.clone())).await;
    }
}

/// Returns the error of a statement whose turn another process has taken over.
pub(super) fn lost(folder: &Location) -> DataFusionError {
    EngineError::TurnLost { to: folder.to_string() }.into_datafusion()
}

/// Removes the journal that a statement has prepared, which then can't publish any more.
async fn take_back(store: &Arc<dyn ObjectStore>, staging: &Location) -> Result<()> {
    match store.delete(staging.file(PREPARED)?.path()).await {
        Err(Error::NotFound { .. }) => Ok(()),
        removed => Ok(removed?),
    }
}

async fn read(store: &Arc<dyn ObjectStore>, place: &Path) -> Result<Option<(Record, UpdateVersion)>> {
    let found = match store.get(place).await {
        Err(Error::NotFound { .. }) => return Ok(None),
        found => found?,
    };
    let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
    Ok(Some((Record::read(&found.bytes().await?), version)))
}

async fn put(store: &Arc<dyn ObjectStore>, place: &Path, record: &Record, mode: PutMode) -> Result<Put> {
    let options = PutOptions { mode, ..PutOptions::default() };
    match store.put_opts(place, record.write().into(), options).await {
        Ok(done) => Ok(Put::Done(UpdateVersion { e_tag: done.e_tag, version: done.version })),
        Err(Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::NotFound { .. }) => {
            Ok(Put::Changed)
        }
        Err(Error::NotImplemented { .. }) => Ok(Put::Unknown),
        Err(error) if is_unknown(&error) => Ok(Put::Unknown),
        Err(error) => Err(error.into()),
    }
}

/// Returns whether a server says that it doesn't know conditions.
fn is_unknown(error: &Error) -> bool {
    let said = error.to_string();
    ["NotImplemented", "status 501"].iter().any(|word| said.contains(word))
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    fn place() -> (Arc<dyn ObjectStore>, Location) {
        (Arc::new(InMemory::new()), Location::parse("s3://bucket/t/").unwrap())
    }

    fn staging(folder: &Location, name: &str) -> Location {
        folder.folder(&[STAGING, name]).unwrap()
    }

    async fn turn(store: &Arc<dyn ObjectStore>, folder: &Location, name: &str, lease: u64) -> BucketTurn {
        let staging = staging(folder, name);
        let turn = BucketTurn::wait(store, folder, &staging, Duration::from_millis(lease)).await;
        turn.unwrap().unwrap()
    }

    async fn says(store: &Arc<dyn ObjectStore>) -> Record {
        read(store, &Path::from("t/_nightjar/turn")).await.unwrap().unwrap().0
    }

    #[tokio::test]
    async fn one_waits_for_the_other() {
        let (store, folder) = place();
        let first = turn(&store, &folder, "first", 60_000).await;
        let waiting = tokio::spawn({
            let (store, folder) = (Arc::clone(&store), folder.clone());
            async move { turn(&store, &folder, "second", 60_000).await }
        });
        first.check().await.unwrap();
        assert!(!waiting.is_finished());
        first.end().await;
        let second = waiting.await.unwrap();
        let Record { holder, fence, .. } = says(&store).await;
        assert_eq!((holder.as_str(), fence), ("second", 2));
        // Given up, not ended.
        drop(second);
        turn(&store, &folder, "third", 60_000).await.end().await;
        let Record { holder, fence, .. } = says(&store).await;
        assert_eq!((holder.as_str(), fence), ("", 3));
    }

    #[tokio::test]
    async fn who_is_not_heard_of_loses_its_turn_and_what_it_has_prepared() {
        let (store, folder) = place();
        let prepared = staging(&folder, "dead").file(PREPARED).unwrap();
        store.put(prepared.path(), "a journal".into()).await.unwrap();
        let mut dead = turn(&store, &folder, "dead", 50).await;
        dead._renewal = SpawnedTask::spawn(async {});
        let next = turn(&store, &folder, "next", 60_000).await;
        assert_eq!(says(&store).await.fence, 2);
        assert!(matches!(store.head(prepared.path()).await, Err(Error::NotFound { .. })));
        let error = dead.check().await.unwrap_err();
        assert!(error.to_string().contains("another process took over"), "{error}");
        // What it gives back then is not its own.
        dead.end().await;
        next.check().await.unwrap();
        assert_eq!(says(&store).await.holder, "next");
    }

    #[tokio::test]
    async fn who_is_heard_of_keeps_its_turn_beyond_its_lease() {
        let (store, folder) = place();
        let long = turn(&store, &folder, "long", 400).await;
        let waiting = tokio::spawn({
            let (store, folder) = (Arc::clone(&store), folder.clone());
            async move { turn(&store, &folder, "second", 60_000).await }
        });
        while says(&store).await.beat < 6 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(!waiting.is_finished());
        long.check().await.unwrap();
        long.end().await;
        waiting.await.unwrap();
    }

    #[test]
    fn records_read_back() {
        let record =
            Record { holder: "a".to_owned(), fence: 7, beat: 2, lease: Duration::from_millis(1_500) };
        assert_eq!(Record::read(record.write().as_bytes()), record);
        // One that is damaged is somebody's that doesn't renew it.
        assert_eq!(Record::read(b"\xff").lease, LEASE);
        assert!(!Record::read(b"").holder.is_empty());
    }
}
