//! What a statement tells whoever waits for it.

use nightjar_catalog::PullProgress;

/// Listens to a statement at work: the terminal draws a bar, a test or a daemon listens otherwise.
///
/// Calls come from any thread and must not block.
pub trait Watch: Send + Sync {
    /// A phase begins, such as `embedding`; `total` is how many `unit`s it has, where that is known.
    fn phase(&self, name: &str, unit: &str, total: Option<u64>);
    /// The phase has got this far, in units from its begin.
    fn position(&self, done: u64);
    /// The phase begins with this much done by an earlier process: it counts as done, but not as speed.
    fn resumed(&self, done: u64) {
        self.position(done);
    }
    /// How it goes at this position, in a few words that the next ones replace, such as `epoch 2/3 · loss 0.3121`.
    /// A phase that says so is shown by these words and the time it has left.
    fn detail(&self, _text: &str) {}
    /// Something worth reading that is no error.
    fn note(&self, message: &str);
    /// What the statement has made, to be read after its rows.
    fn conclude(&self, message: &str) {
        self.note(message);
    }
    /// Something that the user should act on although the statement goes on.
    fn warn(&self, message: &str);
}

/// Listens to nothing.
#[derive(Debug, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn phase(&self, _: &str, _: &str, _: Option<u64>) {}
    fn position(&self, _: u64) {}
    fn note(&self, _: &str) {}
    fn warn(&self, _: &str) {}
}

/// A pull's progress as a phase per file.
pub struct WatchPull<'a> {
    watch: &'a dyn Watch,
    done: std::sync::atomic::AtomicU64,
}

impl<'a> WatchPull<'a> {
    /// Returns the progress of a pull, told to `watch`.
    pub fn new(watch: &'a dyn Watch) -> Self {
        Self { watch, done: Default::default() }
    }
}

impl PullProgress for WatchPull<'_> {
    fn start(&self, file: &str, bytes: Option<u64>) {
        self.done.store(0, std::sync::atomic::Ordering::Relaxed);
        self.watch.phase(&format!("pulling {file}"), "bytes", bytes);
    }

    fn advance(&self, bytes: u64) {
        let before = self.done.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
        self.watch.position(before + bytes);
    }

    fn note(&self, message: &str) {
        self.watch.note(message);
    }
}
