//! The log of a run: what its statements tell is written down a second later at most.

use std::sync::Mutex;
use std::sync::PoisonError;

use nightjar_catalog::Store;
use nightjar_statements::{Watch, now};

/// The longest log of an attempt, in lines; what comes then is left out, and the log says so.
const MOST_LINES: usize = 10_000;

/// Listens to the statements of an attempt.
pub(crate) struct RunLog {
    store: Store,
    run: i64,
    attempt: u32,
    lines: Mutex<Lines>,
}

#[derive(Default)]
struct Lines {
    pending: Vec<(i64, String)>,
    written: usize,
}

impl RunLog {
    pub(crate) fn new(store: Store, run: i64, attempt: u32) -> Self {
        Self { store, run, attempt, lines: Mutex::default() }
    }

    pub(crate) fn add(&self, line: String) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.written += 1;
        match lines.written.cmp(&MOST_LINES) {
            std::cmp::Ordering::Less => lines.pending.push((now().timestamp_micros(), line)),
            std::cmp::Ordering::Equal => {
                lines
                    .pending
                    .push((now().timestamp_micros(), "the log ends here: it is too long".to_owned()));
            }
            std::cmp::Ordering::Greater => {}
        }
    }

    /// Writes down what there is. May wait for the disk.
    pub(crate) fn flush(&self) {
        let lines = std::mem::take(&mut self.lines.lock().unwrap_or_else(PoisonError::into_inner).pending);
        if lines.is_empty() {
            return;
        }
        let written = self.store.catalog().change_jobs::<_, nightjar_catalog::CatalogError>(|ledger| {
            lines.iter().try_for_each(|(at, line)| ledger.log(self.run, self.attempt, *at, line))
        });
        if let Err(error) = written {
            log::warn!("the log of run {} lacks lines: {error}", self.run);
        }
    }
}

impl Watch for RunLog {
    fn phase(&self, name: &str, unit: &str, total: Option<u64>) {
        let of = total.map_or(String::new(), |total| format!(": {total} {unit}"));
        self.add(format!("{name}{of}"));
    }

    fn position(&self, _: u64) {}

    fn note(&self, message: &str) {
        self.add(message.to_owned());
    }

    fn warn(&self, message: &str) {
        self.add(format!("warning: {message}"));
    }
}
