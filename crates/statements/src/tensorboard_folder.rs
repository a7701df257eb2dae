//! Where TensorBoard is pointed: the store's folder `tensorboard`, with a folder per run that is named by model and version.
//!
//! The event files lie in the folders of the runs, which have numbers; here are second names of them. On a file system that knows no
//! hard links there are none, and TensorBoard reads `runs`.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use nightjar_catalog::{RunId, Store};
use nightjar_names::VersionNumber;

/// Adds the event file of a run that has made no version yet.
pub(crate) fn show_run(store: &Store, model: &str, run: RunId, events: &Path) {
    let folder = folder(store, &format!("{model}, run {run}"));
    if fs::create_dir_all(&folder).is_ok() {
        // It is there already where a run goes on.
        let _ = fs::hard_link(events, folder.join(events.file_name().unwrap_or(OsStr::new("events"))));
    }
}

/// Names a run by the version that it has made.
pub(crate) fn name_version(store: &Store, model: &str, run: RunId, version: VersionNumber) {
    let made = folder(store, &format!("{model}@{version}"));
    let _ = fs::rename(folder(store, &format!("{model}, run {run}")), made);
}

/// Removes a run that was discarded.
pub(crate) fn hide_run(store: &Store, model: &str, run: RunId) {
    let _ = fs::remove_dir_all(folder(store, &format!("{model}, run {run}")));
}

fn folder(store: &Store, name: &str) -> PathBuf {
    store.root().join("tensorboard").join(file_name(name))
}

/// Returns the name of a model's folder: characters that file systems keep for themselves are dashes.
fn file_name(name: &str) -> String {
    let plain = |c: char| if c.is_control() || "/\\:*?\"<>|".contains(c) { '-' } else { c };
    let name: String = name.chars().map(plain).collect();
    match name.strip_prefix('.') {
        Some(rest) => format!("-{rest}"),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn names_stay_in_the_folder() {
        assert_eq!(file_name("sentiment@2"), "sentiment@2");
        assert_eq!(file_name("../a/b@1"), "-.-a-b@1");
    }
}
