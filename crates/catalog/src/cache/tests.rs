//! The cache under several writers, damage, bounds and full disks.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use nightjar_models::Sequence;

use super::record::record_bytes;
use super::{CacheKey, EmbeddingCache, TextDigest};
use crate::ids::Digest;
use crate::store::StoreFiles;

const DIM: usize = 8;
const ROOMY: u64 = 1 << 30;

struct Store {
    folder: tempfile::TempDir,
    files: StoreFiles,
}

impl Store {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = StoreFiles::open(folder.path().to_str()).unwrap();
        Self { folder, files }
    }

    fn open(&self, max_bytes: u64) -> EmbeddingCache {
        self.files.open_cache(key(), max_bytes)
    }

    /// Returns the store as another process has it: under a name of its own nothing is shared but the files.
    #[cfg(unix)]
    fn elsewhere(&self) -> (tempfile::TempDir, StoreFiles) {
        let names = tempfile::tempdir().unwrap();
        let name = names.path().join("store");
        std::os::unix::fs::symlink(self.folder.path(), &name).unwrap();
        let files = StoreFiles::open(name.to_str()).unwrap();
        (names, files)
    }

    fn segments(&self) -> Vec<PathBuf> {
        files_in(self.folder.path(), ".segment")
    }
}

fn files_in(root: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root.join("cache")).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| path.to_string_lossy().ends_with(ending));
    paths.sort();
    paths
}

fn key() -> CacheKey {
    CacheKey::here(Digest([7; 32]), 256, DIM, "f32")
}

/// Values with every kind of bits, NaN and negative zero among them.
fn embedding(n: usize) -> Vec<f32> {
    let of = |i: usize| f32::from_bits((n as u32).wrapping_mul(0x9e37_79b9).rotate_left(i as u32) ^ i as u32);
    let mut values: Vec<f32> = (0..DIM).map(of).collect();
    (values[1], values[2]) = (f32::NAN, -0.0);
    values
}

fn text(n: usize) -> String {
    format!("text {n}")
}

fn add(cache: &EmbeddingCache, range: std::ops::Range<usize>) {
    for n in range {
        cache.add(TextDigest::of(Sequence::Text(&text(n))), n % 3 == 0, &embedding(n));
    }
}

/// Returns how many of the texts are known, and fails if what is known has other bits than what was added.
fn known(cache: &EmbeddingCache, range: std::ops::Range<usize>) -> usize {
    let texts: Vec<String> = range.clone().map(text).collect();
    let sequences: Vec<_> = texts.iter().map(|text| Sequence::Text(text)).collect();
    let mut out = vec![0.0; sequences.len() * DIM];
    let found = cache.look_up(&sequences, &mut out);
    let mut hits = 0;
    for ((n, (_, truncated)), values) in range.zip(found).zip(out.chunks_exact(DIM)) {
        if let Some(truncated) = truncated {
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!((truncated, bits(values)), (n % 3 == 0, bits(&embedding(n))), "text {n}");
            hits += 1;
        }
    }
    hits
}

/// Adds texts as a process of its own would: in a segment of their own.
fn write(store: &Store, range: std::ops::Range<usize>, max_bytes: u64) {
    let cache = store.open(max_bytes);
    add(&cache, range);
    cache.finish();
}

#[test]
fn entries_come_back_with_their_bits() {
    let store = Store::new();
    let cache = store.open(ROOMY);
    assert_eq!(known(&cache, 0..100), 0);
    add(&cache, 0..100);
    assert_eq!(known(&cache, 0..150), 100, "before they are published");
    assert!(store.segments().is_empty());
    cache.finish();
    assert_eq!(store.segments().len(), 1);
    assert_eq!(known(&cache, 0..150), 100);
    drop(cache);
    assert_eq!(store.segments().len(), 1);
    assert_eq!(known(&store.open(ROOMY), 0..150), 100);
    let other = store.files.open_cache(CacheKey { precision: "int8".to_owned(), ..key() }, ROOMY);
    assert_eq!(known(&other, 0..150), 0);
    let pair = [Sequence::Pair("text", "0")];
    assert_eq!(store.open(ROOMY).look_up(&pair, &mut [0.0; DIM])[0].1, None);
    let shown = store.files.cached_bodies().unwrap();
    assert_eq!((shown.len(), shown[0].entries, &shown[0].key), (1, 100, &key()));
    assert_eq!(store.files.clear_cache().unwrap(), shown[0].bytes);
    assert!(store.segments().is_empty() && store.files.cached_bodies().unwrap().is_empty());
}

#[test]
fn partitions_share_what_is_new_and_the_last_one_publishes() {
    let store = Store::new();
    let (one, two) = (store.open(ROOMY), store.open(ROOMY));
    add(&one, 0..10);
    one.finish();
    one.finish();
    assert!(store.segments().is_empty());
    assert_eq!(known(&two, 0..10), 10);
    add(&two, 10..20);
    drop(two);
    assert_eq!(store.segments().len(), 1, "given up, but not lost");
    assert_eq!(known(&store.open(ROOMY), 0..20), 20);
}

#[test]
fn much_that_is_new_is_published_on_the_way() {
    let store = Store::new();
    let cache = store.open(64 * record_bytes(DIM) as u64);
    add(&cache, 0..7);
    cache.settle();
    assert!(store.segments().is_empty());
    add(&cache, 7..9);
    cache.settle();
    assert_eq!((store.segments().len(), known(&cache, 0..9)), (1, 9));
}

#[cfg(unix)]
#[test]
fn small_segments_become_one_and_equal_entries_one() {
    let store = Store::new();
    for n in 0..7 {
        write(&store, n..n + 50, ROOMY);
    }
    assert_eq!(store.segments().len(), 7);
    assert_eq!(store.files.cached_bodies().unwrap()[0].entries, 350);
    let (_names, elsewhere) = store.elsewhere();
    let before = elsewhere.open_cache(key(), ROOMY);
    write(&store, 7..57, ROOMY);
    assert_eq!(store.segments().len(), 1);
    assert_eq!(store.files.cached_bodies().unwrap()[0].entries, 57);
    // Whoever has the old files open goes on, and so does whoever opens the new one.
    assert_eq!((known(&before, 0..56), known(&store.open(ROOMY), 0..57)), (56, 57));
}

#[test]
fn the_bound_holds_and_what_was_of_use_stays() {
    let store = Store::new();
    let long_ago = |n: u64| SystemTime::now() - Duration::from_secs(1000 - n);
    let each = 100 * (record_bytes(DIM) as u64 + 8);
    let max_bytes = 4 * each;
    for n in 0..4_u64 {
        let before = store.segments();
        let start = n as usize * 100;
        write(&store, start..start + 90, max_bytes);
        let new = store.segments().into_iter().find(|path| !before.contains(path)).unwrap();
        fs::File::open(new).unwrap().set_modified(long_ago(n)).unwrap();
    }
    assert_eq!(store.segments().len(), 4);
    // The oldest one is of use once more.
    assert_eq!(known(&store.open(max_bytes), 0..90), 90);
    write(&store, 500..590, max_bytes);
    let bytes: u64 = store.segments().iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert!(bytes <= max_bytes, "{bytes} of {max_bytes}");
    let cache = store.open(max_bytes);
    let of = |start: usize| known(&cache, start..start + 90);
    assert_eq!([of(0), of(100), of(200), of(300), of(500)], [90, 0, 90, 90, 90]);
    drop(cache);
    write(&store, 600..601, 0);
    assert!(store.segments().is_empty());
}

#[test]
fn damage_costs_entries_and_never_gives_wrong_ones() {
    let whole = {
        let store = Store::new();
        write(&store, 0..20, ROOMY);
        fs::read(&store.segments()[0]).unwrap()
    };
    let places = (0..whole.len()).step_by(7).chain(whole.len() - 30..whole.len());
    for place in places {
        let store = Store::new();
        write(&store, 0..20, ROOMY);
        let path = store.segments().remove(0);
        let mut bytes = fs::read(&path).unwrap();
        bytes[place] ^= 0x10;
        fs::write(&path, &bytes).unwrap();
        // `known` compares the bits of what it finds.
        let hits = known(&store.open(ROOMY), 0..20);
        assert!(hits < 20 && store.segments().is_empty(), "byte {place}: {hits}");
    }
    for length in [0, 1, 7, 11, 100, whole.len() / 2, whole.len() - 1] {
        let store = Store::new();
        write(&store, 0..20, ROOMY);
        let path = store.segments().remove(0);
        fs::write(&path, &whole[..length]).unwrap();
        assert!(store.files.cached_bodies().unwrap().is_empty(), "{length} bytes");
        assert_eq!(known(&store.open(ROOMY), 0..20), 0, "{length} bytes");
        assert!(store.segments().is_empty(), "{length} bytes");
        write(&store, 0..20, ROOMY);
        assert_eq!(known(&store.open(ROOMY), 0..20), 20);
    }
}

#[test]
fn a_file_cut_while_it_is_open_is_damage_too() {
    let store = Store::new();
    write(&store, 0..100, ROOMY);
    let cache = store.open(ROOMY);
    let path = store.segments().remove(0);
    fs::File::options().write(true).open(&path).unwrap().set_len(900).unwrap();
    let hits = known(&cache, 0..100);
    assert!(hits < 100 && store.segments().is_empty(), "{hits}");
    assert_eq!(known(&cache, 0..100), 0);
}

#[test]
fn merging_leaves_damaged_entries_out() {
    let store = Store::new();
    for n in 0..7 {
        write(&store, n * 10..n * 10 + 10, ROOMY);
    }
    let path = store.segments().remove(3);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    write(&store, 70..80, ROOMY);
    assert_eq!(store.segments().len(), 1);
    assert_eq!(known(&store.open(ROOMY), 0..80), 79);
}

#[cfg(unix)]
#[test]
fn many_write_merge_and_read_at_once() {
    let store = Store::new();
    thread::scope(|scope| {
        for writer in 0..8 {
            let (names, files) = store.elsewhere();
            scope.spawn(move || {
                let _names = names;
                for round in 0..12 {
                    let start = (writer * 12 + round) * 10;
                    let cache = files.open_cache(key(), 1 << 20);
                    known(&cache, 0..1000);
                    add(&cache, start..start + 20);
                    cache.finish();
                    assert_eq!(known(&cache, start..start + 20), 20, "what it has published itself");
                }
            });
        }
    });
    assert_eq!(known(&store.open(1 << 20), 0..970), 970);
    let left = files_in(store.folder.path(), "");
    assert!(left.iter().all(|path| !path.to_string_lossy().contains(".unfinished-")), "{left:?}");
}

#[test]
fn what_a_killed_process_left_is_in_nobodys_way_and_is_swept() {
    let store = Store::new();
    write(&store, 0..10, ROOMY);
    let left = store.folder.path().join("cache/.unfinished-0123456789abcdef");
    fs::write(&left, "half of a segm").unwrap();
    write(&store, 10..20, ROOMY);
    assert!(left.exists(), "it may be at work");
    let old = SystemTime::now() - Duration::from_secs(2 * 60 * 60);
    fs::File::open(&left).unwrap().set_modified(old).unwrap();
    write(&store, 20..30, ROOMY);
    assert!(!left.exists());
    assert_eq!(known(&store.open(ROOMY), 0..30), 30);
}

#[test]
fn a_file_in_the_way_costs_the_cache_only() {
    let store = Store::new();
    fs::write(store.folder.path().join("cache"), "no folder").unwrap();
    let cache = store.open(ROOMY);
    // Collecting what can't be kept would only take memory.
    add(&cache, 0..10);
    cache.settle();
    cache.finish();
    assert_eq!(known(&cache, 0..10), 0);
    assert!(store.files.cached_bodies().is_err() && store.files.clear_cache().is_err());
}

/// Runs itself in a shell that lets no file grow beyond some kB: a disk that is full.
#[cfg(unix)]
#[test]
fn a_full_disk_costs_the_cache_only() {
    if std::env::var_os("NIGHTJAR_TEST_FULL_DISK").is_some() {
        let store = Store::new();
        let cache = store.open(ROOMY);
        add(&cache, 0..10_000);
        cache.finish();
        assert!(files_in(store.folder.path(), "").is_empty(), "nothing half-written stays");
        add(&cache, 0..10);
        assert_eq!(known(&cache, 0..10), 0);
        return;
    }
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 64 || exit 77; exec \"$@\"", "sh"]);
    shell
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "cache::tests::a_full_disk_costs_the_cache_only"]);
    let ran = shell.env("NIGHTJAR_TEST_FULL_DISK", "1").output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && said.contains("1 passed"), "{said}");
}
