//! How staged files become visible.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::datasource::listing::ListingTableUrl;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::runtime_env::RuntimeEnv;
use nightjar_functions::readable;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::bucket_turn::{BucketTurn, PREPARED, lost};
use super::destination::{Destination, Kind, unfinished, unwritable};
use super::journal::{JOURNAL, Journal, Move};
use super::location::Location;
use super::output_key::{OutputKey, file_name, run_name};
use super::replaced::Replaced;
use super::staged::StagedFile;
use super::staging::{STAGING, Staging, close, remove};
use super::turn::Turn;

/// Moves a statement's files to where they belong, in the order of their partitions.
///
/// One file, and a new folder of a file system, appear at once. Into a folder that is there, and into a bucket, files are
/// moved one by one, after a journal of the moves was written, and then the files that they replace are removed: a process
/// that dies in between is taken over by the next that reads or writes there ([`settle`]). A statement that runs again under its
/// key replaces what it has added before, also by no files.
pub(super) async fn publish(
    staging: &Staging,
    destination: &Destination,
    replaced: Option<&Replaced>,
    key: Option<&OutputKey>,
    mut files: Vec<StagedFile>,
) -> Result<()> {
    files.sort_by_key(|file| file.partition);
    sync(staging.place(), &files)?;
    let target = &destination.target;
    let failed = |error: DataFusionError| unwritable(target, &readable(&error));
    let check = || key.map_or(Ok(()), OutputKey::check);
    match destination.kind {
        Kind::File => {
            check()?;
            to_file(staging, target, &files).await.map_err(failed)
        }
        Kind::NewFolder | Kind::Folder => {
            if destination.kind == Kind::NewFolder && !files.is_empty() {
                check()?;
                if to_new_folder(staging, target, &files, key)? {
                    return Ok(());
                }
            }
            let replaces = replaced.is_some() || key.is_some_and(OutputKey::is_again);
            let turn = if replaces { Some(Turn::wait(target, staging).await.map_err(failed)?) } else { None };
            let journal = journal(staging, target, replaced, key, &files).await.map_err(failed)?;
            check()?;
            let published =
                to_folder(staging, target, &journal, turn.as_ref().and_then(Turn::in_bucket)).await;
            if let Some(turn) = turn {
                turn.end().await;
            }
            published
        }
    }
}

fn moves(
    staging: &Location,
    target: &Path,
    files: &[StagedFile],
    key: Option<&OutputKey>,
) -> Result<Vec<Move>> {
    let run = run_name(key);
    let place = |(index, file): (usize, &StagedFile)| {
        let to = path(target, &file_name(index, &run, &file.path))?;
        Ok(Move { from: staged(staging, file)?, to })
    };
    files.iter().enumerate().map(place).collect()
}

fn staged(staging: &Location, file: &StagedFile) -> Result<Path> {
    path(staging.path(), &file.path)
}

/// Returns a path below a folder. Both are encoded as they should be.
fn path(folder: &Path, below: &str) -> Result<Path> {
    Ok(Path::parse(format!("{folder}/{below}")).map_err(object_store::Error::from)?)
}

async fn to_file(staging: &Staging, target: &Location, files: &[StagedFile]) -> Result<()> {
    let [file] = files else {
        return Err(DataFusionError::Internal(format!("{} files for one", files.len())));
    };
    staging.store().rename(&staged(staging.place(), file)?, target.path()).await?;
    sync_place(&target.parent()?)
}

/// Renames the whole folder into place. Returns false where somebody has made the folder meanwhile.
fn to_new_folder(
    staging: &Staging,
    target: &Location,
    files: &[StagedFile],
    key: Option<&OutputKey>,
) -> Result<bool> {
    let whole = staging.place().folder(&["whole"])?;
    let (Some(from), Some(to)) = (whole.local(), target.local()) else {
        return Ok(false);
    };
    let run = run_name(key);
    std::fs::create_dir_all(&from)?;
    for (index, file) in files.iter().enumerate() {
        let place = from.join(file_name(index, &run, &file.path));
        if let Some(folder) = place.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::rename(local_file(staging.place(), file), &place)?;
    }
    sync_place(&whole)?;
    if std::fs::rename(&from, &to).is_ok() {
        sync_place(&target.parent()?)?;
        return Ok(true);
    }
    // Back to where they were, to be moved one by one.
    for (index, file) in files.iter().enumerate() {
        let place = from.join(file_name(index, &run, &file.path));
        std::fs::rename(&place, local_file(staging.place(), file))?;
    }
    Ok(false)
}

/// Returns what a statement does to a folder that may have files.
async fn journal(
    staging: &Staging,
    target: &Location,
    replaced: Option<&Replaced>,
    key: Option<&OutputKey>,
    files: &[StagedFile],
) -> Result<Journal> {
    let moves = moves(staging.place(), target.path(), files, key)?;
    let again = key.filter(|key| key.is_again());
    if replaced.is_none() && again.is_none() {
        return Ok(Journal { moves, removals: Vec::new() });
    }
    // What others, or an earlier attempt, have published by now is replaced too.
    settle_in(staging.store(), target).await?;
    let new: Vec<_> = moves.iter().map(|place| place.to.clone()).collect();
    let mut removals = BTreeSet::new();
    if let Some(replaced) = replaced {
        removals.extend(replaced.files(staging.store(), &new).await?);
    }
    // An overwrite's too: the earlier attempt may have had rows of other partitions.
    if let Some(key) = again {
        removals.extend(key.files(staging.store(), target).await?);
    }
    Ok(Journal { moves, removals: removals.into_iter().collect() })
}

async fn to_folder(
    staging: &Staging,
    target: &Location,
    journal: &Journal,
    turn: Option<&BucketTurn>,
) -> Result<()> {
    let failed = |error: DataFusionError| unwritable(target, &readable(&error));
    let store = staging.store();
    if journal.is_empty() {
        return Ok(());
    }
    if let ([only], [], None) = (&journal.moves[..], &journal.removals[..], turn) {
        let moved = store.rename(&only.from, &only.to).await;
        moved.map_err(|error| failed(error.into()))?;
        return sync_place(target).map_err(failed);
    }
    let id = staging.place().path().filename().unwrap_or_default();
    let folder = target.folder(&[STAGING, id])?;
    let place = folder.file(JOURNAL)?;
    // Before it is written: whoever gives up meanwhile can't know whether it was.
    staging.set_journaled(true);
    let kept = match turn {
        Some(turn) => keep_in_turn(store, &folder, &place, journal, (turn, target)).await,
        None => keep_journal(store, &place, journal).await.map_err(failed),
    };
    if let Err(error) = kept {
        staging.set_journaled(false);
        return Err(error);
    }
    match journal.carry_out(store, target).await {
        // Who has looked there meanwhile has carried it out, and others may have gone on from there.
        Err(_) if is_gone(store, place.path()).await => {}
        done => done.map_err(|error| unfinished(target, &readable(&error)))?,
    }
    end(store, &folder, &place).await;
    Ok(())
}

/// Removes the staging of a statement whose journal has been carried out. The marker first: a staging that has one and no journal has published
/// nothing yet, for who looks ([`super::activity`]).
async fn end(store: &Arc<dyn ObjectStore>, staging: &Location, journal: &Location) {
    close(store, staging).await;
    let _ = store.delete(journal.path()).await;
    remove(store, staging).await;
}

/// Writes a journal so that a power cut does not take it back. Whoever looks there may carry it out and remove it at once: that it is gone is no
/// failure, the statement has happened.
async fn keep_journal(store: &Arc<dyn ObjectStore>, place: &Location, journal: &Journal) -> Result<()> {
    store.put(place.path(), journal.write().into()).await?;
    for kept in [place.clone(), place.folder(&[])?] {
        match sync_place(&kept) {
            Err(_) if is_gone(store, place.path()).await => return Ok(()),
            synced => synced?,
        }
    }
    Ok(())
}

/// Writes a journal where the statement may have lost its turn: as one that is prepared, which who takes the turn over removes, and then under its name.
async fn keep_in_turn(
    store: &Arc<dyn ObjectStore>,
    staging: &Location,
    journal: &Location,
    moves: &Journal,
    (turn, target): (&BucketTurn, &Location),
) -> Result<()> {
    let failed = |error: object_store::Error| unwritable(target, &readable(&error.into()));
    let prepared = staging.file(PREPARED)?;
    store.put(prepared.path(), moves.write().into()).await.map_err(failed)?;
    turn.check().await?;
    name(store, &prepared, journal, target).await
}

/// Gives a prepared journal its name: with it the statement has happened.
async fn name(
    store: &Arc<dyn ObjectStore>,
    prepared: &Location,
    journal: &Location,
    target: &Location,
) -> Result<()> {
    match store.copy(prepared.path(), journal.path()).await {
        Err(object_store::Error::NotFound { .. }) => Err(lost(target)),
        Err(error) => Err(unwritable(target, &readable(&error.into()))),
        Ok(()) => Ok(()),
    }
}

async fn is_gone(store: &Arc<dyn ObjectStore>, path: &Path) -> bool {
    matches!(store.head(path).await, Err(object_store::Error::NotFound { .. }))
}

/// Finishes what statements that died in the middle of publishing into a folder have left.
///
/// Cost: on a file system a look for a folder that is hardly ever there, in a bucket a listing of it.
pub(crate) async fn settle(runtime: &RuntimeEnv, folder: &ListingTableUrl) -> Result<()> {
    // A store that is not known, or a URL that is none, is for the reader to report.
    let (true, Ok(store), Ok(folder)) =
        (folder.is_collection(), runtime.object_store(folder), Location::parse(folder.as_str()))
    else {
        return Ok(());
    };
    settle_in(&store, &folder).await
}

async fn settle_in(store: &Arc<dyn ObjectStore>, folder: &Location) -> Result<()> {
    let all = folder.folder(&[STAGING])?;
    if all.local().is_some_and(|path| !path.exists()) {
        return Ok(());
    }
    // A bucket may be read by who may not write: what is in the way of settling is no obstacle to reading.
    let Ok(found) = store.list_with_delimiter(Some(all.path())).await else { return Ok(()) };
    for statement in found.common_prefixes {
        let place = all.folder(&[statement.filename().unwrap_or_default()])?;
        let journal = place.file(JOURNAL)?;
        let Ok(found) = store.get(journal.path()).await else { continue };
        let bytes = found.bytes().await?;
        match Journal::read(&bytes)?.carry_out(store, folder).await {
            // Who wrote it has carried it out meanwhile.
            Err(_) if is_gone(store, journal.path()).await => continue,
            done => done.map_err(|error| unwritable(folder, &readable(&error)))?,
        }
        end(store, &place, &journal).await;
    }
    Ok(())
}

/// Has the disk keep what was written, before it is named: after a power cut a name must not lead to nothing.
fn sync(staging: &Location, files: &[StagedFile]) -> Result<()> {
    if staging.local().is_some() {
        for file in files {
            std::fs::File::open(local_file(staging, file))?.sync_all()?;
        }
    }
    Ok(())
}

/// Has the disk keep a file, or the names of the files in a folder.
fn sync_place(place: &Location) -> Result<()> {
    if let Some(path) = place.local() {
        std::fs::File::open(path)?.sync_all()?;
    }
    Ok(())
}

fn local_file(staging: &Location, file: &StagedFile) -> std::path::PathBuf {
    staging.local().unwrap_or_default().join(&file.path)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct Place {
        folder: tempfile::TempDir,
        root: Location,
        runtime: RuntimeEnv,
    }

    impl Place {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let root = Location::parse(&format!("file://{}/", folder.path().display())).unwrap();
            Self { folder, root, runtime: RuntimeEnv::default() }
        }

        async fn staged(&self, place: &Location, files: &[(u64, &str)]) -> (Staging, Vec<StagedFile>) {
            let staging = Staging::open(place, &self.runtime).await.unwrap();
            let written = |(partition, path): &(u64, &str)| {
                let file = place.local().unwrap().join(path);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, path).unwrap();
                StagedFile { partition: *partition, path: (*path).to_owned() }
            };
            (staging, files.iter().map(written).collect())
        }

        /// What is in a folder, the names of runs left out.
        fn names(&self, folder: &str) -> Vec<String> {
            let entries = fs::read_dir(self.folder.path().join(folder)).unwrap();
            let mut names: Vec<_> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names.iter().map(|name| name.split('-').take(2).collect::<Vec<_>>().join("-")).collect()
        }
    }

    fn destination(target: &Location, kind: Kind, staging: &Location) -> Destination {
        Destination { target: target.clone(), kind, staging: staging.clone() }
    }

    #[tokio::test]
    async fn a_new_folder_appears_whole_and_one_that_is_there_is_added_to() {
        let place = Place::new();
        let target = place.root.folder(&["out"]).unwrap();
        for kind in [Kind::NewFolder, Kind::NewFolder, Kind::Folder] {
            let at = place.root.folder(&[STAGING, "1"]).unwrap();
            let (staging, files) = place
                .staged(&at, &[(1, "1-x/b.parquet"), (0, "0-y/k=a b/a.csv.gz"), (2, "2-z/c.parquet")])
                .await;
            publish(&staging, &destination(&target, kind, &at), None, None, files).await.unwrap();
            staging.end().await;
        }
        assert_eq!(place.names(""), ["out"]);
        assert_eq!(
            place.names("out"),
            ["k=a b", "part-00001", "part-00001", "part-00001", "part-00002", "part-00002", "part-00002"]
        );
        assert_eq!(place.names("out/k=a b").len(), 3);
    }

    #[tokio::test]
    async fn what_a_dead_process_began_to_publish_is_finished() {
        let place = Place::new();
        let target = place.root.folder(&["out"]).unwrap();
        let at = target.folder(&[STAGING, "1"]).unwrap();
        let (staging, files) = place.staged(&at, &[(0, "0-x/a.json"), (1, "1-x/b.json")]).await;
        // It dies between its two moves.
        let old = target.file("old.json").unwrap();
        fs::write(old.local().unwrap(), "old").unwrap();
        let moves = moves(&at, target.path(), &files, None).unwrap();
        let journal = Journal { moves, removals: vec![old.path().clone()] };
        let store = Arc::clone(staging.store());
        store.put(at.file(JOURNAL).unwrap().path(), journal.write().into()).await.unwrap();
        store.rename(&journal.moves[0].from, &journal.moves[0].to).await.unwrap();
        std::mem::forget(staging);
        assert_eq!(place.names("out"), [STAGING, "old.json", "part-00000"]);
        settle(&place.runtime, &target.listing().unwrap()).await.unwrap();
        assert_eq!(place.names("out"), ["part-00000", "part-00001"]);
        settle(&place.runtime, &target.listing().unwrap()).await.unwrap();
    }

    #[tokio::test]
    async fn one_file_replaces_what_was_there() {
        let place = Place::new();
        let target = place.root.file("out.csv").unwrap();
        fs::write(target.local().unwrap(), "old").unwrap();
        let at = place.root.folder(&[STAGING, "1"]).unwrap();
        let (staging, files) = place.staged(&at, &[(0, "0-x/new.csv")]).await;
        publish(&staging, &destination(&target, Kind::File, &at), None, None, files).await.unwrap();
        staging.end().await;
        assert_eq!(fs::read_to_string(target.local().unwrap()).unwrap(), "0-x/new.csv");
        assert_eq!(place.names(""), ["out.csv"]);
    }

    #[tokio::test]
    async fn who_has_lost_its_turn_publishes_nothing() {
        let store: Arc<dyn ObjectStore> = Arc::new(object_store::memory::InMemory::new());
        let runtime = RuntimeEnv::default();
        runtime.register_object_store(&"s3://bucket".parse().unwrap(), Arc::clone(&store));
        let target = Location::parse("s3://bucket/t/").unwrap();
        let at = target.folder(&[STAGING, "1"]).unwrap();
        let staging = Staging::open(&at, &runtime).await.unwrap();
        let (new, old) = (at.file("new.json").unwrap(), target.file("old.json").unwrap());
        for place in [&new, &old] {
            store.put(place.path(), "rows".into()).await.unwrap();
        }
        let turn = BucketTurn::wait(&store, &target, &at, super::super::bucket_turn::LEASE);
        let turn = turn.await.unwrap().unwrap();
        let moves = vec![Move { from: new.path().clone(), to: Path::from("t/new.json") }];
        let journal = Journal { moves, removals: vec![old.path().clone()] };
        let taken = "nightjar turn 1\nholder=2\nfence=2\nbeat=0\nlease_ms=60000\n";
        store.put(&Path::from("t/_nightjar/turn"), taken.into()).await.unwrap();
        let error = to_folder(&staging, &target, &journal, Some(&turn)).await.unwrap_err();
        assert!(error.to_string().contains("another process took over"), "{error}");
        assert!(store.head(old.path()).await.is_ok());
        assert!(is_gone(&store, &Path::from("t/new.json")).await);
        assert!(is_gone(&store, at.file(JOURNAL).unwrap().path()).await);
        // One that was stopped between the check and the journal's name: what it has prepared is gone.
        let prepared = at.file(PREPARED).unwrap();
        store.delete(prepared.path()).await.unwrap();
        let error = name(&store, &prepared, &at.file(JOURNAL).unwrap(), &target).await.unwrap_err();
        assert!(error.to_string().contains("another process took over"), "{error}");
    }

    /// Publishes files into `out/` under a key; returns what is below it then, the file that a name has in it instead of the name.
    async fn publish_as(
        place: &Place,
        kind: Kind,
        key: &OutputKey,
        files: &[(u64, &str)],
    ) -> Result<Vec<String>> {
        let target = place.root.folder(&["out"]).unwrap();
        // One that failed is looked after for a while.
        let at = place.root.folder(&[STAGING, &run_name(None)]).unwrap();
        let (staging, files) = place.staged(&at, files).await;
        let published = publish(&staging, &destination(&target, kind, &at), None, Some(key), files).await;
        drop(staging);
        published?;
        let root = target.local().unwrap();
        let files = |folder: &std::path::Path| {
            let entries = fs::read_dir(folder).into_iter().flatten();
            entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect::<Vec<_>>()
        };
        let all = [files(&root), files(&root.join("k=1")), files(&root.join("k=2"))].concat();
        let mut held: Vec<_> = all.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        held.sort();
        Ok(held)
    }

    #[tokio::test]
    async fn a_statement_that_runs_again_replaces_what_it_has_published() {
        let place = Place::new();
        let key = |name: &str, again| OutputKey::new(name.to_owned(), again, || Ok(()));
        let first = key("run1s1-a", false);
        let files = [(0, "a/k=1/first"), (1, "b/k=2/first"), (2, "c/first")];
        let held = publish_as(&place, Kind::NewFolder, &first, &files).await.unwrap();
        assert_eq!(held, ["a/k=1/first", "b/k=2/first", "c/first"]);
        // Others add: another run, and another statement of the same one.
        publish_as(&place, Kind::Folder, &key("run2s1-a", true), &[(0, "d/run2")]).await.unwrap();
        publish_as(&place, Kind::Folder, &key("run1s2-a", true), &[(0, "e/k=1/statement2")]).await.unwrap();
        // It runs again, and writes fewer files; the plan may be of a time when the folder was not there.
        let again = key("run1s1-a", true);
        let held = publish_as(&place, Kind::NewFolder, &again, &[(0, "f/k=1/second")]).await.unwrap();
        assert_eq!(held, ["d/run2", "e/k=1/statement2", "f/k=1/second"]);
        // And without rows.
        let held = publish_as(&place, Kind::Folder, &again, &[]).await.unwrap();
        assert_eq!(held, ["d/run2", "e/k=1/statement2"]);
        let held = publish_as(&place, Kind::NewFolder, &again, &[]).await.unwrap();
        assert_eq!(held, ["d/run2", "e/k=1/statement2"]);
    }

    #[tokio::test]
    async fn who_may_not_publish_any_more_publishes_nothing() {
        let place = Place::new();
        let refuses =
            OutputKey::new("run1s1-a".to_owned(), true, || Err(DataFusionError::Execution("no".to_owned())));
        let mine = OutputKey::new("run1s1-a".to_owned(), false, || Ok(()));
        for kind in [Kind::NewFolder, Kind::File] {
            let error = publish_as(&place, kind, &refuses, &[(0, "a/x")]).await.unwrap_err();
            assert!(error.to_string().contains("no"), "{error}");
            assert!(!place.folder.path().join("out").exists());
        }
        publish_as(&place, Kind::NewFolder, &mine, &[(0, "a/mine")]).await.unwrap();
        publish_as(&place, Kind::Folder, &refuses, &[(0, "a/x"), (1, "a/y")]).await.unwrap_err();
        let held = publish_as(&place, Kind::Folder, &mine, &[]).await.unwrap();
        assert_eq!(held, ["a/mine"]);
    }
}
