//! How staged files become visible.

use std::sync::Arc;

use datafusion::datasource::listing::ListingTableUrl;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::runtime_env::RuntimeEnv;
use nightjar_functions::readable;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::destination::{Destination, Kind, unwritable};
use super::location::Location;
use super::staged::StagedFile;
use super::staging::{STAGING, Staging, remove};

/// The file in a staging that says what goes where. Once it is written the statement has happened: whoever finds it
/// finishes the moves.
pub(super) const JOURNAL: &str = "publish";

/// What stands between the two paths of a move, and after them: no path has line breaks, they are encoded.
const TO: char = '\t';

/// A file's way from the staging to its place.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Move {
    from: Path,
    to: Path,
}

/// Moves a statement's files to where they belong, in the order of their partitions.
///
/// One file, and a new folder of a file system, appear at once. Into a folder that is there, and into a bucket, files are
/// moved one by one, after a journal of the moves was written: a process that dies between two moves is taken over by the
/// next that reads or writes there ([`settle`]).
pub(super) async fn publish(
    staging: &Staging,
    destination: &Destination,
    mut files: Vec<StagedFile>,
) -> Result<()> {
    files.sort_by_key(|file| file.partition);
    sync(staging.place(), &files)?;
    let target = &destination.target;
    let moved = match destination.kind {
        Kind::File => to_file(staging, target, &files).await,
        Kind::NewFolder if to_new_folder(staging, target, &files)? => Ok(()),
        Kind::NewFolder | Kind::Folder => to_folder(staging, target, &files).await,
    };
    moved.map_err(|error| unwritable(target, &readable(&error)))
}

/// Returns the name under which a file is published.
fn name(index: usize, run: &str, staged: &str) -> String {
    let (folders, name) = staged.rsplit_once('/').unwrap_or(("", staged));
    let ending = name.split_once('.').map_or("", |(_, ending)| ending);
    // The first folder is the task's; those of partition values follow.
    let folders = folders.split_once('/').map_or(String::new(), |(_, values)| format!("{values}/"));
    format!("{folders}part-{index:05}-{run}.{ending}")
}

/// Returns what sets the names of a statement's files apart from all others.
fn run_name() -> String {
    uuid::Uuid::new_v4().simple().to_string()[..12].to_owned()
}

fn moves(staging: &Location, target: &Path, files: &[StagedFile]) -> Result<Vec<Move>> {
    let run = run_name();
    let place = |(index, file): (usize, &StagedFile)| {
        let to = path(target, &name(index, &run, &file.path))?;
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
    sync_folder(&target.parent()?)
}

/// Renames the whole folder into place. Returns false where somebody has made the folder meanwhile.
fn to_new_folder(staging: &Staging, target: &Location, files: &[StagedFile]) -> Result<bool> {
    let whole = staging.place().folder(&["whole"])?;
    let (Some(from), Some(to)) = (whole.local(), target.local()) else {
        return Ok(false);
    };
    let run = run_name();
    std::fs::create_dir_all(&from)?;
    for (index, file) in files.iter().enumerate() {
        let place = from.join(name(index, &run, &file.path));
        if let Some(folder) = place.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::rename(local_file(staging.place(), file), &place)?;
    }
    sync_folder(&whole)?;
    if std::fs::rename(&from, &to).is_ok() {
        sync_folder(&target.parent()?)?;
        return Ok(true);
    }
    // Back to where they were, to be moved one by one.
    for (index, file) in files.iter().enumerate() {
        let place = from.join(name(index, &run, &file.path));
        std::fs::rename(&place, local_file(staging.place(), file))?;
    }
    Ok(false)
}

async fn to_folder(staging: &Staging, target: &Location, files: &[StagedFile]) -> Result<()> {
    let moves = moves(staging.place(), target.path(), files)?;
    let store = staging.store();
    if let [only] = &moves[..] {
        store.rename(&only.from, &only.to).await?;
        return sync_folder(target);
    }
    let id = staging.place().path().filename().unwrap_or_default();
    let journal_folder = target.folder(&[STAGING, id])?;
    let journal = journal_folder.file(JOURNAL)?;
    store.put(journal.path(), write(&moves).into()).await?;
    carry_out(store, &moves).await?;
    sync_folder(target)?;
    store.delete(journal.path()).await?;
    remove(store, &journal_folder).await;
    Ok(())
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
    let (store, all) = (&store, folder.folder(&[STAGING])?);
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
        carry_out(store, &read(&bytes)?).await.map_err(|error| unwritable(&folder, &readable(&error)))?;
        let _ = store.delete(journal.path()).await;
        remove(store, &place).await;
    }
    Ok(())
}

/// Makes moves, those that have been made before left out.
async fn carry_out(store: &Arc<dyn ObjectStore>, moves: &[Move]) -> Result<()> {
    for Move { from, to } in moves {
        match store.rename(from, to).await {
            // Somebody else has settled it.
            Err(object_store::Error::NotFound { .. }) if store.head(to).await.is_ok() => {}
            other => other?,
        }
    }
    Ok(())
}

fn write(moves: &[Move]) -> Vec<u8> {
    moves.iter().map(|Move { from, to }| format!("{from}{TO}{to}\n")).collect::<String>().into_bytes()
}

fn read(journal: &[u8]) -> Result<Vec<Move>> {
    let broken = || DataFusionError::Execution("a journal of files to publish is damaged".to_owned());
    let text = std::str::from_utf8(journal).map_err(|_| broken())?;
    let entry = |line: &str| {
        let (from, to) = line.split_once(TO)?;
        Some(Move { from: Path::parse(from).ok()?, to: Path::parse(to).ok()? })
    };
    text.lines().map(|line| entry(line).ok_or_else(broken)).collect()
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

fn sync_folder(folder: &Location) -> Result<()> {
    if let Some(path) = folder.local() {
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
            publish(&staging, &destination(&target, kind, &at), files).await.unwrap();
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
        let moves = moves(&at, target.path(), &files).unwrap();
        let store = Arc::clone(staging.store());
        store.put(at.file(JOURNAL).unwrap().path(), write(&moves).into()).await.unwrap();
        carry_out(&store, &moves[..1]).await.unwrap();
        std::mem::forget(staging);
        assert_eq!(place.names("out"), [STAGING, "part-00000"]);
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
        publish(&staging, &destination(&target, Kind::File, &at), files).await.unwrap();
        staging.end().await;
        assert_eq!(fs::read_to_string(target.local().unwrap()).unwrap(), "0-x/new.csv");
        assert_eq!(place.names(""), ["out.csv"]);
    }

    #[test]
    fn journals_read_back() {
        let moves = [Move { from: Path::from("a/b=1 2/c"), to: Path::from("d") }];
        assert_eq!(read(&write(&moves)).unwrap(), moves);
        assert!(read(b"half a line").is_err());
        assert!(read(&[0xff]).is_err());
    }
}
